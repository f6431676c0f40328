"""
The querysets of related managers that hold what has been prefetched.

Django makes the queryset of the first instance. Unless the manager overrides methods,
the querysets of the other instances differ only in the instance, so they are copies.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django
from django.db import router
from django.db.models.manager import BaseManager
from django.db.models.query import QuerySet

from vinyl.orm.plans.shapes import Trail
from vinyl.orm.plans.trails import PENDING, trail_of

__all__ = ["QUERYSET_METHODS", "set_querysets"]

# Returns the queryset of an instance and its key.
Make = Callable[[Any, Any], Any]

_HAS_FETCH_MODES = django.VERSION >= (6, 1)
# What managers and querysets call for the queryset of an instance.
_get_queryset = BaseManager.get_queryset
QUERYSET_METHODS = ("_add_hints", "_next_is_sticky", "using")


def set_querysets(
    instances: list[Any],
    keys: list[Any],
    found: list[list[Any]],
    descriptor: Any,
    attribute: str,
    name: str,
    field: Any,
    given: Any,
) -> None:
    """
    Set the related objects of each instance, so that its manager returns them.

    Args:
        instances: Instances of one model.
        keys: The key of each.
        found: The related objects of each.
        descriptor: The descriptor of the relation.
        attribute: The name of the descriptor in the model.
        name: The key of the relation in `_prefetched_objects_cache`.
        field: The field of the related objects that holds the key; None for a
            many-to-many relation.
        given: The queryset of the `Prefetch`; None if the manager makes it.

    Never switches.
    """

    def by_django(instance: Any, key: Any) -> Any:
        manager = getattr(instance, attribute)
        if given is None:
            return manager.get_queryset()
        return manager._apply_rel_filters(given._chain())

    make: Make | None = by_django
    if _can_copy(instances, keys, descriptor, given):
        make = None
    for instance, key, objects in zip(instances, keys, found, strict=True):
        prefetched = instance._prefetched_objects_cache
        if make is None or name in prefetched:
            queryset = by_django(instance, key)
            if make is None:
                make = _copying(queryset, instance, key, field, given) or by_django
        else:
            queryset = make(instance, key)
        queryset._result_cache = objects
        queryset._prefetch_done = True
        prefetched[name] = queryset


def _can_copy(
    instances: list[Any], keys: list[Any], descriptor: Any, given: Any
) -> bool:
    """Whether the querysets of *instances* differ in nothing but the instance."""
    if router.routers or None in keys or "" in keys:
        # Without a key, Django raises an error or returns an empty queryset.
        return False
    manager = descriptor.related_manager_cls
    if given is None and super(manager, manager).get_queryset is not _get_queryset:
        return False
    first = instances[0]
    pk, db = first._meta.pk.attname, first._state.db
    return all(
        instance.__dict__.get(pk) is not None and instance._state.db == db
        for instance in instances
    )


def _copying(
    queryset: Any, instance: Any, key: Any, field: Any, given: Any
) -> Make | None:
    """
    Return what makes copies of *queryset*, which Django has made for *instance*; None
    if it has a query already, or methods that are not Django's.
    """
    cls: Any = type(queryset)
    trail = trail_of(queryset)
    if (
        trail is None
        or queryset._query is not PENDING
        or any(
            getattr(cls, one) is not getattr(QuerySet, one) for one in QUERYSET_METHODS
        )
    ):
        return None
    node, values, is_fixed, is_deferred = trail
    # The last step is the filter by the instance or its key.
    before = values[:-1]
    attributes = dict(queryset.__dict__)
    new, new_tuple = object.__new__, tuple.__new__

    def make(instance: Any, key: Any) -> Any:
        result = new(cls)
        found = result.__dict__ = attributes.copy()
        if given is None:
            found["_hints"] = {"instance": instance}
        else:
            # Shared with the queryset that was given.
            found["_hints"]["instance"] = instance
        if field is None:
            values = (*before, key)
        else:
            values = (*before, instance)
            found["_known_related_objects"] = {field: {key: instance}}
        found["_trail"] = new_tuple(Trail, (node, values, is_fixed, is_deferred))
        if _HAS_FETCH_MODES:
            found["_fetch_mode"] = instance._state.fetch_mode
        return result

    return make if make(instance, key).__dict__ == attributes else None
