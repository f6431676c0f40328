"""
JSON as RFC 8259 defines it, read and written: without `NaN`, and without halves of
characters, which no database stores and no UTF-8 text can contain.

Values are written by orjson where its text is the same as that of Python's `json`, and
by that module otherwise, which also raises the errors.
"""

from __future__ import annotations

import datetime
import json
import re
from decimal import Decimal
from itertools import chain
from typing import Any, NoReturn
from uuid import UUID

import orjson
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, QuerySet
from django.utils.safestring import SafeString

from vinyl.bridge.calls import Call
from vinyl.orm.dualmode.lazy import NotFetched

__all__ = ["dump_json", "load_json"]

# Half of a character beyond U+FFFF, as JSON escapes it; the other half may follow.
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")

# Values of these types, but not of subclasses, get the same text from orjson. For the
# types in the second line, it calls Django's encoder.
_PLAIN = frozenset(
    (str, SafeString, int, bool, type(None), UUID)
    + (datetime.datetime, datetime.date, datetime.time, datetime.timedelta, Decimal)
)

_DICT = {dict}


def load_json(text: bytes) -> Any:
    """
    Return the value of *text*, in UTF-8. Never switches.

    Raises:
        ValueError: It is not JSON, or contains `NaN` or half of a character.
        RecursionError: It is nested too deeply.
    """
    value = json.loads(text, parse_constant=_refuse_constant)
    if _HALF.search(text):
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON value.")


def dump_json(content: Any) -> bytes:
    """
    Return *content* as compact JSON, in UTF-8. Model values (dates, decimals, UUIDs,
    lazy text) are written as by Django's `JsonResponse`, and a queryset as a list.
    Switches to the event loop in the bridge, to fetch a queryset.

    Raises:
        NotFetchedError: It contains a lazy attribute that has not been awaited.
        NotAwaitedError: It contains a call or queryset that has not been awaited.
        TypeError: It contains something that JSON cannot express.
        ValueError: It contains `NaN` or an infinite number.
    """
    if isinstance(content, QuerySet):
        content = list(content)
    try:
        if _is_plain(content):
            options = orjson.OPT_PASSTHROUGH_DATETIME
            return orjson.dumps(content, _django_default, options)
    except (TypeError, RecursionError):
        # Python's encoder writes or refuses keys other than text, large integers,
        # halves of characters and circular references.
        pass
    return _dumped(content)


def _is_plain(value: Any) -> bool:
    """
    Whether orjson writes *value* as Python does. It writes `NaN` as null, members of
    enumerations as their values, and exponents differently.
    """
    kind = type(value)
    if kind is dict:
        value = value.values()
    elif kind is not list and kind is not tuple:
        return kind in _PLAIN or (kind is float and _has_no_exponent(value))
    kinds = set(map(type, value))
    if kinds <= _PLAIN:
        return True
    if kinds == _DICT:
        # Rows, whose values are looked at in one go.
        values = chain.from_iterable(map(dict.values, value))
        if _PLAIN.issuperset(map(type, values)):
            return True
        rows = map(dict.values, value)
        value = [one for row in rows for one in row if type(one) not in _PLAIN]
    for one in value:
        kind = type(one)
        if kind is float:
            if not _has_no_exponent(one):
                return False
        elif kind not in _PLAIN and not _is_plain(one):
            return False
    return True


def _has_no_exponent(number: float) -> bool:
    return 1e-4 <= abs(number) < 1e16 or number == 0


def _dumped(content: Any) -> bytes:
    """Return *content* as Python's encoder writes it."""
    try:
        return _encoder.encode(content).encode()
    except UnicodeEncodeError:
        # Half of a character has no UTF-8, but JSON has an escape for it.
        return _ascii_encoder.encode(content).encode()


class _Encoder(DjangoJSONEncoder):
    def default(self, value: Any) -> Any:
        if isinstance(value, (NotFetched, Call)):
            return value._refuse("writing it as JSON")
        if isinstance(value, QuerySet):
            return list(value)
        if isinstance(value, Model):
            # Only the author of the view knows which fields everybody may see.
            raise TypeError(
                f"An instance of {type(value).__name__} cannot be written as JSON, "
                f"because it may have fields that the client must not see. Write a "
                f"dict of the fields to send, or use `.values(...)` of the queryset."
            )
        return super().default(value)


_django_default = DjangoJSONEncoder().default
_STRICT: Any = {"allow_nan": False, "separators": (",", ":")}
_encoder = _Encoder(ensure_ascii=False, **_STRICT)
_ascii_encoder = _Encoder(ensure_ascii=True, **_STRICT)
