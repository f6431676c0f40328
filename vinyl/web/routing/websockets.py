"""WebSockets: the connection that a view gets, and how it is closed after errors."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, Self

import starlette.websockets
from asgiref.sync import iscoroutinefunction
from django.core.exceptions import BadRequest
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect, WebSocketState

from vinyl.web.http.requests import MalformedJSON, Request
from vinyl.web.http.responses import PlainTextResponse, Response
from vinyl.web.http.strict_json import dump_json, load_json

__all__ = [
    "BadMessage",
    "WebSocket",
    "WebSocketDisconnect",
    "close_code_of",
    "finish",
    "refuse",
    "websocket",
]

# Close codes of RFC 6455.
UNSUPPORTED_DATA, INVALID_DATA = 1003, 1007
POLICY_VIOLATION, INTERNAL_ERROR = 1008, 1011


class BadMessage(BadRequest):
    """
    The client sent a message that the view cannot use. The connection is closed with
    `code` and a warning is logged, unless the view catches the error and goes on.

    Attributes:
        code: The close code of RFC 6455; 1003 by default.
    """

    code = UNSUPPORTED_DATA


class MalformedMessage(BadMessage, MalformedJSON):
    """The client sent a message that is not valid JSON."""

    code = INVALID_DATA


class WebSocket(starlette.websockets.WebSocket):
    """
    Starlette's WebSocket, with the `user` and `session` of requests, and JSON that
    encodes values of models, such as dates and decimals.

    The methods that receive raise `BadMessage` for a message of the wrong type or
    invalid JSON, and `WebSocketDisconnect` when the client has disconnected; the
    iterators end then.
    """

    # These read only the scope, which requests and WebSockets have.
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
        """
        Return the WebSocket of *scope*, the same one in each middleware and the view.
        Never switches.
        """
        made = scope.get("vinyl.request")
        if made is None:
            made = scope["vinyl.request"] = cls(scope, receive, send)
        else:
            made.scope, made._receive, made._send = scope, receive, send
        return made

    async def receive_text(self) -> str:
        """
        Return the text of the next message. Switches to the event loop.

        Raises:
            BadMessage: The message is binary.
            WebSocketDisconnect: The client has disconnected.
        """
        return await _content(super().receive_text(), "text", "binary data")

    async def receive_bytes(self) -> bytes:
        """
        Return the data of the next message. Switches to the event loop.

        Raises:
            BadMessage: The message is text.
            WebSocketDisconnect: The client has disconnected.
        """
        return await _content(super().receive_bytes(), "binary data", "text")

    async def receive_json(self, mode: str = "text") -> Any:
        """
        Return the content of the next message, decoded from JSON. Switches to the event
        loop.

        Args:
            mode: `"text"` or `"binary"`, the type of message that is expected.

        Raises:
            BadMessage: The message is of the other type.
            MalformedMessage: It is not valid JSON, or nested too deeply. A `BadMessage`
                and a `json.JSONDecodeError`.
            WebSocketDisconnect: The client has disconnected.
            ValueError: *mode* is another one.
        """
        _check_mode(mode)
        receive = self.receive_text if mode == "text" else self.receive_bytes
        content: Any = await receive()
        try:
            return load_json(content.encode() if mode == "text" else content)
        except json.JSONDecodeError as error:
            raise MalformedMessage(error.msg, error.doc, error.pos) from None
        except (ValueError, RecursionError) as error:
            raise MalformedMessage(str(error), "", 0) from error

    async def send_json(self, data: Any, mode: str = "text") -> None:
        """
        Send *data* as JSON, encoded as `JSONResponse` encodes it.

        Args:
            data: What the message contains.
            mode: `"text"` or `"binary"`, the type of the message.

        Raises:
            NotFetchedError, NotAwaitedError, TypeError, ValueError: As for
                `JSONResponse`; nothing is sent.
            ValueError: *mode* is another one.

        Switches to the event loop.
        """
        _check_mode(mode)
        if mode == "text":
            await self.send_text(dump_json(data).decode())
        else:
            await self.send_bytes(dump_json(data))


def _check_mode(mode: str) -> None:
    if mode not in ("text", "binary"):
        raise ValueError(
            f"The mode of a WebSocket message is {mode!r}, but must be 'text' or "
            f"'binary'."
        )


async def _content(receiving: Awaitable[Any], wanted: str, other: str) -> Any:
    """Return what *receiving* gives, unless the message is of the other type."""
    try:
        content = await receiving
    except KeyError:
        content = None
    # Servers leave the key of the other type out, or set it to None.
    if content is None:
        raise BadMessage(
            f"The client sent {other} where the view receives {wanted}. Send {wanted} "
            f"from the client, or catch BadMessage in the view."
        )
    return content


def websocket(view: Callable[..., Any]) -> Callable[..., Any]:
    """
    Return *view* as one that serves WebSockets, for any place of the urlpatterns:

        @websocket
        async def chat(websocket, room):
            await websocket.accept()
            async for text in websocket.iter_text():
                await websocket.send_text(text)

    An HTTP request for it gets 426. The connection is closed when the view returns;
    after an error with code 1011, after a `BadMessage` with its code.

    Args:
        view: An `async def` function of the WebSocket and what the pattern captured.

    Raises:
        TypeError: *view* is not `async def`.

    Never switches.
    """
    if not iscoroutinefunction(view) and not iscoroutinefunction(
        getattr(view, "__call__", None)  # noqa: B004
    ):
        raise TypeError(
            f"@websocket was given {view!r}, which is not `async def` and so cannot "
            f"wait for messages. Write `async def`, and `await` in it."
        )

    @wraps(view)
    async def serve(connection: Any, *args: Any, **kwargs: Any) -> Response | None:
        if isinstance(connection, starlette.websockets.WebSocket):
            await view(connection, *args, **kwargs)
            return None
        return PlainTextResponse(
            "This URL is for WebSockets.",
            HTTPStatus.UPGRADE_REQUIRED,
            {"Upgrade": "websocket", "Connection": "Upgrade"},
        )

    serve.is_websocket = True  # type: ignore[attr-defined]
    return serve


async def finish(connection: WebSocket, described: Callable[[], str]) -> None:
    """
    Close *connection*, whose view has returned.

    Args:
        connection: The WebSocket.
        described: Returns what errors call the view.

    Raises:
        RuntimeError: The view has neither accepted nor refused it.

    Switches to the event loop.
    """
    if connection.application_state is WebSocketState.CONNECTING:
        raise RuntimeError(
            f"{described()} returned without accepting or refusing the WebSocket, so "
            f"the client got no answer. Call `await websocket.accept()` first, or "
            f"refuse it with `await websocket.close()`."
        )
    left = connection.client_state is WebSocketState.DISCONNECTED
    if connection.application_state is WebSocketState.CONNECTED and not left:
        await connection.close()


def close_code_of(error: Exception, status: int) -> int:
    """
    Return the code that a connection is closed with after *error*. Never switches.

    Args:
        error: What the view raised.
        status: The status that the error has over HTTP.
    """
    if isinstance(error, BadMessage):
        return error.code
    return INTERNAL_ERROR if status >= 500 else POLICY_VIOLATION


async def refuse(
    scope: Scope, receive: Receive, send: Send, status: int, text: str
) -> None:
    """
    Refuse a WebSocket: with *status* and *text* if the server supports that, otherwise
    with 403. Switches to the event loop.
    """
    if "websocket.http.response" in scope.get("extensions", {}):
        await PlainTextResponse(text, status)(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": POLICY_VIOLATION})
