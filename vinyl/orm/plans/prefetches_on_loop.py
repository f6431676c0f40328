"""
Prefetches on the event loop, outside the bridge.

The rows of a queryset are fetched first, then each relation that it prefetches, with
the results of Django's `prefetch_related_objects()`. That function runs in the bridge
if a manager, a queryset class or a router of the project takes part, and wherever else
code of the project could run.
"""

from __future__ import annotations

import inspect
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import router
from django.db.models import Prefetch, query
from django.db.models.constants import LOOKUP_SEP
from django.db.models.manager import BaseManager
from django.db.models.query import ModelIterable, QuerySet

from vinyl.bridge.greenlets import run
from vinyl.orm.plans.on_loop import fetch
from vinyl.orm.plans.plan import is_djangos
from vinyl.orm.plans.prefetch_relations import Relation, keys_of, relation_of
from vinyl.orm.plans.prefetches import Level, finish, flow_of
from vinyl.orm.plans.related_querysets import QUERYSET_METHODS
from vinyl.orm.plans.trails import has_djangos_methods, trail_of
from vinyl.records import NamedTuple

__all__ = ["fetch_rows"]


class _Part(NamedTuple):
    """
    One relation in the path of a lookup.

    Args:
        path: The path to its objects, by the attributes that hold them.
        parent: The path to the instances.
        name: The name of the relation in the model of the instances.
        relation: The relation.
        lookup: The position among the lookups of the `Prefetch` that has a queryset or
            an attribute for this relation; None if none has.
    """

    path: str
    parent: str
    name: str
    relation: Relation
    lookup: int | None


# What of lookups decides their parts. For each: the path of relations, the path of
# attributes, and the model and the lookups of its queryset.
_Shape = tuple[tuple[str, str, tuple[Any, Any] | None], ...]


async def fetch_rows(queryset: Any) -> list[Any] | None:
    """
    Return the objects of *queryset*, which has prefetches, with these done; None if
    they have to be fetched in the bridge.

    Raises: the errors of iterating over *queryset*.

    Switches to the event loop.
    """
    lookups = queryset._prefetch_related_lookups
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
    objects: list[Any], parts: list[_Part], lookups: tuple[Any, ...]
) -> None:
    by_path = {"": objects}
    for part in parts:
        instances = by_path.get(part.parent)
        if not instances:
            continue
        for instance in instances:
            if "_prefetched_objects_cache" not in instance.__dict__:
                instance._prefetched_objects_cache = {}
        found = _level_of(part, instances, lookups)
        if found is None:
            await run(query.prefetch_related_objects, objects, *lookups)
            return
        by_path[part.path] = await _fetch_level(found)


def _level_of(
    part: _Part, instances: list[Any], lookups: tuple[Any, ...]
) -> Level | None:
    """The level of *part*; None if a key is deferred or the relation is fetched."""
    relation = part.relation
    keys = keys_of(instances, type(instances[0]), relation.key)
    if keys is None:
        return None
    lookup = Prefetch(part.path) if part.lookup is None else lookups[part.lookup]
    prefetcher = relation.descriptor
    is_many = relation.kind in ("many", "through")
    if is_many:
        prefetcher = getattr(instances[0], part.name)
    level = Level(
        relation,
        instances,
        keys,
        prefetcher,
        lookup,
        part.path.count(LOOKUP_SEP),
        # No part goes back to the instances.
        is_lazy=True,
    )
    if level.to_attr:
        is_fetched = any(level.attribute in one.__dict__ for one in instances)
    elif is_many:
        is_fetched = any(
            part.name in one._prefetched_objects_cache for one in instances
        )
    else:
        is_fetched = any(prefetcher.is_cached(one) for one in instances)
    return None if is_fetched else level


async def _fetch_level(level: Level) -> list[Any]:
    """Fetch *level* and the lookups of its queryset; return the related objects."""
    flow = flow_of(level)
    queryset = next(flow)
    # In some of the flows, the prefetches of a queryset are done with it.
    is_with_lookups = bool(queryset._prefetch_related_lookups)
    rows = await fetch_rows(queryset)
    objects: list[Any] = await run(list, queryset) if rows is None else rows
    if objects and level.relation.name not in objects[0].__dict__:
        # The keys are deferred, so each is fetched.
        objects, lookups = await run(finish, flow, objects)
    else:
        objects, lookups = finish(flow, objects)
    if objects and lookups and not is_with_lookups:
        await _prefetch_more(objects, queryset.model, tuple(lookups))
    return objects


async def _prefetch_more(
    objects: list[Any], model: Any, lookups: tuple[Any, ...]
) -> None:
    """Prefetch *lookups*, those of the queryset of a `Prefetch`, for its *objects*."""
    parts = _parts_of(model, lookups)
    if parts is None:
        await run(query.prefetch_related_objects, objects, *lookups)
    else:
        await _prefetch(objects, parts, lookups)


