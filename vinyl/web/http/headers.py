"""Text in the headers of a response."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Self

from django.http import BadHeaderError
from django.http.response import ResponseHeaders as DjangosHeaders
from django.utils.encoding import iri_to_uri
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message

__all__ = ["RequestHeaders", "ResponseHeaders", "encode_header", "refuse_injection"]

LF, CR, NUL = b"\n\r\0"


def encode_header(name: str, value: str) -> bytes:
    """
    Return *value* as a response sends it in the header *name*. Never switches.

    As in Django: Latin-1, or encoded words of RFC 2047 if it is other text. A URL is
    percent-encoded. Cookies are UTF-8, as `request.cookies` and JavaScript read them.

    Raises:
        BadHeaderError: It is not Latin-1 and contains a line break.
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


class RequestHeaders(Headers):
    """
    The headers of a request, as in Starlette; but a name may be given with underscores,
    as in Django's templates, and the values of a header that was sent several times are
    joined by commas.

    Args:
        raw: Names and values. A name with an underscore is left out, as by Django and
            by proxies: what a proxy removes or sets has hyphens.
    """

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        super().__init__(raw=[pair for pair in raw if b"_" not in pair[0]])

    def __getitem__(self, key: str) -> str:
        name = _hyphenated(key)
        values = [value for known, value in self.raw if known == name]
        if not values:
            raise KeyError(key)
        separator = b"; " if name == b"cookie" else b","
        return separator.join(values).decode("latin-1")

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and any(
            known == _hyphenated(key) for known, _ in self.raw
        )


def _hyphenated(name: str) -> bytes:
    return name.replace("_", "-").lower().encode("latin-1")


class ResponseHeaders(MutableHeaders):
    """The headers of a response, as in Starlette; but values may be any text."""

    def __setitem__(self, key: str, value: str) -> None:
        super().__setitem__(key, _as_latin_1(key, value))

    def setdefault(self, key: str, value: str) -> str:
        return super().setdefault(key, _as_latin_1(key, value))

    def append(self, key: str, value: str) -> None:
        super().append(key, _as_latin_1(key, value))

    def mutablecopy(self) -> Self:
        return type(self)(raw=list(self.raw))


def _as_latin_1(name: str, value: str) -> str:
    """Text that gives the right bytes when Starlette encodes it in Latin-1."""
    return encode_header(name, value).decode("latin-1")


def refuse_injection(message: Message) -> None:
    """
    Check the headers of *message*, which starts a response. Never switches.

    Raises:
        BadHeaderError: A header contains a line break or a NUL, so that a server which
            does not check it would send further headers.
    """
    headers = message.get("headers") or ()
    # One look at all of them, without another call: this is done for each response.
    text = b"".join(chain.from_iterable(headers))
    if LF in text or CR in text or NUL in text:
        for name, value in headers:
            if _contains_break(name) or _contains_break(value):
                raise BadHeaderError(
                    f"The header {name!r} has the value {value!r}, which contains a "
                    f"line break or a NUL: what follows it could be read as another "
                    f"header, so nothing was sent. Remove such characters from the "
                    f"text before you put it into a header."
                )


def _contains_break(text: bytes) -> bool:
    # Bytes are found faster by their numbers.
    return LF in text or CR in text or NUL in text
