"""
Prefetches on the event loop, outside the bridge.

The rows of a queryset are fetched first, then each relation that it prefetches, with
the results of Django's `prefetch_related_objects()`. That function runs in the bridge
if a manager or a router of the project takes part, or if a lookup is not a name.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db import router
from django.db.models import Prefetch, query
from django.db.models.constants import LOOKUP_SEP
from django.db.models.fields.related_descriptors import ReverseManyToOneDescriptor
from django.db.models.manager import BaseManager
from django.db.models.query import ModelIterable, QuerySet

from vinyl.bridge.greenlets import run
from vinyl.orm.plans.on_loop import fetch
from vinyl.orm.plans.prefetch_relations import Relation, keys_of, relation_of
from vinyl.orm.plans.prefetched import QUERYSET_METHODS
from vinyl.orm.plans.prefetches import Level, flow_of
from vinyl.orm.plans.trails import has_djangos_methods, trail_of

__all__ = ["fetch_rows"]


class _Part(NamedTuple):
    """One relation in the path of a lookup: *name* of the objects at *parent*."""

    path: str
    parent: str
    name: str
    relation: Relation


async def fetch_rows(queryset: Any) -> list[Any] | None:
    """
    Return the objects of *queryset*, with its prefetches done; None if they have to be
    fetched in the bridge.

    Raises: the errors of iterating over *queryset*.

    Switches to the event loop.
    """
    lookups = queryset._prefetch_related_lookups
    if not lookups:
        return await fetch(queryset, "rows")
    # A raw queryset has no trail.
    if trail_of(queryset) is None or router.routers:
        return None
    if queryset._iterable_class is not ModelIterable:
        return None
    parts = _parts_of(queryset.model, lookups)
    if parts is None:
        return None
    objects = await fetch(queryset, "rows", has_prefetches=True)
    if objects:
        try:
            await _prefetch(objects, parts, lookups)
        except Exception:
            # Django prefetches for the rows of the queryset, so it keeps them.
            if queryset._result_cache is None:
                queryset._result_cache = objects
            raise
    return objects


async def _prefetch(
    objects: list[Any], parts: list[_Part], lookups: tuple[str, ...]
) -> None:
    by_path = {"": objects}
    for path, parent, name, relation in parts:
        instances = by_path.get(parent)
        if not instances:
            continue
        for instance in instances:
            if "_prefetched_objects_cache" not in instance.__dict__:
                instance._prefetched_objects_cache = {}
        keys = keys_of(instances, type(instances[0]), relation.key)
        prefetcher = relation.descriptor
        is_fetched = False
        if type(prefetcher) is ReverseManyToOneDescriptor:
            prefetcher = getattr(instances[0], name)
        else:
            is_fetched = any(prefetcher.is_cached(one) for one in instances)
        if keys is None or is_fetched:
            await run(query.prefetch_related_objects, objects, *lookups)
            return
        level = path.count(LOOKUP_SEP)
        flow = flow_of(
            Level(relation, instances, keys, prefetcher, Prefetch(path), level)
        )
        queryset = next(flow)
        found = await fetch(queryset, "rows")
        if found is None:
            found = await run(list, queryset)
        try:
            flow.send(found)
        except StopIteration as ended:
            by_path[path], _ = ended.value


# Maximum number of sets of lookups that are kept for a model.
MAX_LOOKUPS = 200


def _parts_of(model: Any, lookups: tuple[Any, ...]) -> list[_Part] | None:
    if any(type(lookup) is not str for lookup in lookups):
        return None
    # The value is None if the lookups need the bridge.
    known: dict[tuple[str, ...], list[_Part] | None]
    known = vars(model._meta).setdefault("vinyl_prefetches", {})
    if lookups not in known:
        if len(known) >= MAX_LOOKUPS:
            known.clear()
        known[lookups] = _made(model, lookups)
    return known[lookups]


def _made(model: Any, lookups: tuple[str, ...]) -> list[_Part] | None:
    parts: list[_Part] = []
    # By path: the model of the objects, and the relation back to their parents, which
    # is set with them.
    found: dict[str, tuple[Any, str | None]] = {"": (model, None)}
    for lookup in lookups:
        path = ""
        for name in lookup.split(LOOKUP_SEP):
            parent, path = path, f"{path}{LOOKUP_SEP}{name}" if path else name
            if path in found:
                continue
            of_model, known = found[parent]
            relation = relation_of(of_model, name)
            if relation is None or name == known:
                return None
            # For a many-to-many relation, Django needs a connection, for its quoting.
            if relation.kind == "through" or not _is_djangos(relation):
                return None
            found[path] = relation.related, relation.remote
            parts.append(_Part(path, parent, name, relation))
    return parts


def _is_djangos(relation: Relation) -> bool:
    """Whether the manager of the related objects overrides no method used here."""
    related: Any = relation.related
    is_many = type(relation.descriptor) is ReverseManyToOneDescriptor
    manager = type(related._default_manager if is_many else related._base_manager)
    queryset = manager._queryset_class
    return (
        all(
            getattr(manager, name) is getattr(BaseManager, name)
            for name in ("__init__", "__new__", "all", "db_manager", "get_queryset")
        )
        and all(
            getattr(queryset, name) is getattr(QuerySet, name)
            for name in QUERYSET_METHODS
        )
        and has_djangos_methods(queryset)
    )
