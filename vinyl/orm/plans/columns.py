"""From the values that a statement writes to the parameters of its SQL."""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from django.db.models import (
    AutoField,
    BigAutoField,
    BooleanField,
    CharField,
    DateField,
    DateTimeField,
    DecimalField,
    Field,
    FloatField,
    ForeignKey,
    SmallAutoField,
    TextField,
    TimeField,
    UUIDField,
)

from vinyl.orm.plans.binders import INTEGERS
from vinyl.orm.plans.shapes import LITERAL, PLAIN

__all__ = ["WRITTEN", "Column", "IsExpression", "has_methods"]

# The types of values that are never expressions.
WRITTEN = PLAIN | LITERAL
# The methods of fields that prepare values.
_PREPARING = frozenset(
    {"get_db_prep_save", "get_db_prep_value", "get_prep_value", "to_python"}
)
# The modules of fields whose values PostgreSQL converts to the type of the column.
_BINDABLE = frozenset({Field.__module__, ForeignKey.__module__})


class IsExpression(Exception):
    """A value to write is an expression, or makes another literal: Django has to."""


class Column:
    """
    How the values of a field are prepared to be written.

    Args:
        field: The field.
        is_raw: Whether the value is read from the object without `pre_save()`.
    """

    __slots__ = (
        "adapting",
        "array_kinds",
        "attname",
        "field",
        "is_bindable",
        "is_read",
        "kinds",
    )

    def __init__(self, field: Any, is_raw: bool = False) -> None:
        self.field = field
        self.attname: str = field.attname
        # Whether the server may bind the parameter.
        self.is_bindable = type(field).__module__ in _BINDABLE
        # Whether the value is read from the object without `pre_save()`.
        self.is_read = (
            is_raw
            or has_methods(field, "pre_save", Field)
            or (
                has_methods(field, "pre_save", DateField)
                and not (field.auto_now or field.auto_now_add)
            )
        )
        # The types of values that need no preparation.
        self.kinds = _kinds_of(field)
        # The type of values that a method of the backend prepares alone, with that
        # method and its other arguments; None if there is none.
        self.adapting = _adapting(field)
        # The types of values that PostgreSQL takes as they are; none if `pre_save()`
        # may have effects that must not be repeated.
        self.array_kinds = (
            _array_kinds_of(field)
            if self.is_read
            or has_methods(field, "pre_save", DateField, DateTimeField, TimeField)
            else frozenset()
        )

    def array_values(self, objs: Iterable[Any]) -> list[Any] | None:
        """
        Return the values of *objs* as elements of an array for PostgreSQL; None if one
        has to be prepared.

        Never switches, unless a deferred field does.
        """
        if self.is_read:
            values = list(map(attrgetter(self.attname), objs))
        else:
            values = [self.field.pre_save(obj, add=True) for obj in objs]
        if not self.array_kinds.issuperset(map(type, values)):
            return None
        if decimal.Decimal in self.array_kinds:
            if not all(value is None or value.is_finite() for value in values):
                return None
        return values

    def prepared(self, obj: Any, connection: Any, pre_saved: list[Any]) -> Any:
        """
        Return the parameter for inserting *obj*.

        Args:
            pre_saved: A list to which the result of each `pre_save()` that may have
                effects is appended.

        Raises:
            IsExpression: The value is an expression.

        Never switches, unless the field's `pre_save()` or a deferred field does.
        """
        if self.is_read:
            value = getattr(obj, self.attname)
            kind = type(value)
            if kind in self.kinds and kind is not float:
                return value
        else:
            value = self.field.pre_save(obj, add=True)
            pre_saved.append(value)
        return self.param(value, connection)

    def params(self, objs: Iterable[Any], connection: Any) -> list[Any] | None:
        """
        Return the parameters for *objs*, if the order in which they are prepared makes
        no difference, because none can fail or is an expression. Otherwise None.

        Never switches, unless a deferred field does.
        """
        if not self.is_read:
            return None
        values = list(map(attrgetter(self.attname), objs))
        if self.kinds.issuperset(map(type, values)):
            if float in self.kinds and any(map(_is_negative_zero, values)):
                return None
            return values
        if self.adapting is None:
            return None
        kind, method, given = self.adapting
        if not {kind, type(None)}.issuperset(map(type, values)):
            return None
        if kind is datetime.datetime:
            # Some cannot be prepared.
            return None
        adapt = getattr(connection.ops, method)
        return [adapt(value, *given) for value in values]

    def param(self, value: Any, connection: Any) -> Any:
        """
        Return the parameter for *value*.

        Raises:
            IsExpression: The value is an expression, or -0.0.

        Never switches.
        """
        if type(value) in self.kinds:
            if type(value) is float and _is_negative_zero(value):
                raise IsExpression
            return value
        if self.adapting is not None and type(value) is self.adapting[0]:
            kind, method, given = self.adapting
            if kind is not datetime.datetime or not _is_naive(value):
                return getattr(connection.ops, method)(value, *given)
        if type(value) not in WRITTEN and (
            hasattr(value, "resolve_expression") or hasattr(value, "as_sql")
        ):
            raise IsExpression
        value = self.field.get_db_prep_save(value, connection=connection)
        if type(value) not in WRITTEN and hasattr(value, "as_sql"):
            raise IsExpression
        return value


