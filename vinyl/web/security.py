"""Host validation, proxies, HTTPS and security headers, from Django's settings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from django.conf import settings
from django.core.exceptions import (
    DisallowedHost,
    ImproperlyConfigured,
    PermissionDenied,
)
from django.http import HttpResponse
from django.http.request import split_domain_port, validate_host
from django.middleware.common import CommonMiddleware
from starlette.datastructures import URL, Headers, MutableHeaders
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vinyl.conf import django_setting
from vinyl.web.errors.middleware import respond_to
from vinyl.web.http import csp
from vinyl.web.http.django_responses import convert_response
from vinyl.web.http.headers import encode_header
from vinyl.web.http.prefix import path_info
from vinyl.web.http.requests import Request

__all__ = ["SecurityMiddleware"]

DEBUG_HOSTS = [".localhost", "127.0.0.1", "[::1]"]
# In characters: a name in DNS with a port.
LONGEST_HOST = 260


class SecurityMiddleware:
    """
    Check the host of each request, redirect to HTTPS, and add security headers.

    A header that the view has set is kept, and Django's decorators for views apply.
    List this class first, so that the others see the scheme and host that the proxy
    reports.

    Settings:
        ALLOWED_HOSTS: The hosts that are served; others get 400.
        SECURE_PROXY_SSL_HEADER, USE_X_FORWARDED_HOST: The headers of a proxy to trust
            for the scheme and the host.
        SECURE_SSL_REDIRECT, SECURE_SSL_HOST, SECURE_REDIRECT_EXEMPT: Whether HTTP is
            redirected to HTTPS, to which host, and for which paths not.
        PREPEND_WWW: Whether hosts without "www." are redirected.
        DISALLOWED_USER_AGENTS: Patterns of user agents that get 403.
        SECURE_HSTS_SECONDS, SECURE_HSTS_INCLUDE_SUBDOMAINS, SECURE_HSTS_PRELOAD:
            `Strict-Transport-Security`, with HTTPS only.
        SECURE_CONTENT_TYPE_NOSNIFF, SECURE_REFERRER_POLICY,
            SECURE_CROSS_ORIGIN_OPENER_POLICY, X_FRAME_OPTIONS: A header each.
        SECURE_CSP, SECURE_CSP_REPORT_ONLY: The policy, from Django 6.0 on.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.headers = [_encoded(name, value) for name, value in security_headers()]
        self.exempt = [re.compile(r) for r in settings.SECURE_REDIRECT_EXEMPT]
        self.common = None
        if settings.DISALLOWED_USER_AGENTS or settings.PREPEND_WWW:
            # Django's rules do no I/O, so they can run on the event loop.
            self.common = CommonMiddleware(lambda request: HttpResponse())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        believe_proxy(scope)
        secure = scope["scheme"] in ("https", "wss")
        app = self.app
        try:
            # With two Host headers, proxies on the way could each use another one.
            hosts = [value for name, value in scope["headers"] if name == b"host"]
            host = b", ".join(hosts).decode("latin-1")
            check_host(host if hosts else host_without_header(scope))
        except DisallowedHost as error:
            if scope["type"] == "websocket":
                raise
            if not is_host_exempt(scope, receive, send):
                # Inside this class, so that the response gets the headers.
                app = await respond_to(error, Request.of(scope, receive, send))
        else:
            if not secure and self._needs_https(scope):
                app = redirect_to_https(scope)
            elif self.common is not None and scope["type"] == "http":
                app = await self._by_djangos_rules(Request.of(scope, receive, send))

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                wanted = [*self.headers, *varying_headers(scope, secure)]
                headers = message["headers"] = list(message.get("headers", ()))
                present = {name for name, _ in headers}
                headers += [pair for pair in wanted if pair[0] not in present]
            await send(message)

        await app(scope, receive, send_with_headers)

    async def _by_djangos_rules(self, request: Request) -> ASGIApp:
        """Return the app to call, or the response of Django's CommonMiddleware."""
        assert self.common is not None
        try:
            answer = self.common.process_request(request)
        except PermissionDenied as error:
            return await respond_to(error, request)
        return self.app if answer is None else await convert_response(answer)

    def _needs_https(self, scope: Scope) -> bool:
        if not django_setting("SECURE_SSL_REDIRECT") or scope["type"] == "websocket":
            return False
        # Django matches the path with the prefix; patterns without it work as well.
        paths = [path.lstrip("/") for path in (scope["path"], path_info(scope))]
        return not any(p.search(path) for p in self.exempt for path in paths)


