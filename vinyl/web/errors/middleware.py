"""From an error to an answer: telling for developers, short for visitors."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.core.signals import got_request_exception
from django.db import DataError
from django.http import Http404
from django.http.multipartparser import MultiPartParserError
from django.template import TemplateDoesNotExist, loader
from django.urls import get_callable, get_resolver
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vinyl.bridge.greenlets import run
from vinyl.web.errors import debug_pages
from vinyl.web.errors.injection import refuse_injection
from vinyl.web.errors.plain_pages import answer, phrase_of, preferred_kind
from vinyl.web.errors.report import log_error, log_line, logger, mark_logged, reason_of
from vinyl.web.http.bodies import Body, BodyTimeout
from vinyl.web.http.requests import Request
from vinyl.web.http.responses import HTMLResponse
from vinyl.web.routing.router import response_of
from vinyl.web.routing.view_names import text_of
from vinyl.web.routing.websockets import WebSocketDisconnect, close_code_of, refuse

__all__ = ["ErrorMiddleware", "respond_to"]

# After one of these the client has been told how it goes.
STARTS = frozenset(
    {
        "http.response.start",
        "websocket.accept",
        "websocket.close",
        "websocket.http.response.start",
    }
)


class ErrorMiddleware:
    """
    Makes an answer of each error that comes out of *app*, and logs it, once. A
    WebSocket is refused, or closed if it has been accepted.

    An error after the start of a response is logged and goes on to the server, which
    breaks the connection off: half a page must not look like a whole one.

    Args:
        outermost: Also raise `BadHeaderError` instead of sending a header that would
            inject others.
    """

    def __init__(self, app: ASGIApp, *, outermost: bool = False) -> None:
        self.app = app
        self.outermost = outermost

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        phase = ""

        async def noting(message: Message) -> None:
            nonlocal phase
            if self.outermost and message["type"] in STARTS:
                refuse_injection(message)
            await send(message)
            phase = message["type"]

        try:
            if self.outermost and "\0" in scope["path"]:
                # Neither a file nor a text in PostgreSQL can have one.
                raise BadRequest("The path contains a NUL.")
            await self.app(scope, receive, noting)
        except (ClientDisconnect, WebSocketDisconnect):
            # Nobody is there to answer, and nothing is wrong here.
            logger.info("The client left: %r", scope["path"])
        except Exception as raised:
            error = unwrapped(raised)
            if scope["type"] == "websocket":
                await end_websocket(error, phase, scope, receive, send)
            elif settings.DEBUG_PROPAGATE_EXCEPTIONS and status_of(error) == 500:
                # To the server, or to what is around the application.
                raise
            elif not phase:
                response = await respond_to(error, Request.of(scope, receive, send))
                await response(scope, receive, send)
            else:
                # Too late for an answer, whatever the error is. Starlette puts one
                # of its own around those that ask for a status.
                timed_out = isinstance(error.__cause__ or error, BodyTimeout)
                status = 408 if timed_out else 500
                log_error(error, status, scope, "Response broken off")
                mark_logged(raised, scope)
                raise


async def end_websocket(
    error: Exception, phase: str, scope: Scope, receive: Receive, send: Send
) -> None:
    """
    Refuse a WebSocket with the status that *error* has over HTTP, or close it.

    Args:
        phase: The type of the last message that went to the client, or "".
    """
    status = status_of(error)
    log_error(error, status, scope)
    if not phase:
        detail = error.detail if isinstance(error, HTTPException) else phrase_of(status)
        await refuse(scope, receive, send, status, detail)
    elif phase in ("websocket.accept", "websocket.send"):
        code = close_code_of(error, status)
        # The client may be quicker.
        with contextlib.suppress(OSError):
            await send({"type": "websocket.close", "code": code})


def unwrapped(error: Exception) -> Exception:
    """
    What *error* comes to: of a group, as a `TaskGroup` raises it, the only one in it,
    or the first if all of them ask for the same answer, such as 404.
    """
    if not isinstance(error, ExceptionGroup):
        return error
    found = list(leaves(error))
    statuses = {status_of(leaf) for leaf in found}
    alike = len(statuses) == 1 and statuses.isdisjoint({500})
    return found[0] if len(found) == 1 or alike else error


def leaves(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def status_of(error: Exception) -> int:
    match error:
        case HTTPException():
            return error.status_code
        case Http404():
            return 404
        case PermissionDenied():
            return 403
        case RequestDataTooBig():
            return 413
        case BadRequest() | SuspiciousOperation() | MultiPartParserError():
            return 400
    return 500


def blamed(error: Exception, request: Request) -> Exception:
    """
    *error*, or a `BadRequest` if it is that PostgreSQL stores no NUL, and the request
    brought one: that is no mistake of the site's.
    """
    if isinstance(error, (DataError, ValueError)) and "NUL (0x00)" in text_of(error):
        if brings_nul(request):
            refusal = BadRequest("The request contains a NUL, which is no text.")
            refusal.__cause__ = error
            return refusal
    return error


def brings_nul(request: Request) -> bool:
    """Whether there is a NUL in what has been read of the request."""
    form = request._form.multi_items() if request._form else ()
    return (
        b"%00" in request.scope["query_string"]
        or b"\\u0000" in (Body.of(request.scope, request.receive).bytes or b"")
        or any("\0" in name or "\0" in str(value) for name, value in form)
    )


async def respond_to(error: Exception, request: Request) -> ASGIApp:
    """
    The answer to *error*, which is logged. Never raises: what goes wrong in an answer
    is logged as well, and a plain one is sent. Switches to the event loop.
    """
    error = blamed(error, request)
    status, kind = status_of(error), preferred_kind(request)
    headers = getattr(error, "headers", None)
    log_error(error, status, request.scope)
    try:
        if status == 500:
            await _tell_receivers(request)
        response = await _answer(error, status, kind, headers, request)
    except Exception as failure:
        line = f"The page for {status} failed: {request.method} {request.path}"
        log_line(line, 500, request.scope, error=failure)
        response = answer(status, kind, headers=headers)
    # What middleware asks of the response, it asks of this one.
    request.scope["vinyl.response"] = response
    return response


async def _tell_receivers(request: Request) -> None:
    """Send Django's signal, which tools for error tracking listen to."""
    if got_request_exception.has_listeners():
        await run(got_request_exception.send_robust, sender=None, request=request)


