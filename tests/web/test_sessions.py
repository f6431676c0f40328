"""Sessions: lazy, saved before the response starts, in each of Django's engines."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.contrib.sessions.backends.db import SessionStore as DBStore
from django.contrib.sessions.models import Session

from tests.web.serving import serving, templates
from tests.web.session_views import (
    VIEWS,
    sessions,
)
from vinyl.exceptions import NotAwaitedError
from vinyl.web import PlainTextResponse, StreamingResponse, path, render
from vinyl.web.sessions import session_store

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("session_folder")]


@pytest.mark.parametrize("url", ["/ignore/", "/read/", "/count/"])
async def test_vary_tells_of_the_cookie_only_if_the_session_was_used(
    db: Any, url: str
) -> None:
    async with serving(*VIEWS, **sessions()) as page:
        response = await page.get(url)
        assert response.headers.get("vary") == (None if url == "/ignore/" else "Cookie")
        assert ("set-cookie" in response.headers) is (url == "/count/")


async def test_what_is_not_used_costs_no_query(db: Any, queries: list[str]) -> None:
    async with serving(*VIEWS, **sessions()) as page:
        await page.get("/count/")
        queries.clear()
        await page.get("/ignore/")
        assert queries == []
        await page.get("/read/")
        assert len(queries) == 1


async def test_vary_of_the_view_stays(db: Any) -> None:
    async def view(request: Any) -> Any:
        await request.session
        return PlainTextResponse("", headers={"vary": "Accept"})

    async with serving(path("", view), **sessions()) as page:
        assert (await page.get("/")).headers["vary"] == "Accept, Cookie"


async def test_all_of_what_the_answer_varies_by_stays(db: Any) -> None:
    async def view(request: Any) -> Any:
        (await request.session)["n"] = 1
        response = PlainTextResponse("")
        for name in ("Accept", "X-Name"):
            response.headers.append("vary", name)
        return response

    async with serving(path("", view), **sessions()) as page:
        vary = (await page.get("/")).headers["vary"]
    assert vary == "Accept, X-Name, Cookie"


async def test_a_cookie_that_is_no_key_is_deleted(db: Any) -> None:
    async with serving(*VIEWS, **sessions()) as page:
        page.cookies["sessionid"] = "short"
        response = await page.get("/ignore/")
    assert 'sessionid=""' in response.headers["set-cookie"]
    assert "Max-Age=0" in response.headers["set-cookie"]


async def test_a_session_is_saved_once(db: Any, queries: list[str]) -> None:
    async with serving(*VIEWS, **sessions()) as page:
        await page.get("/count/")
        queries.clear()
        await page.get("/count/")
    assert len([q for q in queries if q.startswith("UPDATE")]) == 1


async def test_a_view_may_put_another_session_in_place(db: Any) -> None:
    async def view(request: Any) -> Any:
        request.session = session_store(DBStore)()
        (await request.session)["n"] = 7
        return PlainTextResponse("")

    async with serving(path("", view), *VIEWS, **sessions()) as page:
        await page.get("/count/")
        before = page.cookies["sessionid"]
        await page.get("/")
        assert page.cookies["sessionid"] != before
        assert (await page.get("/read/")).text == "7"


async def test_cookie_settings_and_expiry(db: Any) -> None:
    async def expiring(request: Any) -> Any:
        session = await request.session
        session["n"] = 1
        session.set_expiry(60)
        return PlainTextResponse("")

    async def with_browser(request: Any) -> Any:
        (await request.session).set_expiry(0)
        return PlainTextResponse("")

    settings = sessions(
        SESSION_COOKIE_NAME="shop",
        SESSION_COOKIE_PATH="/a/",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_SAMESITE="Strict",
        SESSION_COOKIE_DOMAIN="testserver",
    )
    urls = path("a/", expiring), path("b/", with_browser)
    async with serving(*urls, **settings) as page:
        cookie = (await page.get("/a/")).headers["set-cookie"]
        for part in (
            "shop=",
            "Path=/a/",
            "Secure",
            "SameSite=Strict",
            "Domain=testserver",
            "HttpOnly",
            "Max-Age=60",
            "expires=",
        ):
            assert part in cookie
        assert "Max-Age" not in (await page.get("/b/")).headers["set-cookie"]


async def test_save_every_request(db: Any) -> None:
    async with serving(*VIEWS, **sessions(SESSION_SAVE_EVERY_REQUEST=True)) as page:
        # Nothing is in it, so there is nothing to save.
        assert "set-cookie" not in (await page.get("/ignore/")).headers
        await page.get("/count/")
        assert "set-cookie" in (await page.get("/ignore/")).headers


async def test_an_expired_session_is_a_new_one(db: Any) -> None:
    async with serving(*VIEWS, **sessions()) as page:
        await page.get("/count/")
        await Session.objects.update(expire_date="2020-01-01T00:00Z")
        assert (await page.get("/count/")).text == "1"


async def test_a_failed_request_saves_nothing(db: Any) -> None:
    async def failing(request: Any) -> Any:
        (await request.session)["n"] = 1
        return PlainTextResponse("", 503)

    def raising(request: Any) -> Any:
        request.session["n"] = 1
        raise ValueError("the view is broken")

    urls = path("f/", failing), path("r/", raising)
    async with serving(*urls, **sessions()) as page:
        for url in ("/f/", "/r/"):
            response = await page.get(url)
            assert response.status_code >= 500
            assert "set-cookie" not in response.headers
    assert await Session.objects.count() == 0


async def test_a_session_that_was_not_awaited_is_an_error(db: Any) -> None:
    async def view(request: Any) -> Any:
        for use in (
            lambda s: s["n"],
            lambda s: s.get("n"),
            lambda s: s.update({"n": 1}),
            lambda s: "n" in s,
            lambda s: s.keys(),
        ):
            with pytest.raises(
                NotAwaitedError, match="session = await request.session"
            ):
                use(request.session)
        session = await request.session
        assert session is request.session
        assert await session is session
        return PlainTextResponse(str(session.get("n")))

    async with serving(path("", view), *VIEWS, **sessions()) as page:
        # For a new visitor as for one with a session.
        assert (await page.get("/")).text == "None"
        await page.get("/count/")
        assert (await page.get("/")).text == "1"


async def test_tasks_of_a_request_load_the_session_once(
    db: Any, queries: list[str]
) -> None:
    async def view(request: Any) -> Any:
        async def put(key: str) -> None:
            (await request.session)[key] = key

        await asyncio.gather(*(put(key) for key in "abc"), request.session.aget("x"))
        return PlainTextResponse(" ".join(sorted((await request.session).keys())))

    async with serving(path("", view), *VIEWS, **sessions()) as page:
        await page.get("/count/")
        queries.clear()
        assert (await page.get("/")).text == "a b c n"
        assert len([q for q in queries if q.startswith("SELECT")]) == 1


async def test_a_template_loads_the_session(db: Any, queries: list[str]) -> None:
    async def view(request: Any) -> Any:
        return await render(request, "a.html")

    async def quiet(request: Any) -> Any:
        return await render(request, "b.html")

    texts = {"a.html": "{{ request.session.n }}", "b.html": "-"}
    urls = *VIEWS, path("", view), path("quiet/", quiet)
    async with serving(*urls, **sessions(), **templates(files=texts)) as page:
        await page.get("/count/")
        assert (await page.get("/")).text == "1"
        queries.clear()
        assert (await page.get("/quiet/")).text == "-"
        assert queries == []


async def test_a_session_deleted_meanwhile_is_answered_with_400(db: Any) -> None:
    async def interrupted(request: Any) -> Any:
        session = await request.session
        session["n"] = 5
        await Session.objects.all().delete()
        return PlainTextResponse("")

    async with serving(path("x/", interrupted), *VIEWS, **sessions()) as page:
        await page.get("/count/")
        assert (await page.get("/x/")).status_code == 400
    assert await Session.objects.count() == 0


async def test_two_requests_of_one_session(db: Any) -> None:
    """Both are answered, the last one to save wins, and the session stays one."""
    arrived = asyncio.Barrier(2)

    async def view(request: Any, key: str) -> Any:
        (await request.session)[key] = 1
        await arrived.wait()
        return PlainTextResponse("")

    async with serving(path("x/<key>/", view), *VIEWS, **sessions()) as page:
        await page.get("/count/")
        key = page.cookies["sessionid"]
        answers = await asyncio.gather(page.get("/x/a/"), page.get("/x/b/"))
        assert [a.status_code for a in answers] == [200, 200]
        assert page.cookies["sessionid"] == key
    session = await Session.objects.get()
    assert set(session.get_decoded()) in ({"n", "a"}, {"n", "b"})


async def test_a_stream_saves_before_its_first_byte(db: Any) -> None:
    async def view(request: Any) -> Any:
        (await request.session)["n"] = 9

        async def pieces() -> Any:
            yield str(await Session.objects.count())

        return StreamingResponse(pieces())

    async with serving(path("", view), *VIEWS, **sessions()) as page:
        assert (await page.get("/")).text == "1"
        assert (await page.get("/read/")).text == "9"


async def test_what_a_stream_changes_is_kept(
    db: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def plain(request: Any) -> Any:
        def pieces() -> Any:
            # The headers go out with the first piece.
            request.session["n"] = 3
            yield "a"
            request.session["n"] += 1
            yield "b"

        return StreamingResponse(pieces())

    def late(request: Any) -> Any:
        def pieces() -> Any:
            yield "a"
            request.session["n"] = 5

        return StreamingResponse(pieces())

    urls = path("", plain), path("late/", late)
    async with serving(*urls, *VIEWS, **sessions()) as page:
        assert (await page.get("/late/")).text == "a"
        assert "too late to set a cookie" in caplog.text
        assert (await page.get("/")).text == "ab"
        assert (await page.get("/read/")).text == "4"
        await page.get("/late/")
        assert (await page.get("/read/")).text == "5"
