"""Host validation, HTTPS and security headers, from Django's settings for them."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http.request import split_domain_port, validate_host
from starlette.datastructures import URL, Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["SecurityMiddleware"]

DEBUG_HOSTS = [".localhost", "127.0.0.1", "[::1]"]


class SecurityMiddleware:
    """
    Answers 400 to a host that `settings.ALLOWED_HOSTS` does not list, redirects to
    HTTPS if `SECURE_SSL_REDIRECT` says so, and adds the headers of `SECURE_*` and
    `X_FRAME_OPTIONS`. A header that the view has set stays.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        check_host(Headers(scope=scope).get("host", ""))
        secure = scope["scheme"] in ("https", "wss")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in security_headers(secure):
                    headers.setdefault(name, value)
            await send(message)

        app = self.app
        if settings.SECURE_SSL_REDIRECT and not secure and scope["type"] == "http":
            host = settings.SECURE_SSL_HOST or Headers(scope=scope).get("host")
            url = URL(scope=scope).replace(scheme="https", netloc=host)
            app = RedirectResponse(url, 301)
        await app(scope, receive, send_with_headers)


def check_host(host: str) -> None:
    """
    Raises:
        DisallowedHost: *host* is not in `settings.ALLOWED_HOSTS`.
    """
    allowed = settings.ALLOWED_HOSTS
    if settings.DEBUG and not allowed:
        allowed = DEBUG_HOSTS
    domain, _ = split_domain_port(host)
    if not domain or not validate_host(domain, allowed):
        raise DisallowedHost(
            f"The request is for the host {host!r}, which settings.ALLOWED_HOSTS does "
            f"not list. If it is a name of this site, add {domain or host!r} to it."
        )


def security_headers(secure: bool) -> Iterator[tuple[str, str]]:
    """Names and values, for a request over HTTPS if *secure*."""
    if secure and (seconds := settings.SECURE_HSTS_SECONDS):
        value = f"max-age={seconds}"
        if settings.SECURE_HSTS_INCLUDE_SUBDOMAINS:
            value += "; includeSubDomains"
        if settings.SECURE_HSTS_PRELOAD:
            value += "; preload"
        yield "strict-transport-security", value
    if settings.SECURE_CONTENT_TYPE_NOSNIFF:
        yield "x-content-type-options", "nosniff"
    if policy := settings.SECURE_REFERRER_POLICY:
        policies = policy.split(",") if isinstance(policy, str) else policy
        yield "referrer-policy", ",".join(p.strip() for p in policies)
    if policy := settings.SECURE_CROSS_ORIGIN_OPENER_POLICY:
        yield "cross-origin-opener-policy", policy
    if settings.X_FRAME_OPTIONS:
        yield "x-frame-options", settings.X_FRAME_OPTIONS.upper()
