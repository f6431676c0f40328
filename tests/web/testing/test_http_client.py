"""The client for tests: in the test's own loop, around the application's lifespan."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, unreachable"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.records.models import Artist
from tests.web.serving import serving
from vinyl.orm import transaction
from vinyl.web import JSONResponse, path
from vinyl.web.testing import Client, client

pytestmark = pytest.mark.anyio


async def test_runs_the_lifespan_around_the_requests() -> None:
    events: list[Any] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        events.append(asyncio.current_task())
        yield {"events": events}
        events.append("shutdown")

    async def home(request: Request) -> PlainTextResponse:
        request.state.events.append("request")
        return PlainTextResponse(str(request.url))

    app = Starlette(routes=[Route("/", home)], lifespan=lifespan)
    async with client(app) as http:
        assert (await http.get("/")).text == "http://testserver/"
    async with client(app, base_url="https://shop.test", headers={"a": "b"}) as http:
        response = await http.get("/")
        assert response.text == "https://shop.test/"
        assert response.request.headers["a"] == "b"
    assert events == [asyncio.current_task(), "request", "shutdown"] * 2


@pytest.mark.parametrize(
    ("allowed", "host"),
    [
        ([], "localhost"),
        (["shop.example.org", "*.test"], "shop.example.org"),
        ([".example.org"], "example.org"),
        (["shop.example.org", "testserver"], "testserver"),
        (["shop.example.org", "*"], "testserver"),
    ],
)
async def test_asks_for_a_host_that_the_settings_allow(
    allowed: list[str], host: str
) -> None:
    """Outside of tests, such as in a script, nobody has allowed "testserver"."""

    async def home(request: Any) -> JSONResponse:
        return JSONResponse([request.get_host(), str(request.url)])

    async with serving(path("", home), ALLOWED_HOSTS=allowed, DEBUG=True) as http:
        response = await http.get("/")
    assert response.json() == [host, f"http://{host}/"]


def passed_through(app: Any) -> Any:
    """*app* as one of which nothing is known."""

    async def other(*args: Any) -> None:
        await app(*args)

    return other


async def test_any_asgi_app_will_do() -> None:
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        events.append("startup")
        yield {"word": "yes"}
        events.append("shutdown")

    async def home(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.state.word)

    app = passed_through(Starlette(routes=[Route("/", home)], lifespan=lifespan))
    async with client(app) as http:
        assert (await http.get("/")).text == "yes"
        assert events == ["startup"]
    assert events == ["startup", "shutdown"]

    async def without_lifespan(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        await PlainTextResponse("here")(scope, receive, send)

    async with client(without_lifespan) as http:
        assert (await http.get("/")).text == "here"


async def test_a_start_that_fails_says_why() -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise ZeroDivisionError("no start")
        yield

    with pytest.raises(RuntimeError, match="could not start.*no start") as caught:
        async with client(passed_through(Starlette(lifespan=lifespan))):
            pass
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_a_shutdown_that_fails_says_why() -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        raise ZeroDivisionError("no end")

    with pytest.raises(RuntimeError, match="failed while it shut down.*no end"):
        async with client(passed_through(Starlette(lifespan=lifespan))):
            pass


async def test_a_request_is_inside_the_tests_transaction(db: str) -> None:
    async def names(request: Any) -> Any:
        await Artist.objects.create(name="from the view")
        artists = await Artist.objects.order_by("pk")
        return JSONResponse([artist.name for artist in artists])

    async with serving(path("", names)) as http:
        async with transaction.atomic():
            await Artist.objects.create(name="from the test")
            answer = (await http.get("/")).json()
            transaction.set_rollback(True)
    assert answer == ["from the test", "from the view"]
    assert await Artist.objects.count() == 0


async def test_cookies_are_kept_and_redirects_followed_when_asked() -> None:
    async def login(request: Request) -> Response:
        response = RedirectResponse("/", 302)
        response.set_cookie("name", "Nina")
        return response

    async def home(request: Request) -> Response:
        return PlainTextResponse(request.cookies.get("name", "nobody"))

    app = Starlette(routes=[Route("/login", login), Route("/", home)])
    async with client(app) as http:
        assert (await http.get("/")).text == "nobody"
        assert (await http.get("/login")).status_code == 302
        assert (await http.get("/")).text == "Nina"
    async with client(app, follow_redirects=True) as http:
        response = await http.get("/login")
        assert response.text == "Nina"
        assert [r.status_code for r in response.history] == [302]


class TestErrors:
    async def test_the_views_error_is_the_tests(self) -> None:
        async def view(request: Any) -> Any:
            raise ZeroDivisionError("in the view")

        async with serving(path("", view), raising=True) as http:
            with pytest.raises(ZeroDivisionError, match="in the view"):
                await http.get("/")
            # What is no mistake has its page.
            assert (await http.get("/nowhere/")).status_code == 404
        async with serving(path("", view)) as http:
            assert (await http.get("/")).status_code == 500

    async def test_an_app_that_fails_without_an_answer(self) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            raise ZeroDivisionError("no answer")

        with pytest.raises(ZeroDivisionError):
            await Client(app).get("/")
        http = Client(app, raise_request_exception=False)
        assert (await http.get("/")).status_code == 500
