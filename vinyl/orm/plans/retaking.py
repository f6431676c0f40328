"""Building the query of a trail: Django takes the steps once more."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any, cast

from django.db.models import sql
from django.db.models.query import QuerySet

from vinyl.orm.plans.shapes import Kept, Node, Step, Trail
from vinyl.orm.plans.trails import FILTERS, PENDING, django_method
from vinyl.orm.plans.values import replaced

__all__ = ["materialize", "retake", "retaken", "to_look_at"]


def materialize(queryset: Any) -> None:
    """Give *queryset* the query that its steps make. Never switches."""
    trail = queryset._trail
    # None if another thread has just done so.
    if trail is not None:
        queryset._query = retaken(trail)._query


def retaken(trail: Trail) -> Any:
    """Return another queryset that has taken the steps of *trail*. Never switches."""
    values = (value.given if type(value) is Kept else value for value in trail.values)
    return retake(trail.node, values, sql.Query)


def to_look_at(queryset: Any, trail: Trail) -> Any:
    """
    Return another queryset with the query of *queryset*, whose trail stays as it is.
    The query must not be changed. Never switches.
    """
    if queryset._query is PENDING:
        return retaken(trail)
    # An instance in the steps may have lost its key since Django took them.
    other = object.__new__(QuerySet)
    django_method["__init__"](other, queryset.model, queryset._query)
    return other


def retake(node: Node, values: Iterator[Any], make_query: type[sql.Query]) -> Any:
    """
    Return a queryset that has taken the steps to *node* with *values*.

    Args:
        make_query: The class of its query, and of those of inner querysets.

    Never switches.
    """
    queryset = object.__new__(QuerySet)
    django_method["__init__"](queryset, node.model, make_query(node.model))
    for one in node.path():
        step = one.step
        assert step is not None
        own: Iterator[Any] = islice(values, one.own_slots)
        if step.inners:
            # The values of these follow.
            own = iter([*own])
            step = _with_querysets(step, values, make_query)
        if step.is_sticky:
            cast(Any, queryset)._sticky_filter = True
        cast(Any, queryset)._cloning_enabled = not step.is_in_place
        if step.method in FILTERS:
            what, args, kwargs = step.args
            args, kwargs = replaced(args, kwargs, partial(_next, own))
            queryset = django_method[step.method](queryset, what, args, kwargs)
        else:
            queryset = django_method[step.method](queryset, *step.args, **step.kwargs)
        cast(Any, queryset)._cloning_enabled = True
    return queryset


def _next(values: Iterator[Any], _: Any) -> Any:
    return next(values)


def _with_querysets(
    step: Step, values: Iterator[Any], make_query: type[sql.Query]
) -> Step:
    """Return *step* with inner querysets in the places of what stands for them."""
    made = {
        id(inner): inner.make(retake(inner.node, values, make_query))
        for inner in step.inners
    }
    args, kwargs = copy.deepcopy((step.args, step.kwargs), made)
    return step._replace(args=args, kwargs=kwargs)
