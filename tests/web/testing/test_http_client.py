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
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import (
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.records.models import Artist
from tests.web.serving import serving
from vinyl.orm import transaction
from vinyl.web import JSONResponse, path, websocket
from vinyl.web.testing import Client, WebSocketDenied, client

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


class TestStreams:
    async def test_pieces_arrive_as_they_are_sent(self) -> None:
        asked = asyncio.Event()

        async def pieces() -> AsyncIterator[str]:
            yield "one"
            await asked.wait()
            yield "two"

        async def view(request: Request) -> Response:
            return StreamingResponse(pieces())

        async with client(Starlette(routes=[Route("/", view)])) as http:
            async with http.stream("GET", "/") as response:
                arriving = response.aiter_text()
                assert await anext(arriving) == "one"
                asked.set()
                assert await anext(arriving) == "two"
                with pytest.raises(StopAsyncIteration):
                    await anext(arriving)

    @pytest.mark.parametrize("waiting", [True, False])
    async def test_leaving_an_endless_stream_ends_it(self, waiting: bool) -> None:
        ended = False

        async def pieces() -> AsyncIterator[str]:
            nonlocal ended
            try:
                while True:
                    yield "more"
                    if waiting:
                        await asyncio.Event().wait()
            finally:
                ended = True

        async def view(request: Request) -> Response:
            return StreamingResponse(pieces())

        async with client(Starlette(routes=[Route("/", view)])) as http:
            async with http.stream("GET", "/") as response:
                assert await anext(response.aiter_text()) == "more"
        # Where Starlette is cancelled while it sends, the generator is closed later.
        assert ended or not waiting

    async def test_an_app_that_goes_on_without_its_client_is_an_error(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("vinyl.web.testing.transport.LEAVE_TIMEOUT", 0.05)
        cancelled = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200})
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(scope["path"])
                raise

        with pytest.raises(TimeoutError, match=r"still served '/endless/' 0\.05 s"):
            async with Client(app).stream("GET", "/endless/"):
                pass
        assert cancelled == ["/endless/"]

    async def test_a_cancelled_request_cancels_the_application(self) -> None:
        begun, cancelled = asyncio.Event(), []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(scope["path"])
                raise

        request = asyncio.create_task(Client(app).get("/slow/"))
        await begun.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert cancelled == ["/slow/"]

    async def test_what_runs_after_the_response_has_run_when_it_is_there(self) -> None:
        done = []

        async def later() -> None:
            await asyncio.sleep(0.01)
            done.append("later")

        async def view(request: Request) -> Response:
            return PlainTextResponse("", background=BackgroundTask(later))

        async with client(Starlette(routes=[Route("/", view)])) as http:
            await http.get("/")
            assert done == ["later"]


class TestWebSockets:
    async def test_messages_of_each_kind(self) -> None:
        async def echo(ws: WebSocket) -> None:
            await ws.accept("chat", [(b"set-cookie", b"seen=1")])
            await ws.send_text(await ws.receive_text())
            await ws.send_bytes(await ws.receive_bytes())
            await ws.send_json(await ws.receive_json())
            await ws.close(3000, "enough")

        async with client(Starlette(routes=[WebSocketRoute("/ws", echo)])) as http:
            async with http.websocket("/ws", subprotocols=["chat", "other"]) as ws:
                assert ws.subprotocol == "chat"
                await ws.send_text("text")
                assert await ws.receive_text() == "text"
                await ws.send_bytes(b"bytes")
                assert await ws.receive_bytes() == b"bytes"
                await ws.send_json({"a": 1})
                assert await ws.receive_json() == {"a": 1}
                with pytest.raises(WebSocketDisconnect) as caught:
                    await ws.receive_text()
                with pytest.raises(WebSocketDisconnect):
                    await ws.send_text("too late")
            assert http.cookies["seen"] == "1"
        assert (caught.value.code, caught.value.reason) == (3000, "enough")

    async def test_address_and_headers(self) -> None:
        async def show(ws: WebSocket) -> None:
            await ws.accept()
            await ws.send_json(
                [str(ws.url), ws.cookies, ws.headers["x-a"], ws.headers["upgrade"]]
            )

        app = Starlette(routes=[WebSocketRoute("/ws", show)])
        async with Client(
            app, base_url="https://shop.test", cookies={"a": "1"}
        ) as http:
            where = http.websocket("/ws", params={"q": "1"}, headers={"x-a": "2"})
            async with where as ws:
                assert await ws.receive_json() == [
                    "wss://shop.test/ws?q=1",
                    {"a": "1"},
                    "2",
                    "websocket",
                ]

    async def test_refusals_are_errors(self) -> None:
        async def closes(ws: WebSocket) -> None:
            await ws.close(4001)

        async def answers(ws: WebSocket) -> None:
            await ws.send_denial_response(PlainTextResponse("who?", 401))

        async def fails(ws: WebSocket) -> None:
            raise ZeroDivisionError("before the answer")

        routes = [
            WebSocketRoute("/closes", closes),
            WebSocketRoute("/answers", answers),
            WebSocketRoute("/fails", fails),
        ]
        async with client(Starlette(routes=routes)) as http:
            with pytest.raises(WebSocketDenied) as caught:
                async with http.websocket("/closes"):
                    pass
            assert (caught.value.code, caught.value.response.status_code) == (4001, 403)
            with pytest.raises(WebSocketDenied, match="401: 'who.'") as caught:
                async with http.websocket("/answers"):
                    pass
            assert caught.value.response.text == "who?"
            with pytest.raises(ZeroDivisionError):
                async with http.websocket("/fails"):
                    pass

    async def test_leaving_is_a_disconnect(self) -> None:
        codes = []

        async def listen(ws: WebSocket) -> None:
            await ws.accept()
            try:
                await ws.receive_text()
            except WebSocketDisconnect as error:
                codes.append(error.code)

        async with client(Starlette(routes=[WebSocketRoute("/ws", listen)])) as http:
            async with http.websocket("/ws"):
                pass
            async with http.websocket("/ws") as ws:
                await ws.close(4000)
        assert codes == [1000, 4000]

    async def test_the_views_error_is_the_tests(self) -> None:
        @websocket
        async def view(ws: Any) -> None:
            await ws.accept()
            raise ZeroDivisionError("in the view")

        async with serving(path("ws/", view), raising=True) as http:
            async with http.websocket("/ws/") as ws:
                with pytest.raises(ZeroDivisionError, match="in the view"):
                    await ws.receive_text()
                with pytest.raises(WebSocketDisconnect):
                    await ws.send_text("too late")
