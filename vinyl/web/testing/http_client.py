"""
A client for tests, of HTTP and WebSockets, which talks to the application in the test's
own event loop.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Self

import anyio
import httpx
from starlette.applications import Starlette
from starlette.types import ASGIApp, Message
from starlette.websockets import WebSocketDisconnect

from vinyl.web.application import get_asgi_application
from vinyl.web.routing.lifespan import lifespan_of
from vinyl.web.testing.transport import Conversation, Transport

__all__ = [
    "Client",
    "WebSocketDenied",
    "WebSocketDisconnect",
    "WebSocketSession",
    "client",
]

# Messages that a WebSocket's application may send before the test reads one.
BUFFER = 1000


@asynccontextmanager
async def client(
    app: ASGIApp | None = None, *, base_url: str = "http://testserver", **options: Any
) -> AsyncIterator[Client]:
    """
    A `Client` for *app*, whose lifespan runs around it:

        async with client() as http:
            response = await http.get("/")

    Args:
        app: The application; the project's own if none is given.
        base_url: Scheme and host that relative URLs start with. Django's
            `setup_test_environment()` allows the default host.
        options: Further arguments for `Client`, and for `httpx.AsyncClient`.
    """
    app = app or get_asgi_application()
    if isinstance(app, Starlette):
        # In the test's own task.
        lifespan = app.router.lifespan_context(app)
    else:
        lifespan = lifespan_of(app)
    async with lifespan as state:
        state = dict(state or {})
        async with Client(app, base_url=base_url, state=state, **options) as http:
            yield http


class Client(httpx.AsyncClient):
    """
    An `httpx.AsyncClient` whose requests *app* answers, in this event loop. It keeps
    cookies; `http.stream()` gives each piece of a response as the application sends
    it, and leaving its block is leaving the application.

    Args:
        app: Any ASGI application. Its lifespan is not run: see `client()`.
        raise_request_exception: Raise in the test what a view raised. Otherwise the
            client gets the error page, as a visitor does.
        state: What the lifespan left for `request.state`.
        root_path: Where the application is mounted, as `"/shop"`.
        options: Further arguments for `httpx.AsyncClient`, such as `headers`,
            `cookies` and `follow_redirects`.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        base_url: str = "http://testserver",
        raise_request_exception: bool = True,
        state: dict[str, Any] | None = None,
        root_path: str = "",
        **options: Any,
    ) -> None:
        self.app = app
        self.transport = Transport(
            app,
            state=state,
            raise_request_exception=raise_request_exception,
            root_path=root_path,
        )
        super().__init__(transport=self.transport, base_url=base_url, **options)

    async def login(self, **credentials: Any) -> bool:
        """
        Log in with *credentials*, as `authenticate()` takes them.

        Returns: Whether they are right. If not, nothing changes.

        Switches to the event loop.
        """
        # Here and below: this needs the apps, which the module itself does not.
        from vinyl.web.testing import login

        return await login.login(self, **credentials)

    async def force_login(self, user: Any, backend: str | None = None) -> None:
        """
        Log in as *user*, without a password.

        Args:
            backend: Dotted path of the backend that is said to know the user.

        Switches to the event loop.
        """
        from vinyl.web.testing import login

        await login.force_login(self, user, backend)

    async def logout(self) -> None:
        """Log out, and delete the session. Switches to the event loop."""
        from vinyl.web.testing import login

        await login.logout(self)

    def websocket(
        self, url: str, *, subprotocols: Iterable[str] = (), **options: Any
    ) -> WebSocketSession:
        """
        A connection to the WebSocket at *url*, open inside the block:

            async with http.websocket("/ws/") as ws:
                await ws.send_json({"text": "Hello"})
                answer = await ws.receive_json()

        Args:
            subprotocols: Those to offer; `ws.subprotocol` is the one that was taken.
            options: `headers`, `params` and `cookies`, as for a request.

        Raises:
            WebSocketDenied: When the block is entered: it was not accepted.
        """
        request = self.build_request("GET", url, **options)
        request.headers.update(
            {
                "connection": "upgrade",
                "upgrade": "websocket",
                "sec-websocket-version": "13",
                "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
            }
        )
        offered = list(subprotocols)
        if offered:
            request.headers["sec-websocket-protocol"] = ", ".join(offered)
        return WebSocketSession(self, request, offered)


class WebSocketDenied(Exception):
    """
    A WebSocket was not accepted.

    Attributes:
        response: The HTTP response that the client got instead.
        code: The code it was closed with, where the application sent no response.
    """

    def __init__(self, response: httpx.Response, code: int | None = None) -> None:
        self.response = response
        self.code = code
        super().__init__(
            f"The WebSocket at {response.request.url} was not accepted, but answered "
            f"with {response.status_code}: {response.text[:200]!r}"
        )


class WebSocketSession:
    """
    The client's side of a WebSocket; made by `Client.websocket`.

    Receiving raises `WebSocketDisconnect`, with `code` and `reason`, once the
    application has closed the connection; or what the application raised.

    Attributes:
        subprotocol: The one that the application chose; None if none.
        headers: Those that it accepted with.
    """

    def __init__(
        self, client: Client, request: httpx.Request, subprotocols: list[str]
    ) -> None:
        self.client = client
        self.request = request
        self.offered = subprotocols
        self.subprotocol: str | None = None
        self.headers = httpx.Headers()
        # Whether the test has got the application's error already.
        self.told = False

    async def __aenter__(self) -> Self:
        transport = self.client.transport
        scheme = "wss" if self.request.url.scheme in ("https", "wss") else "ws"
        scope = transport.scope(
            self.request,
            type="websocket",
            scheme=scheme,
            subprotocols=self.offered,
            extensions={"websocket.http.response": {}},
        )
        self.socket = Socket(transport.app, scope)
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
        self.client.cookies.extract_cookies(response)

    def _complain(self) -> None:
        error = self.socket.error
        raising = self.client.transport.raise_request_exception
        if error is not None and raising and not self.told:
            self.told = True
            raise error

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self.socket.disconnect(1000, "")
        await self.socket.leave()
        if error is None:
            self._complain()

    async def send_text(self, text: str) -> None:
        await self._send({"text": text})

    async def send_bytes(self, data: bytes) -> None:
        await self._send({"bytes": data})

    async def send_json(self, data: Any) -> None:
        """*data* as JSON, in a text message."""
        await self._send({"text": json.dumps(data)})

    async def _send(self, content: dict[str, Any]) -> None:
        if self.socket.over:
            raise WebSocketDisconnect(1006, "The connection is closed already.")
        self.socket.give({"type": "websocket.receive", **content})

    async def receive(self) -> Message:
        """The next ASGI message from the application, "websocket.send" or "close"."""
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
        return (await self._received())["text"]

    async def receive_bytes(self) -> bytes:
        return (await self._received())["bytes"]

    async def receive_json(self) -> Any:
        """The content of the next message, text or bytes, decoded from JSON."""
        message = await self._received()
        text = message.get("text")
        return json.loads(message["bytes"] if text is None else text)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close the connection from the client's side, and wait for the application."""
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
