"""
Refusing cross-site posts, by what the browser says of where a request comes from.

Browsers send `Sec-Fetch-Site` with every request, and `Origin` with every unsafe one;
a page of another site can influence neither. So no token is needed, and the body is
not read. The rules are those of Go's `http.CrossOriginProtection` and of the OWASP
cheat sheet on cross-site request forgery.
"""

from __future__ import annotations

import logging
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import validate_host
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from vinyl.web.requests import Request

__all__ = ["CSRFMiddleware"]

logger = logging.getLogger("vinyl.security")

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class CSRFMiddleware:
    """
    Answers 403 to an unsafe request that a page of another site has sent.

    Allowed are safe methods, requests of the same origin, those of the origins in
    `settings.CSRF_TRUSTED_ORIGINS` (with wildcards, `https://*.example.org`), those for
    a view with `csrf_exempt`, and requests that no browser sent.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            reason = refusal(Headers(scope=scope))
            if reason and not is_exempt(Request.of(scope, receive, send)):
                logger.warning("Forbidden (%s): %s", reason, scope["path"])
                raise HTTPException(403, f"Cross-site request refused: {reason}.")
        await self.app(scope, receive, send)


def refusal(headers: Headers) -> str:
    """Why an unsafe request with *headers* is refused; empty if it is allowed."""
    origin = headers.get("origin")
    if origin and is_trusted(origin):
        return ""
    site = headers.get("sec-fetch-site")
    if site in ("same-origin", "none"):
        return ""
    if site:
        return f"the browser calls it {site!r}; the page came from {origin!r}"
    # Browsers from before 2023, and what is no browser.
    if origin is None or urlsplit(origin).netloc.lower() == headers.get("host", ""):
        return ""
    return f"it came from a page of {origin!r}"


def is_exempt(request: Request) -> bool:
    """Whether the request is for a view with Django's decorator `csrf_exempt`."""
    match = request.resolver_match
    return match is not None and getattr(match.func, "csrf_exempt", False)


def is_trusted(origin: str) -> bool:
    """Whether *origin* matches one of `settings.CSRF_TRUSTED_ORIGINS`."""
    parts = urlsplit(origin)
    for trusted in map(urlsplit, settings.CSRF_TRUSTED_ORIGINS):
        # Django's host patterns start with a dot where origins have "*.".
        pattern = trusted.netloc.replace("*.", ".", 1).lower()
        if trusted.scheme == parts.scheme:
            if validate_host(parts.netloc.lower(), [pattern]):
                return True
    return False
