"""
Copies of values, by which learning finds each value in the query that Django builds.

Django keeps the objects that it is given, so a copy is recognized by its identity.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable
from typing import Any

from vinyl.bridge.patching import is_subclass_of

__all__ = ["Marks", "type_of"]

# What fields wrap a value in for psycopg, which names its type if it cannot send it.
_WRAPPERS = frozenset(
    {
        "psycopg.dbapi20:Binary",
        "psycopg.types.json:Json",
        "psycopg.types.json:Jsonb",
    }
)


class _Int(int): ...


class _Str(str): ...


class _Float(float): ...


class _Bytes(bytes): ...


class _Decimal(decimal.Decimal): ...


class _Date(datetime.date): ...


class _DateTime(datetime.datetime): ...


class _Time(datetime.time): ...


class _TimeDelta(datetime.timedelta): ...


_COPIES: dict[type, Callable[[Any], Any]] = {
    int: _Int,
    str: _Str,
    float: _Float,
    bytes: _Bytes,
    decimal.Decimal: _Decimal,
    datetime.date: lambda value: _Date(value.year, value.month, value.day),
    datetime.datetime: lambda value: _DateTime(
        value.year,
        value.month,
        value.day,
        value.hour,
        value.minute,
        value.second,
        value.microsecond,
        value.tzinfo,
        fold=value.fold,
    ),
    datetime.time: lambda value: _Time(
        value.hour,
        value.minute,
        value.second,
        value.microsecond,
        value.tzinfo,
        fold=value.fold,
    ),
    datetime.timedelta: lambda value: _TimeDelta(
        value.days, value.seconds, value.microseconds
    ),
    uuid.UUID: lambda value: uuid.UUID(int=value.int),
}


_COPY_CLASSES = {
    _Int,
    _Str,
    _Float,
    _Bytes,
    _Decimal,
    _Date,
    _DateTime,
    _Time,
    _TimeDelta,
}


def type_of(value: Any) -> type:
    """The type of *value*, or of what it is a copy of. Never switches."""
    cls = type(value)
    return cls.__bases__[0] if cls in _COPY_CLASSES else cls


class Marks:
    """
    Copies of values that can be recognized in the queries that Django builds, each with
    its slot.
    """

    def __init__(self) -> None:
        # By id(): the slot, the copy and the value. The copy is kept, so that its id is
        # not reused.
        self._slots: dict[int, tuple[int, Any, Any]] = {}

    def mark(self, value: Any) -> Any:
        """
        Return a marked copy of *value* for the next slot, or *value* itself if it is a
        model instance that has no slot yet. Never switches.
        """
        slot = len(self._slots)
        if type(value) is list:
            # Django copies lists, by their class.
            copy = type("_List", (list,), {"vinyl_slot": slot})(value)
        elif (make := _COPIES.get(type(value))) is not None:
            copy = make(value)
        elif id(value) in self._slots:
            copy = object.__new__(type(value))
            copy.__dict__.update(value.__dict__)
        else:
            copy = value
        self._slots[id(copy)] = slot, copy, value
        return copy

    def slot_of(self, value: Any) -> int | None:
        """Return the slot of *value*, None if it has no mark. Never switches."""
        if isinstance(value, list):
            return getattr(value, "vinyl_slot", None)
        slot, marked, _ = self._slots.get(id(value), (None, None, None))
        return slot if marked is value else None

    def unmarked(self, value: Any) -> Any:
        """
        Return what *value* is a copy of, or *value* itself. Of a wrapper for psycopg,
        the value inside is replaced. Never switches.
        """
        if is_subclass_of(type(value), _WRAPPERS):
            value.obj = self.unmarked(value.obj)
            return value
        _, marked, given = self._slots.get(id(value), (None, None, None))
        return given if marked is value else value
