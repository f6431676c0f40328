"""Cookies: those of a request, and those that a response sets."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from http.cookies import SimpleCookie
from typing import Any

import starlette.responses
from django.http import HttpResponse, parse_cookie
from django.utils.encoding import iri_to_uri
from starlette.types import Scope

from vinyl.web.http.headers import encode_header

__all__ = ["CookieResponse", "cookies_of"]


def cookies_of(scope: Scope) -> dict[str, str]:
    """
    Return the cookies of the request or WebSocket in *scope*, as Django reads them
    under WSGI: in UTF-8, as JavaScript sets them, with U+FFFD for malformed bytes.
    Never switches.
    """
    # HTTP/2 may send each cookie in a header of its own.
    sent = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
    return parse_cookie(sent.decode("utf-8", "replace"))


class CookieResponse(starlette.responses.Response):
    """The part of `vinyl.web.Response` that sets cookies, as in Django."""

    # The cookies, once they have been asked for, and the headers made from them.
    _cookies: SimpleCookie | None = None
    _cookie_headers: Sequence[bytes] = ()

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers as they are sent, with names in lower case."""
        if self._cookies is not None:
            self._write_cookies(self._cookies)
        return self._raw_headers

    @raw_headers.setter
    def raw_headers(self, headers: list[tuple[bytes, bytes]]) -> None:
        self._raw_headers = headers

    @property
    def cookies(self) -> SimpleCookie:
        """
        The cookies that the response sets, by name. Changes are sent:
        `response.cookies["a"]["secure"] = True`.
        """
        if self._cookies is None:
            self._cookies = SimpleCookie()
        self._write_cookies(self._cookies)
        return self._cookies

    def _write_cookies(self, cookies: SimpleCookie) -> None:
        """Add to *cookies* those that `set_cookie()` has set, and write the headers."""
        others = []
        for name, value in self._raw_headers:
            if name != b"set-cookie":
                others.append((name, value))
            elif value not in self._cookie_headers:
                cookies.load(value.decode("utf-8", "surrogateescape"))
        self._cookie_headers = [
            encode_header("set-cookie", cookie.OutputString())
            for cookie in cookies.values()
        ]
        made = [(b"set-cookie", value) for value in self._cookie_headers]
        # In place: `headers` refers to this list.
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
        Set a cookie, as in Starlette. Never switches.

        Args:
            value: Any text.
            max_age: Seconds, or a `timedelta` as in Django; None for a session cookie.
            expires: Seconds from now, a `datetime`, or a date as HTTP writes it.
            path: The path below which the browser sends it; None for no attribute.
            args, kwargs: Starlette's `domain`, `secure`, `httponly`, `samesite` and so
                on.
        """
        if isinstance(max_age, datetime.timedelta):
            max_age = int(max_age.total_seconds())
        attributes = (max_age, expires, path and iri_to_uri(path), *args)
        try:
            super().set_cookie(key, value, *attributes, **kwargs)
        except UnicodeEncodeError:
            # Starlette writes Latin-1 only. The attributes stay when the value is set.
            super().set_cookie(key, "", *attributes, **kwargs)
            self.cookies[key] = value

    def set_signed_cookie(
        self, key: str, value: str, salt: str = "", **kwargs: Any
    ) -> None:
        """
        Set a cookie that `request.get_signed_cookie()` reads with the same *salt*.
        Never switches.

        Args:
            kwargs: As for `set_cookie()`.
        """
        signed = HttpResponse()
        signed.set_signed_cookie(key, value, salt=salt)
        self.set_cookie(key, signed.cookies[key].value, **kwargs)