_TEXTS: frozenset[type] = frozenset({str, type(None)})
_INTEGERS: frozenset[type] = frozenset({int, type(None)})
# Fields whose values are not wrapped in a type of the driver, with the types of values.
_NUMBERS: dict[Any, frozenset[type]] = {
    AutoField: _INTEGERS,
    BigAutoField: _INTEGERS,
    FloatField: frozenset({float, type(None)}),
    SmallAutoField: _INTEGERS,
}


# Others, whose values are in a type that psycopg knows.
_ARRAYS: dict[Any, frozenset[type]] = {
    field: frozenset({kind, type(None)})
    for field, kind in (
        (BooleanField, bool),
        (DateField, datetime.date),
        (DateTimeField, datetime.datetime),
        (DecimalField, decimal.Decimal),
        (UUIDField, uuid.UUID),
    )
}


def _kinds_of(field: Any) -> frozenset[type]:
    if isinstance(field, ForeignKey) and has_methods(
        field, "get_db_prep_save", ForeignKey
    ):
        # An empty text is NULL.
        return _kinds_of(field.target_field) - {str}
    if type(field) in _NUMBERS and _is_own(field):
        return _NUMBERS[type(field)]
    if has_methods(field, "get_db_prep_save get_db_prep_value", Field) and has_methods(
        field, "get_prep_value to_python", CharField, TextField
    ):
        return _TEXTS
    return frozenset()


def _adapting(field: Any) -> tuple[type, str, tuple[Any, ...]] | None:
    if not _is_own(field):
        return None
    if type(field) in INTEGERS and type(field) not in _NUMBERS:
        return int, "adapt_integerfield_value", (field.get_internal_type(),)
    if type(field) is DateField:
        return datetime.date, "adapt_datefield_value", ()
    if type(field) is DateTimeField:
        return datetime.datetime, "adapt_datetimefield_value", ()
    return None


def _is_negative_zero(value: float | None) -> bool:
    """Whether *value* is -0.0, of which PostgreSQL makes 0 in a literal."""
    return value == 0 and math.copysign(1, value) < 0


def _is_naive(value: Any) -> bool:
    """Whether Django may warn of *value*, or give it a time zone."""
    return value.utcoffset() is None


def _array_kinds_of(field: Any) -> frozenset[type]:
    """The types of values of *field* that PostgreSQL takes as they are."""
    if isinstance(field, ForeignKey) and has_methods(
        field, "get_db_prep_save", ForeignKey
    ):
        return _array_kinds_of(field.target_field) - {str}
    if _is_own(field):
        if type(field) in INTEGERS:
            return _INTEGERS
        if type(field) in _ARRAYS:
            return _ARRAYS[type(field)]
    return _kinds_of(field)


def _is_own(field: Any) -> bool:
    """Whether *field* has the methods of its class."""
    return vars(field).keys().isdisjoint(_PREPARING)


def has_methods(field: Any, names: str, *owners: type) -> bool:
    """Whether *field* has the methods *names* of one of *owners*. Never switches."""
    return all(
        name not in vars(field)
        and any(getattr(type(field), name) is getattr(owner, name) for owner in owners)
        for name in names.split()
    )
