"""
The server that `vinyl runserver` runs if the project does not start. It answers every
request with the error, until a change to the code replaces the process.
"""

from __future__ import annotations

import re
import sys
import traceback
from socket import socket

import uvicorn
from django.conf import settings
from django.core.management.base import CommandError
from django.utils.html import format_html
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from vinyl.web.errors import debug_pages
from vinyl.web.errors.plain_pages import (
    html_page,
    plain_response,
)
from vinyl.web.errors.problem import preferred_media_type
from vinyl.web.http.redaction import safe_text
from vinyl.web.http.requests import Request
from vinyl.web.http.responses import reason_phrase
from vinyl.web.routing.websockets import refuse

__all__ = ["error_of", "serve_error"]

# The escape sequences for colours in a message for the terminal.
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def error_of(exit: SystemExit) -> BaseException:
    """
    Return the error that a command reported before it raised *exit*, or the cause of
    that error if it is only a message; *exit* itself if there was no error. Never
    switches.
    """
    error = exit.__context__
    # If the status is a text, it says more than an earlier error.
    if error is None or not isinstance(exit.code, int):
        return exit
    if isinstance(error, CommandError) and error.__cause__ is not None:
        return error.__cause__
    return error


def serve_error(error: BaseException, sock: socket) -> None:
    """Answer all requests to *sock* with *error*, until the process is stopped."""
    sys.stderr.write("Every request is answered with this error until you fix it.\n")
    sys.stderr.flush()
    config = uvicorn.Config(
        FailedStart(error),
        # The reloader has set up logging, and the settings may be what is broken.
        log_config=None,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    uvicorn.Server(config).run(sockets=[sock])


class FailedStart:
    """
    An ASGI application that answers every request with status 500 and an error; without
    details if the settings can be read and `DEBUG` is off.

    Args:
        error: The error that kept the project from starting.
    """

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.debug = self.readable = True
        try:
            self.debug = settings.DEBUG
        except (Exception, SystemExit):
            # The settings module may raise anything.
            self.readable = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await refuse(scope, receive, send, 500, reason_phrase(500))
        else:
            response = self.response(Request.of(scope, receive, send))
            await response(scope, receive, send)

    def response(self, request: Request) -> Response:
        media_type = preferred_media_type(request)
        if not self.debug:
            return plain_response(500, media_type)
        # The message of a command, such as failed checks, needs no traceback.
        is_message = isinstance(self.error, CommandError)
        if self.readable and isinstance(self.error, Exception) and not is_message:
            try:
                return debug_pages.exception_response(
                    self.error, 500, media_type, request
                )
            except Exception:
                # The report needs parts of the project that do not work.
                traceback.print_exc()
        return self.plain(media_type)

    def plain(self, media_type: str) -> Response:
        """The error, in a response that needs no settings."""
        lines = traceback.format_exception(self.error)
        if isinstance(self.error, CommandError):
            text = detail = COLOURS.sub("", safe_text(self.error))
        else:
            text, detail = "".join(lines), lines[-1].strip()
        if media_type == "application/json":
            return plain_response(500, media_type, detail=detail, traceback=text)
        if media_type == "text/plain":
            return plain_response(500, media_type, detail=text)
        shown = format_html("<p>The project does not start.</p><pre>{}</pre>", text)
        return html_page(500, shown)
