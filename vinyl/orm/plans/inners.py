"""
Querysets inside the steps of others: `filter(artist__in=artists)`, `Exists(tracks)`.

The shape of the inner queryset is part of the shape of the outer one. Its values are
values of the step, after those of the step itself.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

from django.db.models.query import QuerySet

from vinyl.orm.plans.shapes import Inner, Trail, Unplannable
from vinyl.orm.plans.trails import PENDING, in_place, is_as_made, settled, trail_of
from vinyl.records import NamedTuple

__all__ = [
    "Found",
    "Held",
    "Template",
    "are_fixed",
    "found_in",
    "template_of",
    "trail_inside",
    "values_of",
]


class Found(NamedTuple):
    """
    An inner queryset that was found in the arguments of a step.

    Args:
        given: The argument, or the part of an expression.
        trail: Its trail.
        inner: What stands for it in the step.
    """

    given: Any
    trail: Trail
    inner: Inner


class Held(NamedTuple):
    """
    The trail that a `Subquery` holds until code reads its query.

    Args:
        trail: The trail of its queryset.
        query: Its query, or what can make it.
        args: The arguments of its class, after the queryset.
        kwargs: Likewise.
    """

    trail: Trail
    query: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Template(dict[int, Any]):
    """
    The memo of `deepcopy()` for the arguments of a step. With it, inner querysets that
    have nothing to stand for them refuse to be copied.
    """


def trail_inside(queryset: Any) -> Trail | None:
    """
    Return the trail of *queryset* for its use inside another one, which settles its
    values; None if Django has to read its query. Never switches.
    """
    trail = trail_of(queryset)
    if trail is None or queryset._sticky_filter or in_place(queryset):
        return None
    if not trail.node.is_current() or not is_as_made(queryset, trail):
        return None
    now = settled(trail)
    if now is not trail:
        if queryset._query is not PENDING:
            # Reading it applies the deferred filter.
            queryset.query  # noqa: B018
        queryset._trail = now
    return now


def found_in(
    value: Any, found: list[Found] | None, key_of: Callable[[Any], Hashable]
) -> Hashable:
    """
    Append the `Subquery` or the queryset *value* to *found*, and return its key.

    Args:
        found: None if the step cannot have values of inner querysets.
        key_of: Returns the keys of arguments.

    Raises:
        Unplannable: Its query has been read, or it cannot have a plan.

    Never switches.
    """
    if found is None:
        raise Unplannable
    for position, other in enumerate(found):
        if other.given is value:
            return "again", position
    trail: Trail | None
    kind: type
    more: Hashable
    make: Callable[[Any], Any]
    if isinstance(value, QuerySet):
        # Subclasses resolve in the same way.
        kind, trail = QuerySet, trail_inside(value)
        more = alias = value.__dict__["_db"]
        make = partial(_on_database, alias)
    else:
        held: Held | None = value.__dict__.get("_held")
        if held is None or not held.trail.node.is_current() or not _is_as_made(value):
            raise Unplannable
        kind, trail = type(value), held.trail
        more = key_of(held.args), key_of(tuple(held.kwargs.items()))
        make = partial(_subquery, type(value), held.args, held.kwargs)
    if trail is None:
        raise Unplannable
    found.append(Found(value, trail, Inner(trail.node, make)))
    return kind, trail.node, more


def _is_as_made(subquery: Any) -> bool:
    """Whether *subquery* is what its arguments have made of it."""
    attributes = subquery.__dict__
    _, args, kwargs = attributes["_held"][1:]
    more = {"template": type(subquery).template, **kwargs}
    output_field = more.pop("output_field", args[0] if args else None)
    return (
        attributes.get("output_field") is output_field
        # From Django 6.1 on, a template among the arguments is an attribute.
        and attributes.get("template", more["template"]) == more["template"]
        and {"template": subquery.template, **attributes["extra"]} == more
    )


def _on_database(alias: str | None, queryset: Any) -> Any:
    queryset._db = alias
    return queryset


def _subquery(
    cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any], queryset: Any
) -> Any:
    return cls(queryset, *args, **kwargs)


def template_of(arguments: Any, found: list[Found]) -> Any:
    """
    Return a copy of the *arguments* of a step, which the caller may change later, with
    what stands for the inner querysets *found* in them.

    Raises:
        Unplannable: An expression has made a copy of one.

    Never switches.
    """
    memo = Template({id(one.given): one.inner for one in found})
    return copy.deepcopy(arguments, memo)


def are_fixed(found: list[Found]) -> bool:
    """
    Whether the values of the inner querysets *found* are final. Never switches.
    """
    return not found or all(one.trail.is_fixed for one in found)


def values_of(found: list[Found]) -> list[Any]:
    """Return the values of the inner querysets *found*. Never switches."""
    return [value for one in found for value in one.trail.values]
