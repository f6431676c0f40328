"""304 responses for clients that have the current page, by Django's own rules."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.middleware import http as django_http
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["ConditionalGetMiddleware"]

# The request headers that Django's rules read.
_CONDITIONS = ("if-match", "if-modified-since", "if-none-match", "if-unmodified-since")
# The response headers that Django's rules read or keep.
_RESPONSE_HEADERS = frozenset(
    {
        "cache-control",
        "content-location",
        "date",
        "etag",
        "expires",
        "last-modified",
        "vary",
    }
)


class ConditionalGetMiddleware:
    """
    Add an ETag, computed from the content, to each complete response to a GET, and send
    status 304 without the content if the client has the current version.

    A response with `Cache-Control: no-store` gets no ETag. Neither does one that is
    streamed, but an ETag or `Last-Modified` that the view has set is compared. Reads no
    settings.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.django = django_http.ConditionalGetMiddleware(lambda request: None)  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET":
            send = Conditional(self.django, scope, send)
        await self.app(scope, receive, send)


class Conditional:
    """The `send` of one request, which holds the start back until the body is known."""

    def __init__(self, django: Any, scope: Scope, send: Send) -> None:
        asked = Headers(scope=scope)
        self.django = django
        self.request = HttpRequest()
        self.request.method, self.request.path = "GET", scope["path"]
        self.request.META = {
            f"HTTP_{name.upper().replace('-', '_')}": asked[name]
            for name in _CONDITIONS
            if name in asked
        }
        self.send = send
        # The start of a response whose body is expected in one message.
        self.start: Message | None = None
        # Whether another response has been sent, so that the view's is dropped.
        self.answered = False

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if self.answered:
            return
        if kind == "http.response.start":
            if "content-length" in MutableHeaders(scope=message):
                self.start = message
            else:
                # A stream; the client may need the headers before the first piece.
                await self._begin(message, b"")
            return
        if self.start is not None:
            start, self.start = self.start, None
            whole = kind == "http.response.body" and not message.get("more_body", False)
            await self._begin(start, message.get("body", b"") if whole else b"")
        if not self.answered:
            await self.send(message)

    async def _begin(self, start: Message, body: bytes) -> None:
        """
        Send *start*, or another response in its place.

        Args:
            start: The message that starts the view's response.
            body: The whole content; empty if it is not known.
        """
        headers = MutableHeaders(scope=start)
        response = HttpResponse(status=start["status"])
        if start["status"] == 200:
            response.content = body
        for name in _RESPONSE_HEADERS & set(headers.keys()):
            response[name] = headers[name]
        found = self.django.process_response(self.request, response)
        if "etag" in found:
            headers["etag"] = found["etag"]
        if found is response:
            await self.send(start)
            return
        self.answered = True
        # Without content, and with the headers that a client has to update.
        kept = {name.lower() for name in found.headers} | {"set-cookie"}
        kept -= {"content-length", "content-type"}
        raw = [(name, value) for name, value in headers.raw if name.decode() in kept]
        if found.status_code != 304:
            raw.append((b"content-length", b"0"))
        await self.send({**start, "status": found.status_code, "headers": raw})
        await self.send({"type": "http.response.body", "body": b""})
