"""Text in headers: what a response may send, and the cookies of a request."""

from __future__ import annotations

import re
from typing import Self

from django.http import BadHeaderError, parse_cookie
from django.http.response import ResponseHeaders as DjangosHeaders
from django.utils.encoding import iri_to_uri
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Scope

__all__ = ["ResponseHeaders", "cookies_of", "encoded", "refuse_injection"]

_BREAKS = re.compile(rb"[\r\n\0]")


def encoded(name: str, value: str) -> bytes:
    """
    *value* as a response sends it in the header called *name*.

    As in Django: Latin-1, and encoded words of RFC 2047 where that does not suffice. An
    address is percent-encoded, and cookies are UTF-8, which `request.cookies` and
    JavaScript read.

    Raises:
        BadHeaderError: It is not Latin-1 and has a line break.
    """
    if value.isascii():
        return value.encode("ascii")
    match name.lower():
        case "location" | "content-location":
            return iri_to_uri(value).encode("ascii")
        case "set-cookie":
            return value.encode("utf-8", "surrogateescape")
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return DjangosHeaders({name: value})[name].encode("latin-1")


class ResponseHeaders(MutableHeaders):
    """Starlette's headers of a response, whose values may be any text."""

    def __setitem__(self, key: str, value: str) -> None:
        super().__setitem__(key, _as_latin_1(key, value))

    def setdefault(self, key: str, value: str) -> str:
        return super().setdefault(key, _as_latin_1(key, value))

    def append(self, key: str, value: str) -> None:
        super().append(key, _as_latin_1(key, value))

    def mutablecopy(self) -> Self:
        return type(self)(raw=list(self.raw))


def _as_latin_1(name: str, value: str) -> str:
    """Text that Starlette, which knows of Latin-1 only, makes the right bytes of."""
    return encoded(name, value).decode("latin-1")


def refuse_injection(message: Message) -> None:
    """
    Check the headers of *message*, which starts a response. Never switches.

    Raises:
        BadHeaderError: A header contains a line break or a NUL, so that a server which
            does not check it would send further headers.
    """
    headers = message.get("headers") or ()
    # One search for all of them: this is done for each response.
    if _BREAKS.search(b"".join(part for header in headers for part in header)):
        for name, value in headers:
            if _BREAKS.search(name) or _BREAKS.search(value):
                raise BadHeaderError(
                    f"The header {name!r} has the value {value!r}, which contains a "
                    f"line break or a NUL: what follows it could be read as another "
                    f"header, so nothing was sent. Remove such characters from the "
                    f"text before you put it into a header."
                )


def cookies_of(scope: Scope) -> dict[str, str]:
    """
    The cookies of the request or WebSocket in *scope*, as Django reads them under WSGI:
    in UTF-8, as JavaScript sets them, with U+FFFD for what is none.
    """
    # HTTP/2 may send each in a header of its own.
    sent = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
    return parse_cookie(sent.decode("utf-8", "replace"))
