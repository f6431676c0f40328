"""
Expressions as a part of a shape: `Count("tracks")`, `F("year") + 1`, `Lower("title")`.

All attributes of an expression are part of the shape, its values too, so that two
expressions of one shape make the same SQL. Only the values of inner querysets are not.
What it was made from would not do: code may change an expression, as
`reverse_ordering()` does.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from functools import cache, partial
from typing import Any

from django.db.models import (
    DateField,
    DateTimeField,
    Expression,
    F,
    Field,
    Q,
    Subquery,
    TimeField,
    sql,
)
from django.db.models.fields.json import JSONExact
from django.db.models.functions.datetime import TimezoneMixin
from django.db.models.lookups import Lookup, YearLookup
from django.db.models.query import QuerySet
from django.db.models.sql.where import WhereNode
from django.utils.functional import cached_property

from vinyl.orm.plans.inners import Found, found_in
from vinyl.orm.plans.moments import is_followed
from vinyl.orm.plans.shapes import LITERAL, PLAIN, Unplannable

__all__ = ["has_expressions", "inner_queries", "is_expression", "key_of"]

# Packages whose expressions depend on nothing but their arguments.
_DJANGOS = ("django.db.models.", "django.contrib.postgres.")
# Types of which equal values may result in different SQL.
_BY_REPR = PLAIN - {int, str, bytes}


def is_expression(value: Any) -> bool:
    """Whether *value* is an expression, such as `F("year")`. Never switches."""
    return isinstance(value, (Expression, F, Subquery))


def key_of(value: Any, found: list[Found] | None = None) -> Hashable:
    """
    Return a key that is equal for values that result in the same SQL, but for the
    values of inner querysets.

    Args:
        value: An expression or an argument of one.
        found: Gets the inner querysets. None if there cannot be any.

    Raises:
        Unplannable: It has parts that may change.

    Never switches.
    """
    kind: Any = type(value)
    if kind is F and type(value.name) is str:
        return F, value.name
    if kind in _BY_REPR:
        return kind, repr(value)
    if kind in PLAIN or kind in LITERAL:
        return kind, value
    if kind in (list, tuple):
        return kind, tuple([key_of(one, found) for one in value])
    if kind is Q:
        children = tuple([key_of(child, found) for child in value.children])
        return Q, value.connector, value.negated, children
    if isinstance(value, (QuerySet, Subquery)):
        return found_in(value, found, partial(key_of, found=found))
    if not kind.__module__.startswith(_DJANGOS):
        raise Unplannable
    if is_expression(value):
        return kind, _key_of_attributes(value, found)
    if isinstance(value, Field) and not hasattr(value, "model"):
        if not vars(value).keys().isdisjoint(_methods(kind)):
            # Code has put one on the field itself.
            raise Unplannable
        _, _, args, kwargs = value.deconstruct()
        return kind, key_of(args, found), _key_of_names(kwargs, found)
    raise Unplannable


@cache
def _methods(cls: Any) -> frozenset[str]:
    """The names of the methods of fields of *cls*, also of those that it may lack."""
    named = {name for name in dir(cls) if callable(getattr(cls, name, None))}
    return frozenset(named | {"from_db_value", "get_placeholder"})


def _key_of_names(kwargs: dict[str, Any], found: list[Found] | None) -> Hashable:
    return tuple([(name, key_of(value, found)) for name, value in kwargs.items()])


def _key_of_attributes(expression: Any, found: list[Found] | None) -> Hashable:
    cls: Any = type(expression)
    ignored = _ignored(cls)
    attributes = expression.__dict__
    parts: list[Hashable] = [*attributes]
    for name, value in attributes.items():
        kind = type(value)
        if kind is str or value is None:
            # Equal to nothing of another type.
            parts.append(value)
        elif name in ignored:
            continue
        elif kind is list:
            parts.append(tuple([key_of(one, found) for one in value]))
        elif name == "extra" and kind is dict:
            parts.append(_key_of_names(value, found) if value else None)
        else:
            parts.append(key_of(value, found))
    return tuple(parts)


@cache
def _ignored(cls: Any) -> frozenset[str]:
    """
    The attributes of expressions of *cls* that say nothing of their SQL: what they were
    made from, and what they keep in order not to find it again. An `output_field` may
    have been given.
    """
    kept = {
        name
        for base in cls.__mro__
        for name, value in vars(base).items()
        if isinstance(value, cached_property)
    }
    return frozenset(kept - {"output_field"} | {"_constructor_args"})


def has_expressions(value: Any) -> bool:
    """Whether there is an expression in the arguments of a step. Never switches."""
    if isinstance(value, (list, tuple)):
        return any(map(has_expressions, value))
    if isinstance(value, dict):
        return any(map(has_expressions, value.values()))
    if isinstance(value, Q):
        return has_expressions(value.children)
    return is_expression(value)


def inner_queries(expressions: Iterable[Any]) -> Iterator[sql.Query]:
    """
    Yield the inner queries of *expressions*, as a query has resolved them.

    Raises:
        Unplannable: The SQL of an expression, but for its inner queries, depends on
            more than its arguments, or compiling it has an effect.

    Never switches.
    """
    for expression in expressions:
        for part in _parts(expression):
            # Expressions outside Django may compile to different SQL each time. So do
            # Django's for moments, which depend on the time zone, unless plans ask it.
            if isinstance(part, sql.Query):
                yield part
            elif isinstance(part, JSONExact) and part.rhs is None:
                # Django warns of it each time.
                raise Unplannable
            elif not type(part).__module__.startswith(_DJANGOS) or (
                isinstance(part, TimezoneMixin)
                and not is_followed(part)
                and _is_of_moments(part)
            ):
                raise Unplannable


def _is_of_moments(function: Any) -> bool:
    """Whether *function*, of dates or times, converts them to the time zone."""
    return not isinstance(function.lhs.output_field, (DateField, TimeField)) or (
        isinstance(function.lhs.output_field, DateTimeField)
    )


def _parts(expression: Any) -> Iterator[Any]:
    """*expression* and all that it consists of."""
    if isinstance(expression, WhereNode):
        for child in expression.children:
            yield from _parts(child)
        return
    if not hasattr(expression, "flatten"):
        raise Unplannable
    if isinstance(expression, Lookup) and not hasattr(expression.lhs, "flatten"):
        raise Unplannable
    if isinstance(expression, YearLookup) and expression.rhs_is_direct_value():
        # Django compares the date itself, and leaves out the function of its year.
        yield expression
        yield from _parts(expression.lhs.lhs)
        return
    for part in expression.flatten():
        if isinstance(part, WhereNode):
            yield from _parts(part)
        else:
            yield part
