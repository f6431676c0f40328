"""
Whether PostgreSQL sends the rows of a prepared statement as text or in binary.

psycopg reads binary numbers twice to six times as fast as their text. Binary is only
used where it gives the same values: for types whose loaders have not been replaced.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import psycopg
from psycopg.abc import AdaptContext
from psycopg.adapt import AdaptersMap
from psycopg.postgres import register_default_adapters
from psycopg.pq import Format

from vinyl.orm.backends.psycopg_adapters import TIMESTAMPTZ, gives_utc

__all__ = ["format_of"]

# Types that are faster in binary, and others whose values are the same in it. Not
# numeric, which is slower, nor float4, whose text has fewer digits.
FASTER = {"int2", "int4", "int8", "float8", "uuid", "bytea"}
SAME = {"bool", "text", "varchar", "date", "timestamp", "timestamptz"}


@cache
def _loaders() -> dict[int, Any]:
    """psycopg's own loaders of text, by the types that may be sent in binary."""
    types = psycopg.adapters.types
    adapters = AdaptersMap(types=types)
    register_default_adapters(adapters)
    found = {}
    for name in FASTER | SAME:
        oid = types[name].oid
        found[oid] = [adapters.get_loader(oid, format) for format in Format]
    return found


@cache
def _faster() -> frozenset[int]:
    return frozenset(psycopg.adapters.types[name].oid for name in FASTER)


def format_of(context: AdaptContext, oids: set[int]) -> Format:
    """
    Return the format in which a session in UTC is to send rows.

    Args:
        context: The connection or cursor whose adapters read the rows.
        oids: The types of their columns.

    Never switches.
    """
    known, adapters = _loaders(), context.adapters
    if oids.isdisjoint(_faster()) or not known.keys() >= oids:
        return Format.TEXT
    for oid in oids:
        text, binary = (adapters.get_loader(oid, format) for format in Format)
        if oid == TIMESTAMPTZ and gives_utc(text):
            text = known[oid][0]
        if [text, binary] != known[oid]:
            return Format.TEXT
    return Format.BINARY
