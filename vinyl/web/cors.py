"""Letting other origins read answers (CORS), by django-cors-headers' settings."""

from __future__ import annotations

import re
from typing import Any

import starlette.middleware.cors
from django.conf import settings
from starlette.types import ASGIApp, Receive, Scope, Send

from vinyl.web.http.prefix import path_info

__all__ = ["CORSMiddleware"]

# The defaults of django-cors-headers.
HEADERS = (
    "accept",
    "authorization",
    "content-type",
    "user-agent",
    "x-csrftoken",
    "x-requested-with",
)
METHODS = ("DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT")
MAX_AGE = 86400


class CORSMiddleware(starlette.middleware.cors.CORSMiddleware):
    """
    Starlette's, which lets scripts of other origins read answers: those of
    `CORS_ALLOWED_ORIGINS` and `CORS_ALLOWED_ORIGIN_REGEXES`, or all if
    `CORS_ALLOW_ALL_ORIGINS` is on. If `CORS_URLS_REGEX` is set, only where it matches
    the path, without the prefix under which the site is served.

    A pattern has to match the whole origin.
    """

    def __init__(self, app: ASGIApp) -> None:
        everybody = _setting("CORS_ALLOW_ALL_ORIGINS", False)
        super().__init__(
            app,
            allow_origins=["*"] if everybody else _setting("CORS_ALLOWED_ORIGINS", ()),
            allow_methods=_setting("CORS_ALLOW_METHODS", METHODS),
            allow_headers=_setting("CORS_ALLOW_HEADERS", HEADERS),
            allow_credentials=_setting("CORS_ALLOW_CREDENTIALS", False),
            expose_headers=_setting("CORS_EXPOSE_HEADERS", ()),
            max_age=_setting("CORS_PREFLIGHT_MAX_AGE", MAX_AGE),
        )
        self.patterns = _setting("CORS_ALLOWED_ORIGIN_REGEXES", ())
        self.urls = re.compile(_setting("CORS_URLS_REGEX", r"^.*$"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self.urls.match(path_info(scope)):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def is_allowed_origin(self, origin: str) -> bool:
        if super().is_allowed_origin(origin):
            return True
        return any(re.fullmatch(pattern, origin) for pattern in self.patterns)


def _setting(name: str, default: Any) -> Any:
    return getattr(settings, name, default)
