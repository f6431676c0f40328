"""The client's side of WebSockets in tests."""

from __future__ import annotations

import json
import math
from typing import Any, Self

import anyio
import httpx
from starlette.types import ASGIApp, Message
from starlette.websockets import WebSocketDisconnect

from vinyl.web.testing.transport import Conversation, Transport

__all__ = ["WebSocketDenied", "WebSocketDisconnect", "WebSocketSession"]

# How many messages the application may send before the test reads one.
BUFFER = 1000


class WebSocketDenied(Exception):
    """
    The application refused a WebSocket.

    Attributes:
        response: The HTTP response that the client got instead.
        code: The code it was closed with; None if the application sent a response.
    """

    def __init__(self, response: httpx.Response, code: int | None = None) -> None:
        self.response = response
        self.code = code
        super().__init__(
            f"The WebSocket at {response.request.url} was not accepted. The response "
            f"was {response.status_code}: {response.text[:200]!r}"
        )


class WebSocketSession:
    """
    The client's side of a WebSocket, made by `Client.websocket()`.

    After the application has closed the connection, receiving raises
    `WebSocketDisconnect`, with `code` and `reason`, or the application's error.

    Args:
        transport: Calls the application.
        cookies: Those of the client; the application's are added to them.
        request: The request that opens the WebSocket.
        subprotocols: Those that the client offers, the preferred one first.

    Attributes:
        subprotocol: The one that the application chose; None for none.
        headers: The headers that it accepted the connection with.
    """

    def __init__(
        self,
        transport: Transport,
        cookies: httpx.Cookies,
        request: httpx.Request,
        subprotocols: list[str],
    ) -> None:
        self.transport = transport
        self.cookies = cookies
        self.request = request
        self.offered = subprotocols
        self.subprotocol: str | None = None
        self.headers = httpx.Headers()
        # Whether the application's error has been raised in the test.
        self.has_raised = False

    async def __aenter__(self) -> Self:
        scheme = "wss" if self.request.url.scheme in ("https", "wss") else "ws"
        scope = self.transport.scope(
            self.request,
            type="websocket",
            scheme=scheme,
            subprotocols=self.offered,
            extensions={"websocket.http.response": {}},
        )
        self.socket = Socket(self.transport.app, scope)
        try:
            first = await self.socket.next()
            if first is None or first["type"] != "websocket.accept":
                await self._refused(first)
        except BaseException:
            await self.socket.abort()
            raise
        assert first is not None
        self.subprotocol = first.get("subprotocol")
        self.headers = httpx.Headers(first.get("headers") or [])
        self._keep_cookies(httpx.Response(101, headers=self.headers))
        return self

    async def _refused(self, message: Message | None) -> None:
        status, code, body = 403, None, b""
        headers: Any = []
        if message is None:
            status = 500
        elif message["type"] == "websocket.close":
            code = message.get("code", 1000)
        else:
            status, headers = message["status"], message.get("headers", [])
            while (piece := await self.socket.next()) is not None:
                body += piece.get("body", b"")
                if not piece.get("more_body"):
                    break
        await self.socket.leave()
        self._complain()
        response = httpx.Response(status, headers=headers, content=body)
        self._keep_cookies(response)
        raise WebSocketDenied(response, code)

    def _keep_cookies(self, response: httpx.Response) -> None:
        response.request = self.request
        self.cookies.extract_cookies(response)

    def _complain(self) -> None:
        error = self.socket.error
        raising = self.transport.raise_request_exception
        if error is not None and raising and not self.has_raised:
            self.has_raised = True
            raise error

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self.socket.disconnect(1000, "")
        await self.socket.leave()
        if error is None:
            self._complain()

    async def send_text(self, text: str) -> None:
        """Send *text*. Never switches."""
        await self._send({"text": text})

    async def send_bytes(self, data: bytes) -> None:
        """Send *data* in a binary message. Never switches."""
        await self._send({"bytes": data})

    async def send_json(self, data: Any) -> None:
        """Send *data* as JSON in a text message. Never switches."""
        await self._send({"text": json.dumps(data)})

    async def _send(self, content: dict[str, Any]) -> None:
        if self.socket.over:
            raise WebSocketDisconnect(1006, "The connection is closed.")
        self.socket.give({"type": "websocket.receive", **content})

    async def receive(self) -> Message:
        """
        Return the next ASGI message from the application, of the type "websocket.send"
        or "websocket.close". Switches to the event loop.
        """
        message = await self.socket.next()
        if message is None or message["type"] == "websocket.close":
            await self.socket.leave()
            self._complain()
        return message or {"type": "websocket.close", "code": 1006}

    async def _received(self) -> Message:
        message = await self.receive()
        if message["type"] == "websocket.close":
            raise WebSocketDisconnect(message.get("code", 1000), message.get("reason"))
        return message

    async def receive_text(self) -> str:
        """Return the text of the next message. Switches to the event loop."""
        return (await self._received())["text"]

    async def receive_bytes(self) -> bytes:
        """Return the data of the next message. Switches to the event loop."""
        return (await self._received())["bytes"]

    async def receive_json(self) -> Any:
        """
        Return the content of the next message, text or bytes, decoded from JSON.
        Switches to the event loop.
        """
        message = await self._received()
        text = message.get("text")
        return json.loads(message["bytes"] if text is None else text)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """
        Close the connection from the client's side, with *code* of RFC 6455 and
        *reason*, and wait for the application to end. Switches to the event loop.
        """
        self.socket.disconnect(code, reason)
        await self.socket.leave()
        self._complain()


class Socket(Conversation):
    """The application's side of a WebSocket."""

    def __init__(self, app: ASGIApp, scope: Any) -> None:
        self.giving, self.given = anyio.create_memory_object_stream[Message](math.inf)
        self.over = False
        self.give({"type": "websocket.connect"})
        super().__init__(app, scope, BUFFER)

    def give(self, message: Message) -> None:
        self.giving.send_nowait(message)

    def disconnect(self, code: int, reason: str) -> None:
        if not self.over:
            self.over = True
            message = {"type": "websocket.disconnect", "code": code, "reason": reason}
            self.give(message)

    async def _run(self) -> None:
        try:
            await super()._run()
        finally:
            self.over = True
            self.given.close()
            self.giving.close()

    async def receive(self) -> Message:
        return await self.given.receive()

    async def send(self, message: Message) -> None:
        if message["type"] == "websocket.close":
            self.disconnect(message.get("code", 1000), message.get("reason") or "")
        await super().send(message)

    async def send_to_nobody(self) -> None:
        raise OSError("The client has closed the WebSocket.")
