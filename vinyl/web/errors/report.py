"""
Telling the developers of errors: the loggers, under Django's names, and e-mail to
`settings.ADMINS`.

The names are Django's, `django.request` and `django.security.…`, so that a LOGGING
setting written for Django serves here, and so does Django's default one.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, QueryDict
from django.urls import Resolver404
from django.utils.datastructures import MultiValueDict
from django.utils.log import AdminEmailHandler, RequireDebugFalse, log_response
from starlette.exceptions import HTTPException
from starlette.types import Scope

from vinyl.web.errors.plain_pages import phrase_of
from vinyl.web.http.parsers import django_request
from vinyl.web.http.redaction import report_filter
from vinyl.web.http.requests import Request
from vinyl.web.routing.view_names import text_of

__all__ = ["log_error", "log_line", "mails_sent", "mark_logged", "set_up_logging"]

logger = logging.getLogger("django.request")
mail_logger = logging.getLogger("vinyl.mail")

# Of a longer path the log shows its beginning.
LONGEST_PATH = 500

# E-mail that is on its way.
_sending: set[asyncio.Future] = set()


def log_error(
    error: Exception, status: int, scope: Scope, phrase: str | None = None
) -> None:
    """
    Log *error* in one line, and with its traceback if *status* is a server's error; an
    error that has been logged for this request is not logged again. A test that gets
    the error itself from its client has the traceback already.

    The record has the attributes `status_code` and `request`, as Django's have.
    Control characters are escaped.
    """
    if was_logged(error, scope):
        return
    mark_logged(error, scope)
    if status >= 500:
        # A test wants the error rather than the page about it.
        scope["vinyl.error"] = error
    told = getattr(error, "logger", logger)
    if isinstance(error, SuspiciousOperation):
        told = logging.getLogger(f"django.security.{type(error).__name__}")
    method, path = scope.get("method", "WebSocket"), scope["path"]
    if len(path) > LONGEST_PATH:
        path = f"{path[:LONGEST_PATH]}…"
    line = f"{phrase or phrase_of(status)}: {method} {path}"
    if status < 500 and (reason := reason_of(error)):
        line += f": {reason}"
    traced = status >= 500 and not scope.get("vinyl.raised_in_test")
    log_line(line, status, scope, told, error if traced else None)


def log_line(
    line: str,
    status: int,
    scope: Scope,
    logger: logging.Logger = logger,
    error: BaseException | None = None,
) -> None:
    """Log *line* at the level that *status* has in Django's logs."""
    request = scope.get("vinyl.request")
    if isinstance(request, Request):
        make_readable(request)
    elif scope["type"] == "websocket":
        request = ASGIRequest({**scope, "method": "GET"}, io.BytesIO())
        request.exception_reporter_filter = report_filter()
    log_response(
        "%s",
        line,
        # It is not made yet; only this is asked of it.
        response=cast(Any, SimpleNamespace(status_code=status)),
        request=request,
        logger=logger,
        exception=error,
    )


def mark_logged(error: Any, scope: Scope) -> None:
    """Neither vinyl nor uvicorn logs *error* once more for this request."""
    # Some errors take no attributes.
    with contextlib.suppress(AttributeError):
        # Of this request: an error that a module keeps may be raised again by another.
        error._vinyl_logged = scope.get("vinyl.request", scope)


def was_logged(error: BaseException, scope: Scope) -> bool:
    """Whether *error* has been logged for the request of *scope*."""
    return getattr(error, "_vinyl_logged", None) is scope.get("vinyl.request", scope)


def reason_of(error: Exception) -> str:
    """What a refusal says of its reason, for developers."""
    match error:
        case Resolver404():
            return ""
        case HTTPException():
            # Without a reason of its own, it repeats the status.
            return "" if error.detail == phrase_of(error.status_code) else error.detail
        case Http404() | PermissionDenied() | BadRequest() | SuspiciousOperation():
            return text_of(error)
    return ""


def make_readable(request: Request) -> None:
    """
    Have *request* answer a report's questions as far as it can without waiting: a form
    that nobody has read stays unread, and what is malformed is empty.
    """
    known = vars(request)
    if request._form is None:
        known.setdefault("_post", QueryDict())
        known.setdefault("_files", MultiValueDict())
    try:
        request.META  # noqa: B018
    except Exception:
        known["django_request"] = harmless(request.scope)
    try:
        request.GET  # noqa: B018
    except Exception:
        known["GET"] = QueryDict()
    try:
        request.POST  # noqa: B018
    except Exception:
        known["_post"], known["_files"] = QueryDict(), MultiValueDict()


def harmless(scope: Scope) -> ASGIRequest:
    """Django's request of *scope*, without what may be malformed."""
    headers = [(name, value) for name, value in scope["headers"] if b"type" not in name]
    return django_request({**scope, "headers": headers, "query_string": b""})


# ----- Set up once


def set_up_logging() -> None:
    """
    Keep the event loop free while Django's `AdminEmailHandler` sends, let no server
    repeat what has been logged, and tell of errors on the console in production, too,
    unless the project has a LOGGING setting.
    """
    if not hasattr(AdminEmailHandler.send_mail, "__wrapped__"):
        send_mail = _beside_the_loop(AdminEmailHandler.send_mail)
        AdminEmailHandler.send_mail = send_mail  # type: ignore[method-assign]
    logging.getLogger("uvicorn.error").addFilter(_not_logged)
    if settings.LOGGING_CONFIG and not settings.LOGGING:
        # Django writes to the console in debug mode only; its servers do the rest.
        console = logging.StreamHandler()
        console.setLevel(logging.WARNING)
        console.addFilter(RequireDebugFalse())
        # What handlers of the root print is not printed twice.
        console.addFilter(lambda record: not logging.getLogger().handlers)
        logging.getLogger("django").addHandler(console)


def _not_logged(record: logging.LogRecord) -> bool:
    return not (record.exc_info and hasattr(record.exc_info[1], "_vinyl_logged"))


def _beside_the_loop(send: Callable[..., None]) -> Callable[..., None]:
    """*send*, which on an event loop returns at once and goes on in a thread."""

    @functools.wraps(send)
    def send_mail(self: AdminEmailHandler, *args: Any, **kwargs: Any) -> None:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            send(self, *args, **kwargs)
            return
        # A task for itself: the request need not wait, and may be cancelled.
        task = asyncio.ensure_future(asyncio.to_thread(send, self, *args, **kwargs))
        _sending.add(task)
        task.add_done_callback(_sent)

    return send_mail


def _sent(task: asyncio.Future) -> None:
    _sending.discard(task)
    if not task.cancelled() and (error := task.exception()):
        # Not for the logger `django`, which would send an e-mail.
        mail_logger.error("No e-mail reached settings.ADMINS.", exc_info=error)


async def mails_sent() -> None:
    """Wait until the e-mail to `settings.ADMINS` of this loop has gone out."""
    loop = asyncio.get_running_loop()
    mine = [task for task in _sending if task.get_loop() is loop]
    await asyncio.gather(*mine, return_exceptions=True)
