"""Messages: added anywhere without waiting, shown once, kept across redirects."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import messages as djangos
from django.contrib.messages.storage.fallback import FallbackStorage
from django.http import HttpResponseRedirect
from django.utils.crypto import get_random_string

from tests.web.serving import serving, templates
from vinyl.web import PlainTextResponse, messages, path, redirect, render, stream

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

STORAGES = [
    "cookie.CookieStorage",
    "session.SessionStorage",
    "fallback.FallbackStorage",
]
TEXTS = {
    "page.html": "{% for m in messages %}[{{ m.tags }}: {{ m }}]{% endfor %}",
    "quiet.html": "-",
    # Longer than one piece, with the messages at the end.
    "late.html": "{% for n in range(200) %}{{ n }} {% endfor %}{{ messages|list }}",
}


async def add(request: Any) -> Any:
    messages.success(request, "Saved <it>.")
    djangos.warning(request, "But", extra_tags="loud")
    return redirect("/page/")


def add_plainly(request: Any) -> Any:
    djangos.success(request, "Saved <it>.")
    messages.warning(request, "But", extra_tags="loud")
    return HttpResponseRedirect("/page/")


async def page_view(request: Any) -> Any:
    return await render(request, "page.html")


async def quiet(request: Any) -> Any:
    return await render(request, "quiet.html")


async def streamed(request: Any) -> Any:
    return stream(request, "page.html")


async def streamed_late(request: Any) -> Any:
    return stream(request, "late.html")


async def unrendered(request: Any) -> Any:
    await request.session
    found = " ".join(str(m) for m in messages.get_messages(request))
    return PlainTextResponse(found)


async def add_many(request: Any) -> Any:
    for _ in range(50):
        messages.info(request, get_random_string(200))
    return redirect("/page/")


VIEWS = (
    path("add/", add),
    path("add/plain/", add_plainly),
    path("many/", add_many),
    path("page/", page_view),
    path("quiet/", quiet),
    path("streamed/", streamed),
    path("late/", streamed_late),
    path("list/", unrendered),
)
SHOWN = "[success: Saved &lt;it&gt;.][loud warning: But]"


def settings(storage: str = "fallback.FallbackStorage") -> dict[str, Any]:
    return {
        "MIDDLEWARE": [
            "vinyl.web.sessions.SessionMiddleware",
            "vinyl.web.messages.MessagesMiddleware",
        ],
        "MESSAGE_STORAGE": f"django.contrib.messages.storage.{storage}",
        **templates(
            files=TEXTS,
            context_processors=["django.contrib.messages.context_processors.messages"],
        ),
    }


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("url", ["/add/", "/add/plain/"])
async def test_a_message_is_shown_once_on_the_next_page(storage: str, url: str) -> None:
    async with serving(*VIEWS, **settings(storage)) as page:
        response = await page.get(url)
        assert response.status_code == 302
        # A page that shows none keeps them.
        assert (await page.get("/quiet/")).text == "-"
        assert (await page.get("/page/")).text == SHOWN
        assert (await page.get("/page/")).text == ""
        # Both are kept until they are shown.
        await page.get(url)
        await page.get(url)
        assert (await page.get("/list/")).text == "Saved <it>. But Saved <it>. But"
        assert (await page.get("/list/")).text == ""


@pytest.mark.parametrize("storage", STORAGES)
async def test_a_streamed_page_shows_a_message_once(
    storage: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(*VIEWS, **settings(storage)) as page:
        await page.get("/add/")
        assert (await page.get("/streamed/")).text == SHOWN
        assert (await page.get("/page/")).text == ""
        assert "shown again" not in caplog.text
        await page.get("/add/")
        assert "Saved" in (await page.get("/late/")).text
        assert "old ones will be shown again" in caplog.text


async def test_more_than_a_cookie_holds_goes_to_the_session() -> None:
    async with serving(*VIEWS, **settings()) as page:
        await page.get("/many/")
        assert set(page.cookies) == {"messages", "sessionid"}
        shown = (await page.get("/page/")).text
        assert shown.count("[info: ") == 50
        assert (await page.get("/page/")).text == ""


async def test_a_page_without_messages_asks_nothing(queries: list[str]) -> None:
    async with serving(*VIEWS, **settings("session.SessionStorage")) as page:
        await page.get("/add/")
        queries.clear()
        response = await page.get("/quiet/")
        assert queries == []
        assert "vary" not in response.headers


@pytest.mark.parametrize("cookie", ["rubbish", "a" * 5000, "%00", '"\\000"'])
async def test_a_forged_cookie_brings_no_message(cookie: str) -> None:
    async with serving(*VIEWS, **settings()) as page:
        response = await page.get("/page/", headers={"cookie": f"messages={cookie}"})
        assert (response.status_code, response.text) == (200, "")


async def test_without_the_middleware_adding_is_an_error() -> None:
    async def view(request: Any) -> Any:
        with pytest.raises(djangos.MessageFailure):
            messages.success(request, "Saved.")
        messages.success(request, "Saved.", fail_silently=True)
        return PlainTextResponse("")

    async with serving(path("", view)) as page:
        assert (await page.get("/")).status_code == 200


async def test_a_storage_is_made_only_if_a_view_has_messages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = []

    async def plain(request: Any) -> Any:
        return PlainTextResponse("")

    class Noting(FallbackStorage):
        def __init__(self, request: Any) -> None:
            made.append(request.path)
            super().__init__(request)

    monkeypatch.setattr(
        "django.contrib.messages.storage.import_string", lambda path: Noting
    )
    async with serving(*VIEWS, path("plain/", plain), **settings()) as http:
        # The first request shows that a storage can be made.
        for url in ("/plain/", "/plain/", "/add/", "/plain/"):
            await http.get(url)
        assert "Saved" in (await http.get("/page/")).text
    assert made == ["/plain/", "/add/", "/page/"]
