"""
The filters of prefetches: by the instances of a level, or by the keys that they hold.

Django adds them to a queryset with methods that are not public. Here they are steps
with values, so the queries of prefetches have plans.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.db.models import Q
from django.db.models.expressions import ColPairs
from django.db.models.fields.tuple_lookups import TupleIn

from vinyl.orm.plans.marked_query import MarkedQuery
from vinyl.orm.plans.steps import record_filter
from vinyl.orm.plans.trails import django_method, trail_of

__all__ = ["by_instances", "by_keys", "patch_filter_prefetch_queryset"]


def by_instances(queryset: Any, name: str, instances: list[Any]) -> Any:
    """
    Return *queryset* without ordering, filtered by *instances* as its relation *name*.

    Never switches.
    """
    given = {f"{name}__in": instances}
    return record_filter(queryset, "unordered", None, (), given)


def by_keys(queryset: Any, field: Any, keys: list[Any]) -> Any:
    """
    Return *queryset* without ordering, filtered by the *keys* that the foreign key
    *field* has to its objects.

    Never switches.
    """
    return record_filter(queryset, "unordered", field, (), {"pk__in": keys})


def _filter_unordered(queryset: Any, field: Any, args: Any, kwargs: Any) -> Any:
    """
    Filter related objects, and clear the ordering: there is one for each instance. With
    *field*, filter by the keys that it refers to.
    """
    if field is None:
        result = queryset.filter(*args, **kwargs)
    else:
        [keys] = kwargs.values()
        targets = [
            queryset.query.resolve_ref(target.name).target
            for target in field.foreign_related_fields
        ]
        table = queryset.model._meta.db_table
        pairs = ColPairs(table, targets, targets, field)
        lookup: Any = TupleIn(pairs, [(key,) for key in keys])
        if isinstance(queryset.query, MarkedQuery):
            queryset.query.tie(lookup, keys)
        result = queryset.filter(lookup)
    result.query.clear_ordering()
    return result


def patch_filter_prefetch_queryset(method: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch `_filter_prefetch_queryset()`, which refuses a sliced query and then adds a
    filter to it. A trail knows whether it is sliced.
    """

    @functools.wraps(method)
    def filter_prefetch(queryset: Any, field_name: str, instances: Any) -> Any:
        trail = trail_of(queryset)
        if (
            trail is None
            or trail.node.is_sliced
            or queryset._sticky_filter
            or queryset._defer_next_filter
        ):
            return method(queryset, field_name, instances)
        given = {f"{field_name}__in": instances}
        return record_filter(queryset, "add_q", False, (), given, True)

    return filter_prefetch


def _add_q(queryset: Any, negate: bool, args: Any, kwargs: Any) -> Any:
    """Filter as Django does in prefetches, where all existing joins are reused."""
    queryset.query.add_q(Q(*args, **kwargs), reuse_all=True)
    return queryset


django_method["add_q"] = _add_q
django_method["unordered"] = _filter_unordered
