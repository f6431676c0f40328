"""The language of each request, chosen by Django's rules."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpResponse
from django.middleware import locale
from django.utils import translation
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vinyl.web.http.requests import Request

__all__ = ["LocaleMiddleware"]


class LocaleMiddleware:
    """
    Activate the language given by the path (`i18n_patterns`), the language cookie or
    the header `Accept-Language`. It applies to this request only: to async and plain
    views, templates, and threads of `in_thread`.

    The language is `request.LANGUAGE_CODE`. Responses get `Content-Language`, and
    `Vary` if the header was used. A path without the prefix that `i18n_patterns` needs
    is redirected to the one with it. WebSockets pass unchanged.

    Settings: `USE_I18N`, `LANGUAGES`, `LANGUAGE_CODE` and `LANGUAGE_COOKIE_*`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        # Django's rules do no I/O, so they can run on the event loop.
        self.django = locale.LocaleMiddleware(lambda request: None)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not settings.USE_I18N:
            await self.app(scope, receive, send)
            return
        request = Request.of(scope, receive, send)
        answered = False

        async def send_with_language(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                redirect = self._finish(request, message)
                if redirect is not None:
                    answered = True
                    await _send_redirect(redirect, message, send)
            if not answered:
                await send(message)

        # The context may be that of the caller, as with the client for tests.
        before: Any = translation.get_language()
        self.django.process_request(request)
        try:
            await self.app(scope, receive, send_with_language)
        finally:
            if before is None:
                translation.deactivate_all()
            else:
                translation.activate(before)

    def _finish(self, request: Request, start: Message) -> HttpResponse | None:
        """Add the headers about the language; return a redirect to send instead."""
        headers = MutableHeaders(scope=start)
        response = HttpResponse(status=start["status"])
        for name in ("content-language", "vary"):
            if name in headers:
                response[name] = ", ".join(headers.getlist(name))
        found: Any = self.django.process_response(request, response)
        if found is not response:
            return found
        for name in ("content-language", "vary"):
            if name in response:
                headers[name] = response[name]
        return None


async def _send_redirect(redirect: HttpResponse, start: Message, send: Send) -> None:
    headers = [
        (name.lower().encode(), value.encode("latin-1"))
        for name, value in redirect.items()
        if name != "Content-Type"
    ]
    headers.append((b"content-length", b"0"))
    await send({**start, "status": redirect.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
