"""Building the query of a trail: Django takes the steps once more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from django.db.models import sql
from django.db.models.query import QuerySet

from vinyl.orm.plans.shapes import Kept, Node, Trail
from vinyl.orm.plans.trails import FILTERS, django_method
from vinyl.orm.plans.values import replaced

__all__ = ["materialize", "retake", "retaken"]


def materialize(queryset: Any) -> None:
    """Give *queryset* the query that its steps make. Never switches."""
    queryset._query = retaken(queryset._trail)._query


def retaken(trail: Trail) -> Any:
    """Return another queryset that has taken the steps of *trail*. Never switches."""
    values = (value.given if type(value) is Kept else value for value in trail.values)
    return retake(trail.node, values, sql.Query(trail.node.model))


def retake(node: Node, values: Iterator[Any], query: sql.Query) -> Any:
    """
    Return a queryset that has taken the steps to *node* with *values*, from *query*.

    Never switches.
    """
    queryset = object.__new__(QuerySet)
    django_method["__init__"](queryset, node.model, query)
    for one in node.path():
        step = one.step
        assert step is not None
        if step.is_sticky:
            cast(Any, queryset)._sticky_filter = True
        cast(Any, queryset)._cloning_enabled = not step.is_in_place
        if step.method in FILTERS:
            what, args, kwargs = step.args
            args, kwargs = replaced(args, kwargs, lambda _: next(values))
            queryset = django_method[step.method](queryset, what, args, kwargs)
        else:
            queryset = django_method[step.method](queryset, *step.args, **step.kwargs)
        cast(Any, queryset)._cloning_enabled = True
    return queryset
