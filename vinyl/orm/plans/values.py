"""
The kinds of values in a query.

The shape of `filter(year=1965, title="x")` is the names and the kinds of their values.
Values of the same kind are interchangeable: they only change parameters of the SQL.
`None`, `True` and `False` change the SQL, so they are part of the shape.
"""

from __future__ import annotations

import datetime
import decimal
import uuid
from collections.abc import Callable, Hashable, Mapping
from typing import Any

from django.db.models import Model, Q
from django.db.models.query import QuerySet
from django.utils.functional import SimpleLazyObject

from vinyl.bridge.patching import is_subclass_of
from vinyl.orm.plans.expressions import is_expression, key_of
from vinyl.orm.plans.inners import Found
from vinyl.orm.plans.shapes import LITERAL, PLAIN, SLOT, Unplannable

__all__ = ["Marks", "Unplannable", "keyed", "replaced", "type_of"]

# The longest list for `__in` that has a plan.
MAX_LIST = 500

# Types of values for `__in`, and for `__range`.
_LISTS = frozenset({list, tuple, set, frozenset})
_PAIRS = frozenset({list, tuple})

# What fields wrap a value in for psycopg, which names its type if it cannot send it.
_WRAPPERS = frozenset(
    {
        "psycopg.dbapi20:Binary",
        "psycopg.types.json:Json",
        "psycopg.types.json:Jsonb",
    }
)


def keyed(
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    values: list[Any],
    found: list[Found],
) -> Hashable:
    """
    Return the key of a filter, append its interchangeable values to *values*, and its
    inner querysets to *found*.

    Raises:
        Unplannable: One of its values has no kind, such as a dictionary.

    Never switches.
    """
    parts: list[Hashable] = [_keyed_q(arg, values, found) for arg in args]
    for name, value in kwargs.items():
        kind = type(value)
        if kind in PLAIN:
            parts.append((name, kind))
            values.append(value)
        else:
            parts.append((name, _kind_of(name, value, values, found)))
    return tuple(parts)


def _keyed_q(q: Any, values: list[Any], found: list[Found]) -> Hashable:
    if type(q) is tuple:
        name, value = q
        return name, _kind_of(name, value, values, found)
    if is_expression(q):
        return key_of(q, found)
    if type(q) is not Q:
        raise Unplannable
    children = tuple([_keyed_q(child, values, found) for child in q.children])
    return q.connector, q.negated, children


def _kind_of(name: str, value: Any, values: list[Any], found: list[Found]) -> Hashable:
    kind: Any = type(value)
    if kind in LITERAL:
        return kind, value
    if kind in PLAIN or issubclass(kind, Model):
        values.append(value)
        return kind
    if is_expression(value) or isinstance(value, QuerySet):
        return key_of(value, found)
    if issubclass(kind, SimpleLazyObject) and isinstance(value._wrapped, Model):
        # Such as the user of a request.
        values.append(value._wrapped)
        return type(value._wrapped)
    is_range = name.endswith("__range")
    if (kind in _LISTS and name.endswith("__in")) or (kind in _PAIRS and is_range):
        kinds = set(map(type, value))
        if len(kinds) == 1 and 0 < len(value) <= (2 if is_range else MAX_LIST):
            (element,) = kinds
            if element in PLAIN or issubclass(element, Model):
                # A copy: the list may change before the query is made.
                values.append(list(value))
                return kind, element, len(value)
    elif _is_key(name, value):
        values.append(value[0])
        return kind, type(value[0])
    raise Unplannable


def _is_key(name: str, value: Any) -> bool:
    """Whether *value* is a key as managers of many-to-many relations pass it."""
    return (
        type(value) is tuple
        and len(value) == 1
        and (type(value[0]) in PLAIN or value[0] is SLOT)
        and not name.endswith(("__in", "__range"))
    )


def replaced(
    args: tuple[Any, ...], kwargs: dict[str, Any], replace: Callable[[Any], Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """
    Return *args* and *kwargs* of a filter with `replace(value)` in the place of each
    interchangeable value, in the order of `keyed()`. Never switches.
    """
    return (
        tuple(_replaced_q(arg, replace) for arg in args),
        {name: _replaced(name, value, replace) for name, value in kwargs.items()},
    )


def _replaced_q(q: Any, replace: Callable[[Any], Any]) -> Any:
    if type(q) is tuple:
        name, value = q
        return name, _replaced(name, value, replace)
    if is_expression(q):
        return q
    children = [_replaced_q(child, replace) for child in q.children]
    return Q.create(children, connector=q.connector, negated=q.negated)


def _replaced(name: str, value: Any, replace: Callable[[Any], Any]) -> Any:
    if _is_key(name, value):
        return (replace(value[0]),)
    is_part_of_shape = (
        type(value) in LITERAL or is_expression(value) or isinstance(value, QuerySet)
    )
    return value if is_part_of_shape else replace(value)


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
