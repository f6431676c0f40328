"""Error pages: short ones for visitors, telling ones for developers."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, cast

from django.conf import settings
from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
)
from django.http import Http404, QueryDict
from django.http.multipartparser import MultiPartParserError
from django.template import TemplateDoesNotExist, loader
from django.urls import Resolver404
from django.utils.datastructures import MultiValueDict
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.debug import ExceptionReporter
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vinyl.orm.bridge import run
from vinyl.web.requests import Request

__all__ = ["ErrorMiddleware"]

logger = logging.getLogger("vinyl.request")
security_logger = logging.getLogger("vinyl.security")


class ErrorMiddleware:
    """Makes a page of each error that comes out of *app*, and logs it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def noting_start(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, noting_start)
        except ClientDisconnect:
            # Nobody is there to answer, and nothing is wrong here.
            logger.info("The client left: %s %s", scope["method"], scope["path"])
        except Exception as error:
            if scope["type"] != "http" or started:
                # Too late for a page: the server breaks the connection off.
                raise
            response = await respond_to(error, Request.of(scope, receive, send))
            await response(scope, receive, send)


async def respond_to(error: Exception, request: Request) -> Response:
    """The page for *error*. Never raises. Switches to the event loop."""
    status, headers = status_of(error), getattr(error, "headers", None)
    log(error, status, request)
    if settings.DEBUG:
        if isinstance(error, Http404):
            return HTMLResponse(not_found_page(error, request), 404)
        if status == 500 or isinstance(error, SuspiciousOperation):
            # Outside the bridge: the page shows values and must not fetch any.
            return HTMLResponse(traceback_page(error, request), status)
    return HTMLResponse(await visitors_page(error, status, request), status, headers)


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


def log(error: Exception, status: int, request: Request) -> None:
    phrase = HTTPStatus(status).phrase
    where = (phrase, request.method, request.url.path)
    if isinstance(error, SuspiciousOperation):
        security_logger.warning("%s: %s %s: %s", *where, error)
    elif status >= 500:
        logger.error("%s: %s %s", *where, exc_info=error)
    else:
        logger.warning("%s: %s %s", *where)


async def visitors_page(error: Exception, status: int, request: Request) -> str:
    """The project's `404.html` (or whichever status), or a plain page of our own."""
    detail = error.detail if isinstance(error, HTTPException) else ""
    phrase = HTTPStatus(status).phrase
    try:
        template = loader.get_template(f"{status}.html")
        context = {"status": status, "phrase": phrase, "detail": detail}
        return await run(template.render, context, cast(Any, request))
    except TemplateDoesNotExist:
        pass
    except Exception:
        # The visitor gets the plain page; the developer has to hear of it.
        logger.exception("The template %s.html failed", status)
    text = detail if detail != phrase else ""
    return page(f"{status} {phrase}", format_html("<p>{}</p>", text) if text else "")


def traceback_page(error: Exception, request: Request) -> str:
    """Django's report: traceback, local variables, request, settings."""
    if "_submitted" not in vars(request):
        # Reading it now would be too late, or take it from the view.
        vars(request)["_submitted"] = QueryDict(), MultiValueDict()
    reporter = ExceptionReporter(
        request, type(error), error, error.__traceback__, is_email=False
    )
    return reporter.get_traceback_html()


def not_found_page(error: Http404, request: Request) -> str:
    """What was asked for, and which patterns it was compared with."""
    path = request.url.path
    if not isinstance(error, Resolver404):
        body = format_html(
            "<p>The view for <code>{}</code> raised <code>Http404</code>: {}</p>",
            path,
            str(error) or "no reason given.",
        )
    else:
        tried = error.args[0].get("tried", []) if error.args else []
        body = format_html(
            "<p>No pattern of <code>{}</code> matches <code>{}</code>. "
            "Tried, in this order:</p><ol>{}</ol>",
            settings.ROOT_URLCONF,
            path,
            format_html_join("", "<li><code>{}</code></li>", described(tried)),
        )
    note = "You see this page because <code>DEBUG</code> is on."
    return page("404 Not Found", SafeString(f"{body}<p><small>{note}</small></p>"))


def described(tried: Iterable[Iterable[Any]]) -> Iterable[tuple[str]]:
    """Each pattern that was tried, as one line with its name."""
    for patterns in tried:
        chain = list(patterns)
        line = " ".join(filter(None, (str(p.pattern) for p in chain))) or "''"
        name = getattr(chain[-1], "name", None)
        yield (f"{line}  [name={name!r}]" if name else line,)


def page(title: str, body: str) -> str:
    """A small page that needs no template and no stylesheet."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )


_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.6 system-ui,sans-serif;margin:0}"
    "main{max-width:44rem;margin:12vh auto;padding:0 1.5rem}"
    "h1{font-size:1.6rem}code{font-size:.95em}li{margin:.2rem 0}"
)
