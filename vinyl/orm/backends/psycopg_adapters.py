"""
psycopg's adapters as Django sets them up, with a fast loader for times in UTC, with
dumpers of arrays and of what has to be awaited first, and with the dumpers of
parameters kept.

Django's loader of `timestamptz` is based on psycopg's pure Python class and takes 5 µs
for each value. In a session in UTC, psycopg's own loader in C returns the same value in
0.2 µs.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import psycopg
from django.db.backends.postgresql.psycopg_any import BaseTzLoader
from psycopg import abc
from psycopg.adapt import AdaptersMap, Dumper, Transformer
from psycopg.pq import Format

__all__ = [
    "TIMESTAMPTZ",
    "Array",
    "OwnAdapters",
    "adapters_from",
    "dumper_of",
    "gives_utc",
    "is_in_utc",
]

# The type `timestamptz` in PostgreSQL's catalog.
TIMESTAMPTZ = psycopg.adapters.types["timestamptz"].oid


def is_in_utc(connection: Any) -> bool:
    """Whether the time zone of the session is UTC. Never switches."""
    zone: bytes | None = connection.pgconn.parameter_status(b"TimeZone")
    return zone == b"UTC"


def gives_utc(loader: Any) -> bool:
    """Whether *loader* is Django's and returns times in UTC. Never switches."""
    return issubclass(loader, BaseTzLoader) and loader.timezone is datetime.UTC


# Django caches the maps that these are made from in the same way.
@lru_cache
def adapters_from(template: AdaptersMap) -> AdaptersMap:
    """
    Return a copy of *template*, Django's adapters for a connection, with the fast
    loader; *template* itself if it does not return times in UTC.

    Never switches.
    """
    loader: Any = template.get_loader(TIMESTAMPTZ, Format.TEXT)
    if not gives_utc(loader):
        return template
    adapters = AdaptersMap(template)
    adapters.register_loader(TIMESTAMPTZ, _utc_loader(loader))
    return adapters


def _utc_loader(djangos: Any) -> Any:
    fast: Any = psycopg.adapters.get_loader(TIMESTAMPTZ, Format.TEXT)

    class UtcLoader(djangos):  # type: ignore[misc]
        def __new__(cls, oid: int, context: Any = None) -> Any:
            connection = context.connection if context is not None else None
            if connection is not None and is_in_utc(connection):
                return fast(oid, context)
            return super().__new__(cls)

    return UtcLoader


class Array:
    """
    A column of values as a parameter of a statement, of a subclass for each type.

    Args:
        values: The values, which observers of queries see.
        packed: The array as PostgreSQL receives it.
    """

    __slots__ = ("packed", "values")
    # The type of the array in PostgreSQL's catalog.
    oid = 0

    def __init__(self, values: Sequence[Any], packed: bytes) -> None:
        self.values = values
        self.packed = packed

    def __repr__(self) -> str:
        return repr(self.values)


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def __init__(self, cls: Any, context: abc.AdaptContext | None = None) -> None:
        super().__init__(cls, context)
        self.oid = cls.oid

    def dump(self, obj: Any) -> bytes:
        packed: bytes = obj.packed
        return packed


class _RefusingDumper(Dumper):
    """For parameters that must be awaited first: raises their own error."""

    def dump(self, obj: Any) -> bytes:
        found: bytes = obj.__conform__(self)
        return found


# This module is imported with the backend, because connections copy the registered
# dumpers. By name, because a process without Django's ORM may not have these modules.
for _refused in ("vinyl.bridge.calls.Call", "vinyl.orm.dualmode.lazy.NotFetched"):
    psycopg.adapters.register_dumper(_refused, _RefusingDumper)
psycopg.adapters.register_dumper(Array, _ArrayDumper)


class OwnAdapters(AdaptersMap):
    """The adapters of one connection, with what `dumper_of()` keeps."""

    # The transformer that has dumped parameters, and the encoding of the session then.
    dumping: tuple[Any, bytes | None] | None = None

    def register_dumper(self, cls: type | str | None, dumper: type[abc.Dumper]) -> None:
        super().register_dumper(cls, dumper)
        self.dumping = None


def dumper_of(connection: Any) -> Any:
    """
    Return the transformer that dumps parameters for *connection*, whose adapters are
    `OwnAdapters`. It is kept, because finding the dumpers of their types takes longer
    than dumping a few of them. Never switches.
    """
    adapters = connection._adapters
    encoding = connection.pgconn.parameter_status(b"client_encoding")
    if adapters.dumping is None or adapters.dumping[1] != encoding:
        adapters.dumping = Transformer(connection), encoding
    return adapters.dumping[0]
