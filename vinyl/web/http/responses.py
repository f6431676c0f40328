"""
The response classes: Starlette's, with Django's interface for headers and cookies.
"""

from __future__ import annotations

import http.client
from collections.abc import Coroutine, Mapping
from functools import lru_cache
from typing import Any, NoReturn, cast
from urllib.parse import urlsplit

import starlette.responses
from django.core.exceptions import DisallowedRedirect
from django.http import (
    HttpResponsePermanentRedirect,
    HttpResponseRedirect,
)
from django.shortcuts import resolve_url
from django.utils.functional import Promise
from starlette.background import BackgroundTask
from starlette.datastructures import Headers, MutableHeaders

from vinyl.web.http.background import with_bridge
from vinyl.web.http.cookies import CookieResponse
from vinyl.web.http.headers import ResponseHeaders, encode_header
from vinyl.web.http.strict_json import dump_json

__all__ = [
    "FileResponse",
    "HTMLResponse",
    "JSONResponse",
    "PlainTextResponse",
    "RedirectResponse",
    "Response",
    "reason_phrase",
    "redirect",
]


def reason_phrase(status: int) -> str:
    """
    Return the phrase that HTTP has for *status*, such as "Not Found". Never switches.
    """
    return http.client.responses.get(status, "Unknown Status Code")


@lru_cache(maxsize=100)
def content_type(media_type: str, charset: str) -> bytes:
    """Return the value of Content-Type: text types get the charset."""
    lower = media_type.lower()
    if media_type.startswith("text/") and "charset=" not in lower:
        media_type += f"; charset={charset}"
    return media_type.encode("latin-1")


