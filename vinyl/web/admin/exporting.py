"""
Export of what a change list shows, filters, search and order applied, as CSV or JSON:
streamed from the database to the browser in constant memory.
"""

from __future__ import annotations

import base64
import csv
import datetime
import html
import json
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from django.contrib.admin.templatetags import admin_list
from django.core.exceptions import ObjectDoesNotExist
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import ForeignKey, Model
from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.encoding import force_str
from django.utils.html import strip_tags
from django.utils.safestring import SafeData

from vinyl.bridge.greenlets import run
from vinyl.web.admin.crowds import share_crowds
from vinyl.web.admin.peers import fetch_together

__all__ = ["DANGEROUS", "FORMATS", "exported"]

# Rows that are read, and sent, at a time.
CHUNK = 1000

# A spreadsheet takes a text that begins with one of these for a formula, which can read
# other cells and send them. Such a text is exported with an apostrophe before it, and
# imported without; so is one that has apostrophes before it already.
# Wide signs are those of East Asia, where spreadsheets take them for the others.
DANGEROUS = (*"=+-@", *"\t\r\n", *"\uff1d\uff0b\uff0d\uff20")

# Excel takes a file without it for one in the system's encoding.
MARK = "\ufeff"

Rows = Iterable[list[Any]]


def exported(model_admin: Any, queryset: Any, names: list[Any], kind: str) -> Any:
    """
    Return the response with the rows of *queryset* as a file. Never switches; the rows
    are read while it is sent.

    Args:
        model_admin: Its methods may be columns.
        names: What `list_display` may contain.
        kind: A key of `FORMATS`.
    """
    content_type, write = FORMATS[kind]
    response = StreamingHttpResponse(
        _pieces(model_admin, queryset, names, write), content_type=content_type
    )
    name = f"{model_admin.opts.model_name}-{timezone.localdate()}.{kind}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response


async def _pieces(
    model_admin: Any, queryset: Any, names: list[Any], write: Callable[..., Any]
) -> AsyncIterator[str]:
    header = [_header(model_admin, name) for name in names]
    start, piece, end = write(header)
    yield start
    chunk: list[Any] = []
    is_first = True

    def text(rows: list[Any]) -> str:
        fetch_together(rows)
        share_crowds(rows)
        values = [[_value(model_admin, row, name) for name in names] for row in rows]
        return str(piece(values, is_first))

    many = {field.name for field in model_admin.opts.many_to_many}
    queryset = queryset.prefetch_related(*[name for name in names if name in many])
    async for row in queryset.iterator(chunk_size=CHUNK):
        chunk.append(row)
        if len(chunk) == CHUNK:
            yield await run(text, chunk)
            chunk, is_first = [], False
    if chunk:
        yield await run(text, chunk)
    yield end


def _header(model_admin: Any, name: Any) -> str:
    if name == "__str__":
        return force_str(model_admin.opts.verbose_name)
    return name if isinstance(name, str) else getattr(name, "__name__", str(name))


def _value(model_admin: Any, row: Any, name: Any) -> Any:
    try:
        # Of this module, in which it awaits methods that are async.
        lookup: Any = vars(admin_list)["lookup_field"]
        field, _, value = lookup(name, row, model_admin)
    except ObjectDoesNotExist:
        return None
    if field is not None and field.many_to_many:
        # Fetched for all rows.
        return [str(one) for one in getattr(row, field.name).all()]
    if isinstance(field, ForeignKey) and name != field.attname:
        value = getattr(row, field.name)
    if isinstance(value, Model):
        return str(value)
    if isinstance(value, SafeData):
        return html.unescape(strip_tags(str(value)))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.datetime) and timezone.is_aware(value):
        return timezone.localtime(value)
    return value


class _Line:
    """A file that returns what is written."""

    def write(self, line: str) -> str:
        return line


def _write_csv(header: list[str]) -> tuple[str, Callable[[Rows, bool], str], str]:
    line = csv.writer(_Line()).writerow

    def piece(rows: Rows, is_first: bool) -> str:
        return "".join(line([_cell(value) for value in row]) for row in rows)

    return MARK + piece([header], True), piece, ""


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return "" if value is None else value
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, list | tuple | dict):
        value = json.dumps(value, cls=DjangoJSONEncoder, ensure_ascii=False)
    text = str(value)
    if text.lstrip("'").startswith(DANGEROUS) and not _is_number(value):
        return f"'{text}"
    return text


def _is_number(value: Any) -> bool:
    return hasattr(value, "__index__") or hasattr(value, "as_tuple")


def _write_json(header: list[str]) -> tuple[str, Callable[[Rows, bool], str], str]:
    encode = json.JSONEncoder(
        ensure_ascii=False, default=_Encoder(ensure_ascii=False).default
    ).encode

    def piece(rows: Rows, is_first: bool) -> str:
        lines = (encode(dict(zip(header, row, strict=True))) for row in rows)
        return ("\n" if is_first else ",\n") + ",\n".join(lines)

    return "[", piece, "\n]\n"


class _Encoder(DjangoJSONEncoder):
    def default(self, value: Any) -> Any:
        try:
            return super().default(value)
        except TypeError:
            return str(value)


# By the ending of the file: its type, and what writes it.
FORMATS: dict[str, tuple[str, Callable[..., Any]]] = {
    "csv": ("text/csv; charset=utf-8", _write_csv),
    "json": ("application/json", _write_json),
}
