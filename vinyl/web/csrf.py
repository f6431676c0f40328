"""
Protection against cross-site request forgery, by headers that browsers set.

Browsers send `Sec-Fetch-Site` with every request and `Origin` with every unsafe one,
and a page of another site cannot change either. So no token is needed, and the body is
not read. The rules are those of Go's `http.CrossOriginProtection` and of the OWASP
cheat sheet on cross-site request forgery.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import urlsplit

from django.conf import global_settings, settings
from django.http.request import validate_host
from django.http.response import HttpResponseBase
from django.urls import get_callable
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from vinyl.bridge.patching import Patch
from vinyl.web.errors.middleware import respond_to
from vinyl.web.errors.problem import Problem
from vinyl.web.errors.report import log_problem
from vinyl.web.http.django_responses import as_app
from vinyl.web.http.requests import Request
from vinyl.web.routing.router import response_of
from vinyl.web.routing.websockets import WebSocket

__all__ = ["TABLE", "CSRFMiddleware", "CrossSiteRequest"]

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class CrossSiteRequest(HTTPException):
    """
    An unsafe request that a page of another site sent; answered with 403.

    Attributes:
        reason: Why it was refused, for the log and for `CSRF_FAILURE_VIEW`.
    """

    # Where it is logged, and the templates of its page.
    logger = logging.getLogger("django.security.csrf")
    templates = ("403_csrf.html", "403.html")

    def __init__(self, reason: str) -> None:
        super().__init__(403, f"Cross-site request refused: {reason}.")
        self.reason = reason


class CSRFMiddleware:
    """
    Refuse unsafe requests from pages of other sites with status 403, and their
    WebSockets as well.

    Safe methods, requests from the same origin, requests for a view with `csrf_exempt`,
    and requests that were not sent by a browser are accepted.

    Settings:
        CSRF_TRUSTED_ORIGINS: Other origins that may send unsafe requests, with
            wildcards: `"https://*.example.org"`.
        CSRF_FAILURE_VIEW: The view that answers instead of the template `403_csrf.html`
            or `403.html`, or a plain page.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] == "websocket":
            # Browsers send their cookies with it, whichever page opens it.
            reason = refusal(Headers(scope=scope), scope.get("scheme") == "wss")
            if reason and not is_exempt(WebSocket.of(scope, receive, send)):
                raise CrossSiteRequest(reason)
        elif scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            reason = refusal(Headers(scope=scope), scope.get("scheme") == "https")
            if reason:
                request = Request.of(scope, receive, send)
                if not is_exempt(request):
                    app = await _refused(CrossSiteRequest(reason), request)
        await app(scope, receive, send)


async def _refused(error: CrossSiteRequest, request: Request) -> ASGIApp:
    name = settings.CSRF_FAILURE_VIEW
    if name == global_settings.CSRF_FAILURE_VIEW:
        return await respond_to(error, request)
    log_problem(Problem.of(error), request.scope)
    view = get_callable(name)
    return await as_app(
        await response_of(view, view, request, (), {"reason": error.reason})
    )


def refusal(headers: Headers, secure: bool = False) -> str:
    """
    Return why an unsafe request with *headers* is refused; empty if it is allowed.

    Args:
        secure: Whether it is known to have come over HTTPS.
    """
    origin = headers.get("origin")
    if origin and is_trusted(origin):
        return ""
    site = headers.get("sec-fetch-site")
    if site in ("same-origin", "none"):
        return ""
    if site:
        return f"its Sec-Fetch-Site header is {site!r}, and its Origin is {origin!r}"
    # A browser from before 2023, or another client.
    if origin is None:
        return ""
    scheme, host = split_origin(origin)
    if host and host == headers.get("host", "").lower():
        # A page without TLS may have been written by anyone on the network.
        if scheme == "https" or not secure:
            return ""
    return f"it was sent by a page of {origin!r}"


def patch_process_view(process_view: Callable[..., Any]) -> Callable[..., Any]:
    """
    The patch for `CsrfViewMiddleware.process_view()`, by which packages protect views
    that are `csrf_exempt`: Django REST framework and django-ninja do so for requests
    with a session. A request of vinyl is checked by the rules of `CSRFMiddleware`.
    """

    @functools.wraps(process_view)
    def changed(
        self: Any, request: Any, callback: Any, args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        # Django REST framework passes its own request, which wraps the other one.
        own = request if isinstance(request, Request) else _wrapped_by(request)
        if own is None:
            return cast(Any, process_view(self, request, callback, args, kwargs))
        is_checked = not (
            own.method in SAFE_METHODS
            or getattr(callback, "csrf_exempt", False)
            or getattr(own, "_dont_enforce_csrf_checks", False)
        )
        reason = is_checked and refusal(own.headers, own.is_secure())
        return self._reject(request, reason) if reason else None

    return changed


def _wrapped_by(request: Any) -> Request | None:
    inner = getattr(request, "_request", None)
    return inner if isinstance(inner, Request) else None


def split_origin(origin: str) -> tuple[str, str]:
    """
    Return scheme and host with port, in lower case; empty if *origin* has none, such as
    "null".
    """
    try:
        parts = urlsplit(origin)
    except ValueError:
        return "", ""
    return parts.scheme, parts.netloc.lower()


def is_exempt(request: Request | WebSocket) -> bool:
    """Return whether the request is for a view with Django's `csrf_exempt`."""
    match = request.resolver_match
    return match is not None and getattr(match.func, "csrf_exempt", False)


def is_trusted(origin: str) -> bool:
    """Return whether *origin* matches one of `settings.CSRF_TRUSTED_ORIGINS`."""
    scheme, host = split_origin(origin)
    for trusted in settings.CSRF_TRUSTED_ORIGINS:
        trusted_scheme, pattern = split_origin(trusted)
        # Django's host patterns start with a dot where origins have "*.".
        pattern = pattern.replace("*.", ".", 1)
        if host and scheme == trusted_scheme and validate_host(host, [pattern]):
            return True
    return False


TABLE = (
    Patch(
        "django.middleware.csrf:CsrfViewMiddleware", "process_view", patch_process_view
    ),
)
