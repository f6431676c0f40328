"""
The kinds of values in a query.

The shape of `filter(year=1965, title="x")` is the names and the kinds of their values.
Values of the same kind are interchangeable: they only change parameters of the SQL.
`None`, `True` and `False` change the SQL, so they are part of the shape.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from django.db.models import Model, Q
from django.db.models.query import QuerySet
from django.utils.functional import SimpleLazyObject

from vinyl.orm.plans.expressions import is_expression, key_of
from vinyl.orm.plans.inners import Found
from vinyl.orm.plans.shapes import LITERAL, PLAIN, SLOT, Unplannable

__all__ = ["Unplannable", "keyed", "replaced"]

# The longest list for `__in` that has a plan.
MAX_LIST = 500

# Types of values for `__in`, and for `__range`.
_LISTS = frozenset({list, tuple, set, frozenset})
_PAIRS = frozenset({list, tuple})


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
