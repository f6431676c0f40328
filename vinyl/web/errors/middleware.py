"""
From an error to a response. `respond_to()` is the pass, one step after the other; the
middleware in front of it decides whether there is still something to answer.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any, cast
from urllib.parse import quote

from django.conf import settings
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.http import Http404
from django.template import TemplateDoesNotExist, loader
from django.template.response import SimpleTemplateResponse
from django.urls import get_callable, get_resolver
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vinyl.bridge.greenlets import run
from vinyl.web.errors import debug_pages
from vinyl.web.errors.framed import framed_response
from vinyl.web.errors.plain_pages import plain_response
from vinyl.web.errors.problem import Problem
from vinyl.web.errors.report import (
    log_line,
    log_problem,
    logger,
    mark_logged,
    report,
)
from vinyl.web.http.django_responses import AnyResponse, as_app
from vinyl.web.http.headers import refuse_injection
from vinyl.web.http.limits import BodyTimeout
from vinyl.web.http.redaction import safe_text
from vinyl.web.http.requests import Request
from vinyl.web.http.responses import HTMLResponse, PlainTextResponse, reason_phrase
from vinyl.web.routing.router import response_of
from vinyl.web.routing.websockets import WebSocketDisconnect, close_code_of, refuse

__all__ = ["ErrorMiddleware", "is_unexpected", "respond_to", "response_to"]

# The messages after which a status can no longer be sent.
STARTS = frozenset(
    {
        "http.response.start",
        "websocket.accept",
        "websocket.close",
        "websocket.http.response.start",
    }
)


class ClientLeft(ClientDisconnect, OSError):
    """Nobody receives the response any more; `OSError` for apps that catch it."""


class ErrorMiddleware:
    """
    Answers the errors of *app* with a response, and logs each one once. A WebSocket is
    refused, or closed if it has been accepted.

    An error after the start of a response is logged and raised again, so that the
    server closes the connection: half a page must not look like a whole one.

    Args:
        outermost: Also raise `BadHeaderError` instead of sending a header that contains
            a line break, and `BadRequest` for a path that contains a NUL.
    """

    def __init__(self, app: ASGIApp, *, outermost: bool = False) -> None:
        self.app = app
        self.outermost = outermost

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        last_sent = ""
        outermost = self.outermost

        async def tracked_send(message: Message) -> None:
            nonlocal last_sent
            kind = message["type"]
            if outermost and kind in STARTS:
                refuse_injection(message)
            try:
                await send(message)
            except OSError as error:
                # Servers raise it for a client that has left, since ASGI 2.4.
                raise ClientLeft from error
            last_sent = kind

        try:
            if self.outermost and "\0" in scope["path"]:
                # Neither file names nor texts in PostgreSQL can contain one.
                raise BadRequest("The path contains a NUL character.")
            await self.app(scope, receive, tracked_send)
        except Exception as error:
            if not self.outermost:
                if not await answered(error, last_sent, scope, receive, send):
                    raise
                return
            # The page of an error is checked like any response, and so is the next one.
            try:
                try:
                    is_done = await answered(
                        error, last_sent, scope, receive, tracked_send
                    )
                except Exception as failure:
                    is_done = await answered(
                        failure, last_sent, scope, receive, tracked_send
                    )
                if not is_done:
                    raise
            except Exception:
                if not last_sent and scope["type"] == "http":
                    page = PlainTextResponse(reason_phrase(500), 500)
                    await page(scope, receive, send)
                raise


async def answered(
    error: Exception, last_sent: str, scope: Scope, receive: Receive, send: Send
) -> bool:
    """
    Answer *error* with a page, or by closing the WebSocket; return False if the caller
    has to raise it.

    Args:
        last_sent: The type of the last message that went to the client, or "".

    Switches to the event loop.
    """
    # Not isinstance(), which reads an attribute: an error may refuse that.
    if issubclass(type(error), (ClientDisconnect, WebSocketDisconnect)):
        # There is no client to answer, and this is not an error.
        logger.info("The client disconnected: %r", scope["path"])
    elif scope["type"] == "websocket":
        await end_websocket(error, last_sent, scope, receive, send)
    elif settings.DEBUG_PROPAGATE_EXCEPTIONS and is_unexpected(error):
        # To the server, or to what is around the application.
        return False
    elif last_sent:
        log_broken_off(error, scope)
        return False
    else:
        response = await respond_to(error, Request.of(scope, receive, send))
        await response(scope, receive, send)
    return True


async def respond_to(error: Exception, request: Request) -> ASGIApp:
    """
    Return the response to *error* as an ASGI app; otherwise as `response_to()`.
    Switches to the event loop.
    """
    return await as_app(await response_to(error, request))


async def response_to(error: Exception, request: Request) -> AnyResponse:
    """
    Return the response to *error*, after it has been reported. Never raises: if the
    chosen page fails, this is logged as well, and the plain page takes its place.

    Switches to the event loop.
    """
    problem = Problem.of(error, request)
    await report(problem, request)
    try:
        response = await _chosen_response(problem, request)
        if isinstance(response, SimpleTemplateResponse):
            # Here, where an error in it gets the plain page.
            await run(response.render)
    except Exception as failure:
        line = f"The {problem.status} page failed: {request.method} {request.path}"
        log_line(line, 500, request.scope, error=failure)
        response = _last_resort(problem)
    # Middleware reads attributes of this one.
    request.scope["vinyl.response"] = response
    return response


async def _chosen_response(problem: Problem, request: Request) -> AnyResponse:
    """
    The first of these: debug page, page of the part of the site, handler of the
    project, template, plain page.
    """
    error, status, media_type = problem.error, problem.status, problem.media_type
    if settings.DEBUG:
        if isinstance(error, Http404):
            return debug_pages.not_found_response(error, media_type, request)
        if status == 500 or isinstance(error, (BadRequest, SuspiciousOperation)):
            return debug_pages.exception_response(error, status, media_type, request)
    framed = await framed_response(problem, request)
    if framed is not None:
        return framed
    is_http = isinstance(error, HTTPException)
    templates = getattr(error, "templates", None) if is_http else None
    if templates is None and (handler := _handler_of(status, request)) is not None:
        arguments = {} if status == 500 else {"exception": error}
        # Without ATOMIC_REQUESTS: it may be the database that failed.
        return await response_of(handler, handler, request, (), arguments)
    if media_type == "text/html":
        try:
            template = loader.select_template(templates or [f"{status}.html"])
        except TemplateDoesNotExist:
            pass
        else:
            context = _context_of(problem, request)
            text = await run(template.render, context, cast(Any, request))
            return HTMLResponse(text, status, problem.headers)
    return plain_response(
        status, media_type, detail=problem.detail, headers=problem.headers
    )


def _handler_of(status: int, request: Request) -> Any:
    """The view that the root urlconf names as `handler404` (400, 403, 500), or None."""
    urlconf = getattr(request, "urlconf", settings.ROOT_URLCONF)
    module = get_resolver(urlconf).urlconf_module
    handler = getattr(module, f"handler{status}", None)
    return get_callable(handler) if handler else None


def _context_of(problem: Problem, request: Request) -> dict[str, Any]:
    args = problem.error.args
    message = args[0] if args and isinstance(args[0], str) else None
    return {
        "status": problem.status,
        "phrase": problem.title,
        "detail": problem.detail,
        # The names in Django's 403.html and 404.html.
        "request_path": quote(request.path),
        "exception": type(problem.error).__name__ if message is None else message,
    }


def _last_resort(problem: Problem) -> AnyResponse:
    """A plain page; without the headers of the error if they are what fails."""
    status, media_type = problem.status, problem.media_type
    with contextlib.suppress(Exception):
        return plain_response(status, media_type, headers=problem.headers)
    return plain_response(status, media_type)


def is_unexpected(error: Exception) -> bool:
    """
    Whether *error* is answered with 500, and not with a status that it asks for. Never
    switches.
    """
    return Problem.of(error).status == 500


async def end_websocket(
    error: Exception, last_sent: str, scope: Scope, receive: Receive, send: Send
) -> None:
    """
    Log *error*, and refuse the WebSocket of *scope* with its status, or close it.

    Args:
        last_sent: The type of the last message that went to the client, or "".

    Switches to the event loop.
    """
    problem = Problem.of(error)
    log_problem(problem, scope)
    if not last_sent:
        text = safe_text(problem.detail) or problem.title
        await refuse(scope, receive, send, problem.status, text)
    elif last_sent in ("websocket.accept", "websocket.send"):
        code = close_code_of(problem.error, problem.status)
        # The client may have closed it already.
        with contextlib.suppress(OSError):
            await send({"type": "websocket.close", "code": code})


def log_broken_off(error: Exception, scope: Scope) -> None:
    """Log *error*, which comes too late for a response of its own."""
    problem = Problem.of(error)
    # If the error asks for a status, Starlette has raised one of its own from it.
    timed_out = isinstance(problem.error.__cause__ or problem.error, BodyTimeout)
    problem = dataclasses.replace(problem, status=408 if timed_out else 500)
    log_problem(problem, scope, "Response interrupted")
    # The one that reaches the server, if it is a group.
    mark_logged(error, scope)
