"""WebSockets: the connection that a view gets, and what happens when it goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, Self

import starlette.websockets
from asgiref.sync import iscoroutinefunction
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect, WebSocketState

from vinyl.web.requests import Request
from vinyl.web.responses import PlainTextResponse, Response, to_json

__all__ = ["WebSocket", "WebSocketDisconnect", "websocket"]

# Close codes of RFC 6455.
POLICY_VIOLATION, INTERNAL_ERROR = 1008, 1011


class WebSocket(starlette.websockets.WebSocket):
    """
    Starlette's WebSocket, with the `user` and the `session` that requests have, and
    JSON that knows model values.
    """

    # What these look at is the scope, which both have.
    path: Any = Request.path
    path_info: Any = Request.path_info
    resolve: Any = Request.resolve
    resolver_match: Any = Request.resolver_match
    cookies: Any = Request.cookies
    session: Any = Request.session
    user: Any = Request.user
    auser: Any = Request.auser
    _from_middleware: Any = Request._from_middleware

    @classmethod
    def of(cls, scope: Scope, receive: Receive, send: Send) -> Self:
        """The WebSocket of *scope*, the same one in each middleware and in the view."""
        made = scope.get("vinyl.request")
        if made is None:
            made = scope["vinyl.request"] = cls(scope, receive, send)
        else:
            made.scope, made._receive, made._send = scope, receive, send
        return made

    async def send_json(self, data: Any, mode: str = "text") -> None:
        """
        Send *data* as JSON, written as `JSONResponse` writes it.

        Args:
            mode: `"text"` or `"binary"`, the kind of message.

        Raises:
            NotFetchedError, NotAwaitedError, TypeError: As for `JSONResponse`.

        Switches to the event loop.
        """
        if mode == "text":
            await self.send_text(to_json(data))
        elif mode == "binary":
            await self.send_bytes(to_json(data).encode())
        else:
            raise ValueError(f"The mode is {mode!r}; it can be 'text' or 'binary'.")


def websocket(view: Callable) -> Callable:
    """
    Make *view* serve WebSockets, at any place of the urlpatterns:

        @websocket
        async def chat(websocket, room):
            await websocket.accept()
            async for text in websocket.iter_text():
                await websocket.send_text(text)

    An HTTP request for it is answered with 426. The connection is closed when the view
    returns; with code 1011 when it raises.

    Raises:
        TypeError: *view* is not `async def`.
    """
    if not iscoroutinefunction(view) and not iscoroutinefunction(
        getattr(view, "__call__", None)  # noqa: B004
    ):
        raise TypeError(
            f"{view!r} is no `async def`, and cannot serve a WebSocket: it would have "
            f"to wait for messages. Write `async def`, and `await` in it."
        )

    @wraps(view)
    async def serve(connection: Any, *args: Any, **kwargs: Any) -> Response | None:
        if isinstance(connection, starlette.websockets.WebSocket):
            await view(connection, *args, **kwargs)
            return None
        return PlainTextResponse(
            "This address is for WebSockets.",
            HTTPStatus.UPGRADE_REQUIRED,
            {"Upgrade": "websocket", "Connection": "Upgrade"},
        )

    serve.is_websocket = True  # type: ignore[attr-defined]
    return serve


async def finish(connection: WebSocket, described: Callable[[], str]) -> None:
    """
    Close *connection*, whose view has returned.

    Args:
        described: Gives what errors call the view.

    Raises:
        RuntimeError: The view has neither accepted nor refused it.
    """
    if connection.application_state is WebSocketState.CONNECTING:
        raise RuntimeError(
            f"{described()} returned before it had answered the client. Call `await "
            f"websocket.accept()` first, or refuse with `await websocket.close()`."
        )
    left = connection.client_state is WebSocketState.DISCONNECTED
    if connection.application_state is WebSocketState.CONNECTED and not left:
        await connection.close()


async def refuse(
    scope: Scope, receive: Receive, send: Send, status: int, text: str
) -> None:
    """Refuse a WebSocket; with *status* where the server can tell it, else with 403."""
    if "websocket.http.response" in scope.get("extensions", {}):
        await PlainTextResponse(text, status)(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
