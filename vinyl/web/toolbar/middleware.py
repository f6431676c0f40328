"""Adding the toolbar to pages."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import time
from typing import Any

from django.conf import settings
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vinyl.orm.recording import Recording, current_recording, recording
from vinyl.web.http.requests import Request
from vinyl.web.toolbar.panel import panel

__all__ = ["ToolbarMiddleware"]

logger = logging.getLogger("vinyl.toolbar")

END = b"</body>"


class ToolbarMiddleware:
    """
    Add a panel to HTML pages that shows the request's SQL, lazy loads, templates,
    headers and times.

    It is added only with `DEBUG` on, and only for browsers on this computer or at one
    of `INTERNAL_IPS`. Streamed or compressed pages, parts of pages, and downloads are
    not changed. List this class first, but after middleware that compresses.

    Settings: `DEBUG`; `INTERNAL_IPS`, the addresses of further browsers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not settings.DEBUG or scope["type"] != "http" or not is_local(scope):
            await self.app(scope, receive, send)
            return
        current: Any = current_recording()
        if current is None or not current.full:
            current = recording(full=True)
        else:
            current = contextlib.nullcontext(current)
        with current as record:
            page = Page(Request.of(scope, receive, send), record, send)
            await self.app(scope, receive, page.send)


def is_local(scope: Scope) -> bool:
    """Return whether the browser is on this computer, or at one of INTERNAL_IPS."""
    host = (scope.get("client") or ("",))[0]
    if host in settings.INTERNAL_IPS:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Page:
    """
    The response to one request while it is sent.

    Args:
        request: The request.
        record: Its recording.
        send: Sends the response on.
    """

    def __init__(self, request: Request, record: Recording, send: Send) -> None:
        self._request = request
        self._record = record
        self._send = send
        # Made here, before a middleware sends the policy that contains it.
        self._nonce = "" if request.csp_nonce is None else str(request.csp_nonce)
        self._started = time.perf_counter()
        # The start of a page that may get the panel, until its body is known.
        self._head: Message | None = None

    async def send(self, message: Message) -> None:
        """Send *message* on, with the panel if it is the body of a page."""
        kind = message["type"]
        if kind == "http.response.start" and self._takes_panel(message):
            self._head = message
            return
        if self._head is not None:
            head, self._head = self._head, None
            if kind == "http.response.body" and not message.get("more_body"):
                message = self._with_panel(head, message)
            await self._send(head)
        await self._send(message)

    def _takes_panel(self, head: Message) -> bool:
        headers = MutableHeaders(raw=head["headers"])
        content_type = headers.get("content-type", "").partition(";")[0].strip()
        return (
            content_type.lower() in ("text/html", "application/xhtml+xml")
            and self._request.method != "HEAD"
            and head["status"] not in (204, 206, 304)
            and "content-encoding" not in headers
            and not headers.get("content-disposition", "").startswith("attachment")
        )

    def _with_panel(self, head: Message, message: Message) -> Message:
        body = bytes(message.get("body", b""))
        # Without an end it is a part of a page.
        end = body.lower().rfind(END)
        if end < 0:
            return message
        try:
            seconds = time.perf_counter() - self._started
            text = panel(
                self._request, self._record, seconds, head["status"], self._nonce
            )
        except Exception:
            # The page matters more than the panel.
            logger.exception("The toolbar failed")
            return message
        # ASCII is right in every charset in which the end was found.
        added = text.encode("ascii", "xmlcharrefreplace")
        body = body[:end] + added + body[end:]
        headers = MutableHeaders(raw=head["headers"])
        headers["content-length"] = str(len(body))
        # It is that of the page without the panel.
        del headers["etag"]
        head["headers"] = headers.raw
        return {**message, "body": body}