def varying_headers(scope: Scope, secure: bool) -> Iterator[tuple[bytes, bytes]]:
    """
    Yield the headers that depend on the response of *scope*.

    Args:
        secure: Whether the browser uses HTTPS.
    """
    if secure and settings.SECURE_HSTS_SECONDS:
        yield _encoded("strict-transport-security", hsts())
    response = scope.get("vinyl.response")
    frame_options = django_setting("X_FRAME_OPTIONS")
    if frame_options and not getattr(response, "xframe_options_exempt", False):
        yield _encoded("x-frame-options", frame_options.upper())
    if csp.AVAILABLE:
        for name, value in csp.policies(scope):
            yield _encoded(name, value)


def _encoded(name: str, value: str) -> tuple[bytes, bytes]:
    return name.encode("ascii"), encode_header(name, value)


def believe_proxy(scope: Scope) -> None:
    """
    Set scheme and host of *scope* to those that the browser used, if the settings name
    the headers in which a proxy reports them.

    Raises:
        ImproperlyConfigured: `SECURE_PROXY_SSL_HEADER` is not a pair.
    """
    if django_setting("SECURE_PROXY_SSL_HEADER"):
        try:
            key, expected = settings.SECURE_PROXY_SSL_HEADER
        except ValueError:
            raise ImproperlyConfigured(
                f"settings.SECURE_PROXY_SSL_HEADER is "
                f"{settings.SECURE_PROXY_SSL_HEADER!r}, but must be a pair. Set it to "
                f"a header and its value for HTTPS: ('HTTP_X_FORWARDED_PROTO', "
                f"'https')."
            ) from None
        # The setting has the name of Django's `request.META`.
        name = key.removeprefix("HTTP_").replace("_", "-")
        told = Headers(scope=scope).get(name)
        if told is not None:
            secure = told.split(",", 1)[0].strip() == expected
            schemes = (
                ("ws", "wss") if scope["type"] == "websocket" else ("http", "https")
            )
            scope["scheme"] = schemes[secure]
    if django_setting("USE_X_FORWARDED_HOST"):
        headers = MutableHeaders(scope=scope)
        if host := headers.get("x-forwarded-host"):
            headers["host"] = host


def is_host_exempt(scope: Scope, receive: Receive, send: Send) -> bool:
    """Return whether the request is for a view that serves any host, as `health`."""
    if scope["type"] != "http":
        return False
    match = Request.of(scope, receive, send).resolver_match
    return match is not None and getattr(match.func, "host_exempt", False)


def host_without_header(scope: Scope) -> str:
    """
    Return the host of a request without the header `Host`: the address of the server,
    as in Django. It is empty for HTTP/1.1, which demands the header.
    """
    if scope.get("http_version") != "1.0":
        return ""
    name, _ = scope.get("server") or ("", None)
    return f"[{name}]" if ":" in name else name


def check_host(host: str) -> None:
    """
    Raises:
        DisallowedHost: *host* is not in `settings.ALLOWED_HOSTS`.
    """
    allowed = django_setting("ALLOWED_HOSTS")
    if not allowed and settings.DEBUG:
        allowed = DEBUG_HOSTS
    # A client could fill the cache with texts of any length.
    is_short = len(host) <= LONGEST_HOST
    is_allowed = _is_allowed if is_short else _is_allowed.__wrapped__
    if not is_allowed(host, tuple(allowed)):
        domain, _ = split_domain_port(host)
        raise DisallowedHost(
            f"The request is for the host {host!r}, which settings.ALLOWED_HOSTS does "
            f"not list. If that is a name of this site, add {domain or host!r} to it."
        )


@lru_cache(maxsize=1000)
def _is_allowed(host: str, allowed: tuple[str, ...]) -> bool:
    domain, _ = split_domain_port(host)
    return bool(domain) and validate_host(domain, allowed)


def redirect_to_https(scope: Scope) -> RedirectResponse:
    host = settings.SECURE_SSL_HOST or Headers(scope=scope).get("host")
    host = host or host_without_header(scope)
    return RedirectResponse(URL(scope=scope).replace(scheme="https", netloc=host), 301)


def hsts() -> str:
    value = f"max-age={settings.SECURE_HSTS_SECONDS}"
    if settings.SECURE_HSTS_INCLUDE_SUBDOMAINS:
        value += "; includeSubDomains"
    if settings.SECURE_HSTS_PRELOAD:
        value += "; preload"
    return value


def security_headers() -> Iterator[tuple[str, str]]:
    """Yield names and values of the headers that each response gets."""
    if settings.SECURE_CONTENT_TYPE_NOSNIFF:
        yield "x-content-type-options", "nosniff"
    if policy := settings.SECURE_REFERRER_POLICY:
        policies = policy.split(",") if isinstance(policy, str) else policy
        yield "referrer-policy", ",".join(p.strip() for p in policies)
    if policy := settings.SECURE_CROSS_ORIGIN_OPENER_POLICY:
        yield "cross-origin-opener-policy", policy
