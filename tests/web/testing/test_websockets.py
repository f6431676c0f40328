"""The client's side of a WebSocket."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.web.serving import serving
from vinyl.web import path, websocket
from vinyl.web.testing import Client, WebSocketDenied, client

pytestmark = pytest.mark.anyio


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
