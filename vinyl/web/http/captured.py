"""The response of an ASGI app as an object, for middleware that returns responses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import starlette.responses
from django.http.response import HttpResponseBase
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope

from vinyl.web.http.responses import Response
from vinyl.web.http.streaming import StreamingResponse, cancel_and_wait

__all__ = ["Capture", "as_response"]

# What servers offer to send besides the content, or in its place: a response has none.
HIDDEN_EXTENSIONS = (
    "http.response.pathsend",
    "http.response.trailers",
    "http.response.zerocopysend",
)


class Capture:
    """
    One call of an ASGI app, whose messages become a response.

    The app runs in a task, because it goes on while the response is sent: a stream, and
    the background tasks after a response.

    Args:
        app: The app.
        scope, receive: Its arguments.
    """

    def __init__(self, app: ASGIApp, scope: Scope, receive: Receive) -> None:
        if "extensions" in scope:
            extensions = scope["extensions"] or {}
            scope["extensions"] = {
                name: value
                for name, value in extensions.items()
                if name not in HIDDEN_EXTENSIONS
            }
        # At most one message ahead, so that a stream waits for its reader. None is the
        # end of the app.
        self._messages: asyncio.Queue[Message | None] = asyncio.Queue(1)
        # Whether the app has sent the whole response, and whether it has been read.
        self._is_sent = False
        self._is_whole = False
        self._has_left = False
        self._task = asyncio.ensure_future(self._run(app, scope, receive))

    async def _run(self, app: ASGIApp, scope: Scope, receive: Receive) -> None:
        async def noting_disconnect() -> Message:
            message = await receive()
            self._has_left = message["type"] == "http.disconnect"
            return message

        try:
            await app(scope, noting_disconnect, self._send)
        except asyncio.CancelledError:
            # Nobody reads any more.
            raise
        except Exception:
            await self._messages.put(None)
            raise
        if not self._is_whole:
            await self._messages.put(None)

    async def _send(self, message: Message) -> None:
        if self._is_sent:
            # Nobody would read it, so the app would wait for ever.
            raise RuntimeError(
                f"The application inside the middleware has sent "
                f"{message['type']!r} after the end of its response."
            )
        if message["type"] == "http.response.body":
            self._is_sent = not message.get("more_body", False)
        await self._messages.put(message)

    async def response(self) -> Response:
        """
        Return the response that the app begins to send.

        Raises:
            RuntimeError: The app has sent none.
            ClientDisconnect: It has sent none, because the client has left.
            Exception: The error that the app has raised instead.

        Switches to the event loop.
        """
        start = await self._next("http.response.start")
        body = await self._next("http.response.body")
        content, status = body.get("body", b""), start["status"]
        self._is_whole = not body.get("more_body", False)
        response: Response
        if self._is_whole:
            response = Response(content, status)
        else:
            response = StreamingResponse(self._pieces(content), status)
        response.raw_headers = list(start.get("headers", ()))
        return response

    async def _next(self, kind: str) -> Message:
        while (message := await self._messages.get()) is not None:
            if message["type"] == kind:
                return message
        # Raises the error of the app, if there was one.
        await self._task
        if self._has_left:
            # Some servers tell this one caller of receive() only.
            raise ClientDisconnect
        raise RuntimeError(
            "The application inside the middleware has ended without a whole response."
        )

    async def _pieces(self, piece: bytes) -> AsyncIterator[bytes]:
        yield piece
        while not self._is_whole:
            body = await self._next("http.response.body")
            self._is_whole = not body.get("more_body", False)
            yield body.get("body", b"")

    async def end(self) -> None:
        """
        Wait for the end of the app, and its background tasks; cancel it if its response
        was not sent as a whole. Switches to the event loop.
        """
        if not self._is_whole:
            await cancel_and_wait(self._task)
            return
        try:
            await self._task
        except asyncio.CancelledError:
            await cancel_and_wait(self._task)
            raise


def as_response(app: Any) -> Response | HttpResponseBase | None:
    """
    Return *app* as a response of vinyl or Django: itself, or a copy of one of
    Starlette's. None if it is another ASGI app, which must be captured. Never switches.
    """
    if isinstance(app, (Response, HttpResponseBase)):
        return app
    plain = starlette.responses.Response
    if not isinstance(app, plain) or type(app).__call__ is not plain.__call__:
        return None
    response = Response(app.body, app.status_code, background=app.background)
    response.raw_headers = list(app.raw_headers)
    return response
