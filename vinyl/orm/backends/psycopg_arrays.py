"""
Columns of values as PostgreSQL's arrays in binary, for `INSERT ... SELECT FROM UNNEST`.

psycopg's dumper of lists, which is written in Python, takes ten times as long for each
value. Arrays are only used where the server receives the same values: for types whose
dumpers have not been replaced.
"""

from __future__ import annotations

import datetime
import decimal
import struct
import uuid
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import psycopg
from psycopg.adapt import AdaptersMap, PyFormat
from psycopg.postgres import register_default_adapters
from psycopg.types.numeric import Int2, Int4, Int8

from vinyl.orm.backends.psycopg_adapters import Array
from vinyl.records import NamedTuple

__all__ = ["arrays_of", "has_arrays_of"]

NULL = struct.pack(">i", -1)
# PostgreSQL counts days and microseconds from here.
DAY = datetime.date(2000, 1, 1).toordinal()
MOMENT = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
MICROSECOND = datetime.timedelta(microseconds=1)


class _Kind(NamedTuple):
    """
    How the values of a type of column are packed.

    Args:
        cls: The class of its arrays.
        oid: The type of the elements.
        pack: Returns the elements, each behind its length. Raises an error if it
            cannot pack them.
        dumped: The classes that psycopg would dump.
    """

    cls: type[Array]
    oid: int
    pack: Callable[[Sequence[Any]], bytes]
    dumped: tuple[type, ...]


def _fixed(code: str, convert: Callable[[Any], Any] | None = None) -> Any:
    """
    The function that packs values whose format in `struct` is *code*.

    Args:
        convert: Returns what is packed for a value that is not None.
    """
    size = struct.calcsize(f">{code}")
    pack_one = struct.Struct(f">i{code}").pack

    def pack(values: Sequence[Any]) -> bytes:
        if None in values:
            return b"".join(
                [
                    NULL
                    if value is None
                    else pack_one(size, value if convert is None else convert(value))
                    for value in values
                ]
            )
        flat = [size] * (2 * len(values))
        flat[1::2] = values if convert is None else map(convert, values)
        return struct.pack(">" + f"i{code}" * len(values), *flat)

    return pack


def _text(values: Sequence[str | None]) -> bytes:
    pack_length = struct.Struct(">i").pack
    parts = []
    for value in values:
        if value is None:
            parts.append(NULL)
        else:
            encoded = value.encode()
            parts += (pack_length(len(encoded)), encoded)
            if "\0" in value:
                raise ValueError
    return b"".join(parts)


def _decimals(values: Sequence[decimal.Decimal | None]) -> bytes:
    return _text([None if value is None else str(value) for value in values])


def _days(value: datetime.date) -> int:
    return value.toordinal() - DAY


def _microseconds(value: datetime.datetime) -> int:
    # Raises an error if it has no time zone.
    return (value - MOMENT) // MICROSECOND


def _kind(name: str, pack: Any, *dumped: type) -> _Kind:
    info = psycopg.adapters.types[name]
    cls = type(
        f"{name.capitalize()}Array", (Array,), {"__slots__": (), "oid": info.array_oid}
    )
    return _Kind(cls, info.oid, pack, dumped)


# By type of the column. The server converts arrays of text.
_text_kind = _kind("text", _text, str)
_KINDS = {
    "bigint": _kind("int8", _fixed("q"), int, Int8),
    "boolean": _kind("bool", _fixed("?"), bool),
    "date": _kind("date", _fixed("i", _days), datetime.date),
    "double precision": _kind("float8", _fixed("d"), float),
    "integer": _kind("int4", _fixed("i"), int, Int4),
    "numeric": _text_kind._replace(pack=_decimals, dumped=(decimal.Decimal,)),
    "smallint": _kind("int2", _fixed("h"), int, Int2),
    "text": _text_kind,
    "timestamp with time zone": _kind(
        "timestamptz", _fixed("q", _microseconds), datetime.datetime
    ),
    "uuid": _kind("uuid", _fixed("16s", lambda value: value.bytes), uuid.UUID),
    "varchar": _text_kind,
}


@cache
def _default_dumpers() -> dict[type, list[Any]]:
    """psycopg's own dumpers, by the classes that they dump."""
    adapters = AdaptersMap(types=psycopg.adapters.types)
    register_default_adapters(adapters)
    classes = {list, *(cls for kind in _KINDS.values() for cls in kind.dumped)}
    return {cls: _dumpers_of(adapters, cls) for cls in classes}


def _dumpers_of(adapters: AdaptersMap, cls: type) -> list[Any]:
    return [
        adapters.get_dumper(cls, format) for format in (PyFormat.AUTO, PyFormat.TEXT)
    ]


def has_arrays_of(db_type: str) -> bool:
    """
    Whether columns of *db_type*, a type of PostgreSQL without parameters, can be sent
    as arrays. Never switches.
    """
    return db_type in _KINDS


def arrays_of(
    connection: psycopg.Connection[Any],
    db_types: Sequence[str],
    columns: Sequence[Sequence[Any]],
) -> tuple[Array, ...] | None:
    """
    Return *columns* as parameters for *connection*; None if psycopg has to dump a value
    or to raise its error.

    Args:
        db_types: The type of each column, which `has_arrays_of()`.
        columns: The values of each column, in the types that Django's field of this
            type has in Python, or None.

    Never switches.
    """
    adapters, default = connection.adapters, _default_dumpers()
    if connection.info.encoding != "utf-8":
        return None
    arrays = []
    for db_type, values in zip(db_types, columns, strict=True):
        kind = _KINDS[db_type]
        for cls in (list, *kind.dumped):
            if _dumpers_of(adapters, cls) != default[cls]:
                return None
        try:
            elements = kind.pack(values)
        except (OverflowError, TypeError, ValueError, struct.error):
            return None
        has_null = None in values
        header = struct.pack(">iiIii", 1, has_null, kind.oid, len(values), 1)
        arrays.append(kind.cls(values, header + elements))
    return tuple(arrays)
