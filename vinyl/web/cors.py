"""Cross-origin resource sharing (CORS), by the settings of django-cors-headers."""

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
    Starlette's CORSMiddleware, configured by the settings: it lets scripts of other
    origins read responses, and answers preflight requests.

    Settings:
        CORS_ALLOWED_ORIGINS: Origins such as "https://app.example.org".
        CORS_ALLOWED_ORIGIN_REGEXES: Patterns, each for a whole origin.
        CORS_ALLOW_ALL_ORIGINS: Whether every origin is allowed; False by default.
        CORS_ALLOW_METHODS, CORS_ALLOW_HEADERS: What a request may use.
        CORS_ALLOW_CREDENTIALS: Whether cookies are allowed; False by default.
        CORS_EXPOSE_HEADERS: The response headers that scripts may read.
        CORS_PREFLIGHT_MAX_AGE: How long browsers may keep the answer to a preflight
            request, in seconds; a day by default.
        CORS_URLS_REGEX: The paths that this applies to, without the prefix under which
            the site is served; all by default.
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
