"""
The transport between a test's client and the application: no socket and no thread.

`httpx.ASGITransport` returns a response only after the application has ended, so an
endless stream cannot be tested with it. Here each piece arrives when it is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
from starlette.types import ASGIApp, Message, Scope

__all__ = ["Conversation", "Transport"]

# How long an application may take to end after its client has left, in seconds.
LEAVE_TIMEOUT = 10.0


def scope_of(request: httpx.Request, **further: Any) -> Scope:
    """Return the ASGI scope of *request*, with *further* keys. Never switches."""
    url = request.url
    return {
        # As uvicorn's, whose send() is silent after the client has left.
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.partition(b"?")[0],
        "query_string": url.query,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (url.host, url.port),
        "client": ("127.0.0.1", 50000),
        "root_path": "",
        **further,
    }


class Conversation:
    """
    An application that runs in a task of its own, and the ASGI messages exchanged with
    it. The task is a child of the test's, so it is inside the test's transaction.

    Args:
        app: The application.
        scope: Its scope.
        buffer: How many messages it may send before the next one waits to be read.
    """

    def __init__(self, app: ASGIApp, scope: Scope, buffer: float) -> None:
        self.app = app
        self.scope = scope
        # Set when the client has the whole response, or has disconnected.
        self.left = asyncio.Event()
        self.sending, self.messages = anyio.create_memory_object_stream[Message](buffer)
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            await self.app(self.scope, self.receive, self.send)
        finally:
            self.sending.close()

    async def receive(self) -> Message:
        raise NotImplementedError

    async def send(self, message: Message) -> None:
        try:
            await self.sending.send(message)
        except anyio.BrokenResourceError:
            await self.send_to_nobody()

    async def send_to_nobody(self) -> None:
        # A loop that only sends must not keep other tasks from running.
        await asyncio.sleep(0)

    async def next(self) -> Message | None:
        """Return the application's next message; None if it has ended."""
        try:
            return await self.messages.receive()
        except anyio.EndOfStream:
            return None

    @property
    def error(self) -> BaseException | None:
        """The error that the application raised, or answered with an error page."""
        if self.task.done() and not self.task.cancelled():
            if error := self.task.exception():
                return error
        return self.scope.get("vinyl.error")

    async def leave(self, limit: float | None = LEAVE_TIMEOUT) -> None:
        """
        Disconnect, and wait for the application to end.

        Raises:
            TimeoutError: It did not within *limit*, in seconds, and was cancelled.
        """
        self.left.set()
        self.messages.close()
        try:
            await asyncio.wait({self.task}, timeout=limit)
        except BaseException:
            await self.abort()
            raise
        if not self.task.done():
            await self.abort()
            raise TimeoutError(
                f"The application still served {self.scope['path']!r} {limit} s "
                f"after its client had left, and was cancelled. Look for a loop that "
                f"does not end when the client disconnects."
            )

    async def abort(self) -> None:
        """Cancel the application, and wait for it to end."""
        self.left.set()
        self.messages.close()
        self.task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait({self.task})


class Exchange(Conversation, httpx.AsyncByteStream):
    """One request and its response, which is read as a stream."""

    def __init__(
        self, app: ASGIApp, scope: Scope, body: httpx.AsyncByteStream, raising: bool
    ) -> None:
        self.body = aiter(body)
        self.raising = raising
        # Whether the application has got the whole request; sent the whole response.
        self.given = self.complete = False
        super().__init__(app, scope, 0)

    async def receive(self) -> Message:
        if not self.given and not self.left.is_set():
            async for piece in self.body:
                return {"type": "http.request", "body": piece, "more_body": True}
            self.given = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def start(self) -> Message:
        """Return the message that starts the response."""
        try:
            message = await self.next()
            if self.raising and self.scope.get("vinyl.error"):
                async for _ in self:
                    # The error page; the error itself is raised instead.
                    pass
                await self.aclose()
        except BaseException:
            await self.abort()
            raise
        if message is not None:
            return message
        await self.leave()
        self.complain()
        self.complete = True
        return {"type": "http.response.start", "status": 500, "headers": []}

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while not self.complete:
            message = await self.next()
            if message is None:
                await self.leave()
                self.complain()
                raise httpx.RemoteProtocolError(
                    f"The application ended in the middle of its response to "
                    f"{self.scope['path']!r}: {self.error!r}"
                ) from self.error
            if not message.get("more_body", False):
                self.complete = True
                self.left.set()
            piece = message.get("body", b"")
            if piece and self.scope["method"] != "HEAD":
                yield bytes(piece)

    async def aclose(self) -> None:
        # Background tasks may take any time.
        await self.leave(None if self.complete else LEAVE_TIMEOUT)
        self.complain()

    def complain(self) -> None:
        error = self.error
        if self.raising and error is not None:
            raise error


class Transport(httpx.AsyncBaseTransport):
    """
    An httpx transport that sends requests to *app*.

    Args:
        app: Any ASGI application.
        state: The state of the app's lifespan, for `request.state`.
        raise_request_exception: Whether an error of the application is raised in the
            test, also where visitors get an error page.
        root_path: Where the application is mounted.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        state: dict[str, Any] | None = None,
        raise_request_exception: bool = True,
        root_path: str = "",
    ) -> None:
        self.app = app
        self.state = state or {}
        self.raise_request_exception = raise_request_exception
        self.root_path = root_path

    def scope(self, request: httpx.Request, **further: Any) -> Scope:
        path = self.root_path + request.url.path
        own = {
            "root_path": self.root_path,
            "path": path,
            "state": dict(self.state),
            # Read by the log of errors.
            "vinyl.raised_in_test": self.raise_request_exception,
        }
        return scope_of(request, **own, **further)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        scope = self.scope(request, type="http", method=request.method, extensions={})
        exchange = Exchange(
            self.app, scope, request.stream, self.raise_request_exception
        )
        start = await exchange.start()
        headers = start.get("headers", [])
        return httpx.Response(start["status"], headers=headers, stream=exchange)