# Maximum number of sets of lookups that are kept for a model.
MAX_LOOKUPS = 200


def _parts_of(model: Any, lookups: tuple[Any, ...]) -> list[_Part] | None:
    """The relations that *lookups* fetch for *model*; None if they need the bridge."""
    shape = _shape_of(lookups)
    return None if shape is None else _known(model, shape)


def _shape_of(lookups: tuple[Any, ...]) -> _Shape | None:
    found: list[tuple[str, str, tuple[Any, Any] | None]] = []
    for lookup in lookups:
        if type(lookup) is str:
            found.append((lookup, lookup, None))
            continue
        if type(lookup) is not Prefetch:
            return None
        of_given = None
        through, to = lookup.prefetch_through, lookup.prefetch_to
        if through.count(LOOKUP_SEP) != to.count(LOOKUP_SEP):
            return None
        if lookup.to_attr and through == to:
            # Django sets the relation itself.
            return None
        given: Any = lookup.queryset
        if given is not None:
            of_given = _shape_of_given(given)
            if of_given is None:
                return None
        found.append((through, to, of_given))
    return tuple(found)


def _shape_of_given(given: Any) -> tuple[Any, _Shape] | None:
    """The model and lookups of the queryset *given*; None if it needs the bridge."""
    if not isinstance(given, QuerySet) or not _has_djangos_queryset(type(given)):
        return None
    trail = trail_of(given)
    # Filters with instances may read deferred keys.
    if trail is None or not trail.is_fixed:
        return None
    if vars(given)["_iterable_class"] is not ModelIterable:
        return None
    lookups = _shape_of(vars(given)["_prefetch_related_lookups"])
    return None if lookups is None else (given.model, lookups)


def _known(model: Any, shape: _Shape) -> list[_Part] | None:
    known: dict[_Shape, list[_Part] | None]
    known = vars(model._meta).setdefault("vinyl_prefetches", {})
    if shape not in known:
        if len(known) >= MAX_LOOKUPS:
            known.clear()
        known[shape] = _made(model, shape)
    return known[shape]


def _made(model: Any, shape: _Shape) -> list[_Part] | None:
    parts: list[_Part] = []
    # By path: the model of the objects, and the relation back to their parents, which
    # is set with them.
    found: dict[str, tuple[Any, str | None]] = {"": (model, None)}
    # The paths whose querysets have lookups of their own.
    with_lookups = set()
    for position, (through, to, given) in enumerate(shape):
        if given is not None and to in found:
            # Django raises an error.
            return None
        path = ""
        names = [*zip(through.split(LOOKUP_SEP), to.split(LOOKUP_SEP), strict=True)]
        for level, (name, attribute) in enumerate(names, 1):
            parent, path = path, f"{path}{LOOKUP_SEP}{attribute}" if path else attribute
            if path in found:
                continue
            of_model, back = found[parent]
            relation = relation_of(of_model, name)
            if relation is None or name == back or parent in with_lookups:
                return None
            if not _is_djangos(relation):
                return None
            is_last = level == len(names)
            lookup = None
            if is_last and attribute != name:
                if not _is_free(of_model, attribute):
                    return None
                lookup = position
            if is_last and given is not None:
                given_model, lookups = given
                if given_model is not relation.related:
                    return None
                if lookups:
                    if _known(given_model, lookups) is None:
                        return None
                    with_lookups.add(path)
                lookup = position
            found[path] = relation.related, relation.remote
            parts.append(_Part(path, parent, name, relation, lookup))
    return parts


def _is_free(model: Any, attribute: str) -> bool:
    """Whether setting *attribute* of an instance of *model* does nothing else."""
    try:
        model._meta.get_field(attribute)
    except FieldDoesNotExist:
        return (
            model.__setattr__ is object.__setattr__
            and not hasattr(model, "__getattr__")
            and inspect.getattr_static(model, attribute, None) is None
        )
    # Django raises an error after the query.
    return False


def _is_djangos(relation: Relation) -> bool:
    """Whether fetching *relation* runs no code of the project."""
    related: Any = relation.related
    is_many = relation.kind in ("many", "through")
    manager = type(related._default_manager if is_many else related._base_manager)
    # Those of a many-to-many relation are prepared outside of queries.
    fields = relation.field.foreign_related_fields if relation.kind == "through" else ()
    return (
        all(
            getattr(manager, name) is getattr(BaseManager, name)
            for name in ("__init__", "__new__", "all", "db_manager", "get_queryset")
        )
        and _has_djangos_queryset(manager._queryset_class)
        and all(map(is_djangos, fields))
    )


def _has_djangos_queryset(cls: Any) -> bool:
    """Whether the querysets of *cls* run Django's own methods here."""
    return has_djangos_methods(cls) and all(
        getattr(cls, name) is getattr(QuerySet, name) for name in QUERYSET_METHODS
    )
