"""
The response classes: Starlette's, with Django's header interface and JSON that knows
model values.
"""

from __future__ import annotations

import datetime
import http.client
import json
from collections.abc import (
    Coroutine,
    Mapping,
    Sequence,
)
from http.cookies import SimpleCookie
from typing import Any, NoReturn
from urllib.parse import urlsplit

import starlette.responses
from django.core.exceptions import DisallowedRedirect
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, QuerySet
from django.http import (
    HttpResponse,
    HttpResponsePermanentRedirect,
    HttpResponseRedirect,
)
from django.shortcuts import resolve_url
from django.utils.encoding import iri_to_uri
from django.utils.functional import Promise
from starlette.background import BackgroundTask
from starlette.datastructures import Headers, MutableHeaders

from vinyl.bridge.calls import Call
from vinyl.orm.dualmode.lazy import NotFetched
from vinyl.web.http.background import ours
from vinyl.web.http.headers import ResponseHeaders, encoded

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
    """Return the phrase that HTTP has for *status*, such as "Not Found"."""
    return http.client.responses.get(status, "Unknown Status Code")


class Response(starlette.responses.Response):
    """
    Starlette's response, with Django's header interface as well: `response["Vary"]`,
    `has_header()`, `setdefault()`, so that Django's decorators for views work on it.
    """

    streaming = False
    _background: BackgroundTask | None = None
    # The cookies, once somebody has asked for them, and the headers made of them.
    _cookies: SimpleCookie | None = None
    _cookie_headers: Sequence[bytes] = ()

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """What is sent: names in lower case, and values."""
        if self._cookies is not None:
            self._write_cookies(self._cookies)
        return self._raw_headers

    @raw_headers.setter
    def raw_headers(self, headers: list[tuple[bytes, bytes]]) -> None:
        self._raw_headers = headers

    @property
    def background(self) -> BackgroundTask | None:
        """What is called when the response has been sent; see `BackgroundTask`."""
        return self._background

    @background.setter
    def background(self, task: BackgroundTask | None) -> None:
        self._background = None if task is None else ours(task)

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        if headers is not None:
            # Not a dict: a header may be there several times.
            headers = Headers(
                raw=[
                    (name.lower().encode("latin-1"), encoded(name, value))
                    for name, value in headers.items()
                ]
            )
        super().init_headers(headers)
        # The body is there. What has a render() Django takes for a response that is
        # to be rendered later, and waits for that.
        self.render = None  # type: ignore[method-assign, assignment]

    @property
    def headers(self) -> MutableHeaders:
        """Names and values; what Latin-1 cannot express is encoded as in Django."""
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

    # `name in response` asks the headers; there is nothing to iterate over.
    __iter__ = None

    def has_header(self, name: str) -> bool:
        return name in self.headers

    def get(self, name: str, alternate: Any = None) -> Any:
        return self.headers.get(name, alternate)

    def setdefault(self, name: str, value: Any) -> None:
        self.headers.setdefault(name, str(value))

    def items(self) -> Any:
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

    @property
    def cookies(self) -> SimpleCookie:
        """
        The cookies that the response sets, one for each name. What is changed in them
        is sent: `response.cookies["a"]["secure"] = True`.
        """
        if self._cookies is None:
            self._cookies = SimpleCookie()
        self._write_cookies(self._cookies)
        return self._cookies

    def _write_cookies(self, cookies: SimpleCookie) -> None:
        """Take what `set_cookie()` has added into *cookies*; make headers of them."""
        others = []
        for name, value in self._raw_headers:
            if name != b"set-cookie":
                others.append((name, value))
            elif value not in self._cookie_headers:
                cookies.load(value.decode("utf-8", "surrogateescape"))
        self._cookie_headers = [
            encoded("set-cookie", cookie.OutputString()) for cookie in cookies.values()
        ]
        made = [(b"set-cookie", value) for value in self._cookie_headers]
        # In place: `headers` looks at this list.
        self._raw_headers[:] = others + made

    def set_cookie(
        self,
        key: str,
        value: str = "",
        max_age: int | datetime.timedelta | None = None,
        expires: Any = None,
        path: str | None = "/",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        As in Starlette; *value* may be any text, and *max_age* (seconds) a `timedelta`,
        as in Django.
        """
        if isinstance(max_age, datetime.timedelta):
            max_age = int(max_age.total_seconds())
        attributes = (max_age, expires, path and iri_to_uri(path), *args)
        try:
            super().set_cookie(key, value, *attributes, **kwargs)
        except UnicodeEncodeError:
            # Starlette writes Latin-1. What is set again keeps its attributes.
            super().set_cookie(key, "", *attributes, **kwargs)
            self.cookies[key] = value

    def set_signed_cookie(
        self, key: str, value: str, salt: str = "", **kwargs: Any
    ) -> None:
        """A cookie that `request.get_signed_cookie()` reads, with the same *salt*."""
        signed = HttpResponse()
        signed.set_signed_cookie(key, value, salt=salt)
        self.set_cookie(key, signed.cookies[key].value, **kwargs)


class HTMLResponse(Response, starlette.responses.HTMLResponse):
    pass


class PlainTextResponse(Response, starlette.responses.PlainTextResponse):
    pass


class RedirectResponse(Response, starlette.responses.RedirectResponse):
    """
    A redirect to *url*.

    Raises:
        DisallowedRedirect: It is none, or its scheme is not among Django's, which are
            "http", "https" and "ftp".
    """

    def __init__(self, url: Any, *args: Any, **kwargs: Any) -> None:
        try:
            scheme = urlsplit(str(url)).scheme
        except ValueError as error:
            raise DisallowedRedirect(f"{url!r} is no URL: {error}") from error
        if scheme and scheme not in HttpResponseRedirect.allowed_schemes:
            raise DisallowedRedirect(
                f"{url!r} has the scheme {scheme!r}, to which nobody is redirected."
            )
        super().__init__(url, *args, **kwargs)


class FileResponse(Response, starlette.responses.FileResponse):
    streaming = True

    @property
    def is_async(self) -> NoReturn:
        raise TypeError(
            "A FileResponse is sent from the disk, in the ranges that the client asks "
            "for, so a decorator such as gzip_page cannot change what it sends. Remove "
            "the decorator from this view."
        )


class Encoder(DjangoJSONEncoder):
    """Django's JSON encoder (dates, decimals, UUIDs, lazy text), and querysets."""

    def default(self, value: Any) -> Any:
        if isinstance(value, (NotFetched, Call)):
            return _refuse(value)
        if isinstance(value, QuerySet):
            return list(value)
        if isinstance(value, Model):
            # Which of its fields are for everybody to see, only its author knows.
            raise TypeError(
                f"An object of {type(value).__name__} cannot be written as JSON: say "
                f"which of its fields. Write a dict of them, or use `.values(...)` of "
                f"the queryset."
            )
        return super().default(value)


def to_json(content: Any) -> str:
    """*content* as JSON; see `JSONResponse`."""
    text = _dumped(content, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        # Half a character has no UTF-8, but JSON has an escape for it.
        return _dumped(content, ensure_ascii=True)
    return text


def _dumped(content: Any, *, ensure_ascii: bool) -> str:
    return json.dumps(
        content,
        cls=Encoder,
        ensure_ascii=ensure_ascii,
        allow_nan=False,
        separators=(",", ":"),
    )


def _refuse(value: NotFetched | Call) -> Any:
    return value._refuse("writing it as JSON")


class JSONResponse(Response, starlette.responses.JSONResponse):
    """
    A response with *content* as JSON. Model values (dates, decimals, UUIDs) are
    written as in Django's `JsonResponse`.

    Raises:
        NotFetchedError: A lazy attribute in it has not been awaited.
        NotAwaitedError: A call or queryset in it has not been awaited.
        TypeError: It contains something that JSON cannot express.
        ValueError: It contains `NaN` or an infinite number, which JSON does not have.
    """

    def render(self, content: Any) -> bytes:
        return to_json(content).encode()


def redirect(
    to: Any,
    *args: Any,
    permanent: bool = False,
    preserve_request: bool = False,
    **kwargs: Any,
) -> RedirectResponse:
    """
    A redirect to *to*: a model instance with `get_absolute_url()`, the name of a view
    (with its *args* and *kwargs*), or a URL, which may be relative or lazy.

    Args:
        permanent: Answer with 301 instead of 302.
        preserve_request: The browser is to send the same method and body again: 307,
            or 308 if permanent.

    Raises:
        NoReverseMatch: *to* is the name of no view, and does not look like a URL.
        DisallowedRedirect: The URL is of a kind that leads to no page, `javascript:`.
        NotFetchedError: `get_absolute_url()` asks for a relation that is not there.
    """
    cls = HttpResponsePermanentRedirect if permanent else HttpResponseRedirect
    # To another query of the same page: Django takes that for a name.
    if not (isinstance(to, str) and to.startswith("?")):
        to = resolve_url(to, *args, **kwargs)
    if not isinstance(to, str | Promise):
        if isinstance(to, Coroutine):
            to.close()
        raise TypeError(
            f"redirect() was led to {to!r}, which is no address. get_absolute_url() "
            f"has to be a plain function that returns one."
        )
    checked = cls(str(to), preserve_request=preserve_request)
    return RedirectResponse(checked["Location"], checked.status_code)