async def _answer(
    error: Exception,
    status: int,
    kind: str,
    headers: Mapping[str, str] | None,
    request: Request,
) -> ASGIApp:
    if settings.DEBUG:
        if isinstance(error, Http404):
            return debug_pages.not_found(error, kind, request)
        if status == 500 or isinstance(error, (BadRequest, SuspiciousOperation)):
            return debug_pages.report(error, status, kind, request)
    names = getattr(error, "templates", None)
    if names is None and (handler := handler_of(status, request)) is not None:
        arguments = {} if status == 500 else {"exception": error}
        # Without ATOMIC_REQUESTS: the database may be what has failed.
        return await response_of(handler, handler, request, **arguments)
    detail = reason_of(error) if isinstance(error, HTTPException) else ""
    if kind == "text/html":
        try:
            template = loader.select_template(names or [f"{status}.html"])
        except TemplateDoesNotExist:
            pass
        else:
            context = {
                "status": status,
                "phrase": phrase_of(status),
                "detail": detail,
                # Django's names.
                "request_path": quote(request.path),
                "exception": message_of(error),
            }
            text = await run(template.render, context, cast(Any, request))
            return HTMLResponse(text, status, headers)
    return answer(status, kind, detail=detail, headers=headers)


def handler_of(status: int, request: Request) -> Any:
    """What the root urlconf calls `handler404` (or 400, 403, 500), or None."""
    urlconf = getattr(request, "urlconf", settings.ROOT_URLCONF)
    module = get_resolver(urlconf).urlconf_module
    handler = getattr(module, f"handler{status}", None)
    return get_callable(handler) if handler else None


def message_of(error: Exception) -> str:
    """The variable `exception` of Django's 403.html and 404.html."""
    first = error.args[0] if error.args else None
    return first if isinstance(first, str) else type(error).__name__
