"""
JSON as RFC 8259 defines it, read and written: without `NaN`, and without halves of
characters, which no database stores and no UTF-8 text can contain.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model, QuerySet

from vinyl.bridge.calls import Call
from vinyl.orm.dualmode.lazy import NotFetched

__all__ = ["dump_json", "load_json"]

# Half of a character beyond U+FFFF, as JSON escapes it; the other half may follow.
_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


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


def dump_json(content: Any) -> str:
    """
    Return *content* as compact JSON. Model values (dates, decimals, UUIDs, lazy text)
    are written as by Django's `JsonResponse`, and a queryset as a list. Switches to the
    event loop in the bridge, to fetch a queryset.

    Raises:
        NotFetchedError: It contains a lazy attribute that has not been awaited.
        NotAwaitedError: It contains a call or queryset that has not been awaited.
        TypeError: It contains something that JSON cannot express.
        ValueError: It contains `NaN` or an infinite number.
    """
    text = _dumped(content, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        # Half of a character has no UTF-8, but JSON has an escape for it.
        return _dumped(content, ensure_ascii=True)
    return text


def _dumped(content: Any, *, ensure_ascii: bool) -> str:
    return json.dumps(
        content,
        cls=_Encoder,
        ensure_ascii=ensure_ascii,
        allow_nan=False,
        separators=(",", ":"),
    )


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
