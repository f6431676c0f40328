"""
The second step of the pass: reporting a problem to the developers, once.

The loggers have Django's names, `django.request` and `django.security.…`, so that a
LOGGING setting written for Django works here, and so does Django's default one, which
sends email to `settings.ADMINS`.
"""

from __future__ import annotations

import io
import logging
from types import SimpleNamespace
from typing import Any, cast

from django.core.exceptions import SuspiciousOperation
from django.core.handlers.asgi import ASGIRequest
from django.core.signals import got_request_exception
from django.utils.log import log_response
from starlette.exceptions import HTTPException
from starlette.types import Scope

from vinyl.bridge.greenlets import run
from vinyl.web.errors.problem import Problem
from vinyl.web.http.redaction import make_readable, report_filter
from vinyl.web.http.requests import Request

__all__ = ["log_line", "log_problem", "logger", "mark_logged", "report", "was_logged"]

logger = logging.getLogger("django.request")

# A longer path is cut in the log.
MAX_PATH_CHARS = 500


async def report(problem: Problem, request: Request) -> None:
    """
    Log *problem*, and send Django's signal `got_request_exception` if its status is
    500. Switches to the event loop.
    """
    log_problem(problem, request.scope)
    if problem.status == 500 and got_request_exception.has_listeners():
        await run(got_request_exception.send_robust, sender=None, request=request)


def log_problem(problem: Problem, scope: Scope, title: str | None = None) -> None:
    """
    Log *problem* in one line, with the traceback if its status is 500 or more, unless
    its error has been logged for this request. In a test whose client raises the error,
    there is no traceback: the test shows it.

    The record has the attributes `status_code` and `request`, as in Django. Control
    characters are escaped.

    Args:
        title: The beginning of the line; the title of the problem if None.
    """
    error, status = problem.error, problem.status
    if was_logged(error, scope):
        return
    mark_logged(error, scope)
    if status >= 500:
        # For the test client, which raises it.
        scope["vinyl.error"] = error
    path = scope["path"]
    if len(path) > MAX_PATH_CHARS:
        path = f"{path[:MAX_PATH_CHARS]}…"
    method = scope.get("method", "WebSocket")
    line = f"{title or problem.title}: {method} {path}"
    if status < 500 and problem.reason:
        line += f": {problem.reason}"
    has_traceback = status >= 500 and not scope.get("vinyl.raised_in_test")
    log_line(line, status, scope, _logger_of(error), error if has_traceback else None)


def _logger_of(error: Exception) -> logging.Logger:
    if isinstance(error, SuspiciousOperation):
        return logging.getLogger(f"django.security.{type(error).__name__}")
    if isinstance(error, HTTPException):
        # Vinyl's own may have another one.
        return getattr(error, "logger", logger)
    return logger


def log_line(
    line: str,
    status: int,
    scope: Scope,
    logger: logging.Logger = logger,
    error: BaseException | None = None,
) -> None:
    """
    Log *line* at the level that Django uses for *status*.

    Args:
        error: The error whose traceback is logged with it, if any.
    """
    request = scope.get("vinyl.request")
    if isinstance(request, Request):
        make_readable(request)
    elif scope["type"] == "websocket":
        request = ASGIRequest({**scope, "method": "GET"}, io.BytesIO())
        request.exception_reporter_filter = report_filter()
    log_response(
        "%s",
        line,
        # There is no response yet; Django reads only its status.
        response=cast(Any, SimpleNamespace(status_code=status)),
        request=request,
        logger=logger,
        exception=error,
    )


def mark_logged(error: BaseException, scope: Scope) -> None:
    """Keep vinyl and uvicorn from logging *error* again for the request of *scope*."""
    # The mark names the request: an error that a module keeps may be raised again by
    # another one. The class of the error may have a __setattr__ of its own.
    request = scope.get("vinyl.request", scope)
    BaseException.__setattr__(error, "_vinyl_logged", request)


def was_logged(error: BaseException, scope: Scope | None = None) -> bool:
    """
    Whether *error* has been logged for the request of *scope*; for any request if
    *scope* is None.
    """
    try:
        request = BaseException.__getattribute__(error, "_vinyl_logged")
    except AttributeError:
        return False
    return scope is None or request is scope.get("vinyl.request", scope)
