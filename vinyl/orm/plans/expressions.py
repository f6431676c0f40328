"""
Expressions as a part of a shape: `Count("tracks")`, `F("year") + 1`, `Lower("title")`.

All that an expression was made from is part of the shape, its values too, so that two
expressions of one shape make the same SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

from django.db.models import Expression, F, Field, Q, sql
from django.db.models.functions.datetime import TimezoneMixin

from vinyl.orm.plans.shapes import LITERAL, PLAIN, Unplannable

__all__ = ["has_expressions", "is_expression", "key_of", "refuse_what_changes"]

# Packages whose expressions depend on nothing but their arguments.
_DJANGOS = ("django.db.models.", "django.contrib.postgres.")
# Types of which equal values may result in different SQL.
_BY_REPR = PLAIN - {int, str, bytes}


def is_expression(value: Any) -> bool:
    """Whether *value* is an expression, such as `F("year")`. Never switches."""
    return isinstance(value, (Expression, F))


def key_of(value: Any) -> Hashable:
    """
    Return a key that is equal for values that result in the same SQL.

    Args:
        value: An expression or an argument of one.

    Raises:
        Unplannable: It has parts that may change, such as a queryset.

    Never switches.
    """
    kind = type(value)
    if kind in _BY_REPR:
        return kind, repr(value)
    if kind in PLAIN or kind in LITERAL:
        return kind, value
    if kind in (list, tuple):
        return kind, tuple(map(key_of, value))
    if kind is Q:
        children = tuple(map(key_of, value.children))
        return Q, value.connector, value.negated, children
    if not kind.__module__.startswith(_DJANGOS):
        raise Unplannable
    if is_expression(value):
        args, kwargs = value._constructor_args
        return kind, key_of(args), _key_of_names(kwargs)
    if isinstance(value, Field) and not hasattr(value, "model"):
        _, _, args, kwargs = value.deconstruct()
        return kind, key_of(args), _key_of_names(kwargs)
    raise Unplannable


def _key_of_names(kwargs: dict[str, Any]) -> Hashable:
    return tuple((name, key_of(value)) for name, value in kwargs.items())


def has_expressions(value: Any) -> bool:
    """Whether there is an expression in the arguments of a step. Never switches."""
    if isinstance(value, (list, tuple)):
        return any(map(has_expressions, value))
    if isinstance(value, dict):
        return any(map(has_expressions, value.values()))
    if isinstance(value, Q):
        return has_expressions(value.children)
    return is_expression(value)


def refuse_what_changes(expressions: Iterable[Any]) -> None:
    """
    Raise Unplannable if the SQL of one of *expressions*, as a query has resolved them,
    depends on more than its arguments. Never switches.
    """
    for expression in expressions:
        flatten: Callable[[], Iterator[Any]] | None
        flatten = getattr(expression, "flatten", None)
        if flatten is None:
            raise Unplannable
        for part in flatten():
            # Expressions outside Django may compile to different SQL each time. So do
            # Django's for dates and times, which depend on the time zone.
            if not type(part).__module__.startswith(_DJANGOS):
                raise Unplannable
            if isinstance(part, (TimezoneMixin, sql.Query)):
                raise Unplannable
