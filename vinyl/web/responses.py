"""The response classes: Starlette's, with JSON that knows model values."""

from __future__ import annotations

import json
from typing import Any, NoReturn
from urllib.parse import urlsplit

from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet
from django.urls import NoReverseMatch, reverse
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.responses import JSONResponse as StarletteJSONResponse

from vinyl.orm.calls import Call
from vinyl.orm.lazy import NotFetched

__all__ = [
    "FileResponse",
    "HTMLResponse",
    "JSONResponse",
    "PlainTextResponse",
    "RedirectResponse",
    "Response",
    "StreamingResponse",
    "redirect",
]


class Encoder(DjangoJSONEncoder):
    """Django's JSON encoder (dates, decimals, UUIDs, lazy text), and querysets."""

    def default(self, value: Any) -> Any:
        if isinstance(value, (NotFetched, Call)):
            return _refuse(value)
        if isinstance(value, QuerySet):
            return list(value)
        return super().default(value)


def _refuse(value: NotFetched | Call) -> NoReturn:
    value._refuse("writing it as JSON")


class JSONResponse(StarletteJSONResponse):
    """
    A response with *content* as JSON. Model values (dates, decimals, UUIDs) are
    written as in Django's `JsonResponse`.

    Raises:
        NotFetchedError: A lazy attribute in it has not been awaited.
        NotAwaitedError: A call or queryset in it has not been awaited.
        TypeError: It contains something that JSON cannot express.
    """

    def render(self, content: Any) -> bytes:
        return json.dumps(
            content,
            cls=Encoder,
            ensure_ascii=False,
            allow_nan=False,
            separators=(",", ":"),
        ).encode()


def redirect(
    to: Any, *args: Any, permanent: bool = False, **kwargs: Any
) -> RedirectResponse:
    """
    A redirect to *to*: a model instance with `get_absolute_url()`, the name of a view
    (with its *args* and *kwargs*), or a URL.

    Args:
        permanent: Answer with 301 instead of 302.

    Raises:
        NoReverseMatch: *to* is the name of no view, and does not look like a URL.
    """
    return RedirectResponse(_location(to, args, kwargs), 301 if permanent else 302)


def _location(to: Any, args: tuple, kwargs: dict) -> str:
    if hasattr(to, "get_absolute_url"):
        return to.get_absolute_url()
    if not callable(to):
        to = str(to)
        if to.startswith(("./", "../")):
            return to
    try:
        return reverse(to, args=args, kwargs=kwargs)
    except NoReverseMatch:
        if callable(to) or not ("/" in to or "." in to or urlsplit(to).query):
            raise
        return to