class Response(CookieResponse):
    """
    Starlette's response, which Django's decorators for views accept as well: it has
    `response["Vary"]`, `has_header()`, `setdefault()`, `cookies` and so on.

    Args:
        content: The body: bytes, or text, which is encoded in UTF-8. None for no body.
        status_code: The HTTP status.
        headers: Further headers. Text that Latin-1 cannot express is encoded as by
            Django.
        media_type: The Content-Type; None for that of the class. Text types get a
            charset.
        background: A `BackgroundTask` that is called after the response has been sent.

    Raises:
        BadHeaderError: A header is not Latin-1 and contains a line break.

    Never switches.
    """

    streaming = False
    _background: BackgroundTask | None = None

    def __init__(
        self,
        content: Any = None,
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        self.status_code = status_code
        if media_type is not None:
            self.media_type = media_type
        if background is not None:
            self.background = background
        self.body = self.render(content)
        self.init_headers(headers)

    @property
    def background(self) -> BackgroundTask | None:
        """The `BackgroundTask` that is called after the response, or None."""
        return self._background

    @background.setter
    def background(self, task: BackgroundTask | None) -> None:
        self._background = None if task is None else with_bridge(task)

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        # The body is rendered. Django waits until a response that has a render() is.
        self.render = None  # type: ignore[method-assign, assignment]
        if headers is None:
            self._raw_headers = self._own_headers()
        else:
            # Not a dict: a header may occur several times.
            headers = Headers(
                raw=[
                    (name.lower().encode("latin-1"), encode_header(name, value))
                    for name, value in headers.items()
                ]
            )
            super().init_headers(headers)

    def _own_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers that follow from the body and the media type."""
        own = []
        body, status = getattr(self, "body", None), self.status_code
        if body is not None and status >= 200 and status not in (204, 304):
            own.append((b"content-length", b"%d" % len(body)))
        if self.media_type is not None:
            own.append((b"content-type", content_type(self.media_type, self.charset)))
        return own

    @property
    def headers(self) -> MutableHeaders:
        """The headers; text that Latin-1 cannot express is encoded as by Django."""
        if not hasattr(self, "_headers"):
            self._headers = ResponseHeaders(raw=self.raw_headers)
        return self._headers

    def __getitem__(self, name: str) -> str:
        return self.headers[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.headers[name] = str(value)

    def __delitem__(self, name: str) -> None:
        del self.headers[name]

    def __contains__(self, name: str) -> bool:
        return name in self.headers

    # `name in response` looks at the headers, but a response cannot be iterated over.
    __iter__ = None

    def has_header(self, name: str) -> bool:
        """Return whether there is a header *name*, in any case. Never switches."""
        return name in self.headers

    def get(self, name: str, alternate: Any = None) -> Any:
        """Return the header *name*, or *alternate* without it. Never switches."""
        return self.headers.get(name, alternate)

    def setdefault(self, name: str, value: Any) -> None:
        """Set the header *name* to *value* unless it is set. Never switches."""
        self.headers.setdefault(name, str(value))

    def items(self) -> Any:
        """Return the headers as pairs of name and value. Never switches."""
        return self.headers.items()

    @property
    def content(self) -> bytes:
        """The body in bytes, under Django's name."""
        return bytes(self.body)

    @content.setter
    def content(self, content: bytes | str) -> None:
        body = content.encode(self.charset) if isinstance(content, str) else content
        self.body = body
        self.headers["content-length"] = str(len(body))

    @property
    def reason_phrase(self) -> str:
        return reason_phrase(self.status_code)


class HTMLResponse(Response, starlette.responses.HTMLResponse):
    """A page. Args: as for `Response`."""


class PlainTextResponse(Response, starlette.responses.PlainTextResponse):
    """A plain text. Args: as for `Response`."""


class RedirectResponse(Response, starlette.responses.RedirectResponse):
    """
    A redirect to *url*.

    Args:
        url: A URL, which may be relative or lazy.
        status_code: The HTTP status. 307 keeps the method and the body, 302 makes the
            browser use GET.
        headers, background: As for `Response`.

    Raises:
        DisallowedRedirect: *url* is malformed, or its scheme is not one that Django
            allows: "http", "https" or "ftp".

    Never switches.
    """

    def __init__(
        self,
        url: object,
        status_code: int = 307,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        try:
            scheme = urlsplit(str(url)).scheme
        except ValueError as error:
            raise DisallowedRedirect(f"{url!r} is not a URL: {error}") from error
        allowed = HttpResponseRedirect.allowed_schemes
        if scheme and scheme not in allowed:
            raise DisallowedRedirect(
                f"{url!r} has the scheme {scheme!r}, which is not safe for a redirect. "
                f"Use one of {', '.join(allowed)}."
            )
        starlette.responses.RedirectResponse.__init__(
            self, str(url), status_code, headers, background
        )


class FileResponse(Response, starlette.responses.FileResponse):
    """
    A file on the disk, sent as a whole or in the ranges that the client asks for.

    Args:
        path: The path of the file.
        status_code, headers, background: As for `Response`.
        media_type: The Content-Type; None to guess it from the name.
        filename: The name under which the client saves the file; None for no
            Content-Disposition header.
        stat_result: The result of `os.stat()`, if it is already known.
        content_disposition_type: "attachment", or "inline" to show it in the browser.

    Sending it raises `RuntimeError` if the file does not exist.
    """

    streaming = True
    __init__ = starlette.responses.FileResponse.__init__

    @property
    def is_async(self) -> NoReturn:
        raise TypeError(
            "A FileResponse is sent from the disk, in the ranges that the client asks "
            "for, so a decorator such as gzip_page cannot change its content. Remove "
            "the decorator from this view."
        )


class JSONResponse(Response, starlette.responses.JSONResponse):
    """
    A value as JSON.

    Args:
        content: The value. Dates, decimals, UUIDs and lazy text are written as by
            Django's `JsonResponse`, and a queryset as a list.
        status_code, headers, media_type, background: As for `Response`.

    Raises:
        NotFetchedError: It contains a lazy attribute that has not been awaited.
        NotAwaitedError: It contains a call or queryset that has not been awaited.
        TypeError: It contains something that JSON cannot express.
        ValueError: It contains `NaN` or an infinite number, which JSON does not have.

    Switches to the event loop in the bridge, to fetch a queryset.
    """

    def render(self, content: Any) -> bytes:
        return dump_json(content)


def redirect(
    to: object,
    *args: Any,
    permanent: bool = False,
    preserve_request: bool = False,
    **kwargs: Any,
) -> RedirectResponse:
    """
    Return a redirect to *to*.

    Args:
        to: A model instance with `get_absolute_url()`, a view or its name, or a URL,
            which may be relative or lazy.
        args, kwargs: The arguments of the view.
        permanent: Whether to use status 301 instead of 302.
        preserve_request: Whether the browser must repeat the method and the body:
            status 307, or 308 if permanent.

    Raises:
        NoReverseMatch: *to* is not the name of a view, and does not look like a URL.
        DisallowedRedirect: The scheme of the URL is not "http", "https" or "ftp".
        NotFetchedError: `get_absolute_url()` uses a relation that has not been fetched.
        TypeError: `get_absolute_url()` is `async def`, or does not return text.

    Switches to the event loop in the bridge, if `get_absolute_url()` does.
    """
    cls = HttpResponsePermanentRedirect if permanent else HttpResponseRedirect
    url: Any = to
    # Django takes the query of the same page for the name of a view.
    if not (isinstance(to, str) and to.startswith("?")):
        url = resolve_url(cast(Any, to), *args, **kwargs)
    if not isinstance(url, str | Promise):
        if isinstance(url, Coroutine):
            url.close()
        raise TypeError(
            f"redirect() got {url!r} from get_absolute_url(), which is not a URL. Make "
            f"get_absolute_url() a plain function that returns one as text."
        )
    checked = cls(str(url), preserve_request=preserve_request)
    return RedirectResponse(checked["Location"], checked.status_code)
