"""
The levels of a prefetch: one relation of all instances of a model, in one query.

Django's `prefetch_related_objects()` passes each level of the lookups to
`prefetch_one_level()`, which goes through instances and related objects several times,
with a few calls for each. For Django's own kinds of relations, the flows here go
through them once. Their querysets have the same steps as Django's, so the queries have
plans.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Generator
from typing import Any

import django
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Prefetch
from django.db.models.constants import LOOKUP_SEP
from django.db.models.fields import related_descriptors

from vinyl.orm.plans.prefetch_filters import by_instances, by_keys
from vinyl.orm.plans.prefetch_relations import Kind, Relation, keys_of, relation_of
from vinyl.orm.plans.prefetched import set_querysets
from vinyl.orm.plans.trails import is_enabled

__all__ = [
    "Level",
    "finish",
    "flow_of",
    "patch_normalize_prefetch_lookups",
    "patch_prefetch_one_level",
]

# The result of a level: the related objects, and the prefetches of their queryset.
Found = tuple[list[Any], list[Any]]
# Fetches a level: it yields a queryset, and is sent the objects of that queryset.
Flow = Generator[Any, list[Any], Found]


class Level:
    """
    A relation to fetch for some instances.

    Args:
        relation: The relation.
        instances: The instances, all of one model.
        keys: The key of each instance.
        prefetcher: The descriptor, or for relations to many its manager.
        lookup: The `Prefetch`.
        level: The position of the relation in the path of *lookup*.
        is_lazy: Whether the objects of a relation to many are given their instance when
            code reads them from it. Nothing else may reach them before.
    """

    __slots__ = (
        "attribute",
        "instances",
        "is_lazy",
        "keys",
        "prefetcher",
        "querysets",
        "relation",
        "to_attr",
    )

    def __init__(
        self,
        relation: Relation,
        instances: list[Any],
        keys: list[Any],
        prefetcher: Any,
        lookup: Any,
        level: int,
        is_lazy: bool = False,
    ) -> None:
        self.relation = relation
        self.is_lazy = is_lazy
        self.instances = instances
        self.keys = keys
        self.prefetcher = prefetcher
        # The name of the relation, or of the attribute that is set in its place.
        self.attribute, self.to_attr = lookup.get_current_to_attr(level)
        self.querysets = lookup.get_current_querysets(level)

    def set_one(self, name: str, found: dict[Any, list[Any]]) -> None:
        """Set the related object of each instance, or None, as its relation *name*."""
        for instance, key in zip(self.instances, self.keys, strict=True):
            objects = found.get(key)
            value = objects[0] if objects else None
            if self.to_attr:
                setattr(instance, self.attribute, value)
            else:
                instance._state.fields_cache[name] = value

    def set_many(
        self,
        name: str,
        found: list[list[Any]],
        field: Any,
        is_late: bool = False,
    ) -> None:
        """
        Set the related objects of each instance, as its prefetched *name*.

        Args:
            is_late: Whether they are given their instance when they are read.
        """
        if self.to_attr:
            for instance, objects in zip(self.instances, found, strict=True):
                setattr(instance, self.attribute, objects)
            return
        given = self.querysets[0] if self.querysets else None
        set_querysets(
            self.instances,
            self.keys,
            found,
            self.relation,
            self.attribute,
            name,
            field,
            given,
            is_late,
        )


def patch_normalize_prefetch_lookups(method: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch the function that makes the `Prefetch` objects of a prefetch, to mark those
    that it makes of names only.
    """

    @functools.wraps(method)
    def normalize_prefetch_lookups(lookups: Any, prefix: str | None = None) -> Any:
        given = list(lookups)
        found = method(given, prefix)
        if prefix is None and all(
            type(one) is str and LOOKUP_SEP not in one for one in given
        ):
            for lookup in found:
                # No lookup leads through the objects of another one.
                lookup.is_simple = True
        return found

    return normalize_prefetch_lookups


def patch_prefetch_one_level(method: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `prefetch_one_level()` to fetch Django's own kinds of relations here."""

    @functools.wraps(method)
    def prefetch_one_level(
        instances: Any, prefetcher: Any, lookup: Any, level: int
    ) -> Any:
        found = _level(instances, prefetcher, lookup, level) if is_enabled() else None
        if found is None:
            return method(instances, prefetcher, lookup, level)
        return fetch_level(found)

    return prefetch_one_level


def fetch_level(level: Level) -> Found:
    """
    Fetch the related objects of *level* and set them on its instances.

    Returns:
        The related objects, and the prefetches of their queryset.

    Switches to the event loop, inside the bridge.
    """
    flow = flow_of(level)
    queryset = next(flow)
    return finish(flow, list(queryset))


def finish(flow: Flow, objects: list[Any]) -> Found:
    """
    Set *objects* on the instances of the level that *flow* fetches, and return what
    `fetch_level()` returns.

    Switches to the event loop, inside the bridge, if the keys of *objects* are
    deferred.
    """
    try:
        flow.send(objects)
    except StopIteration as ended:
        found: Found = ended.value
    return found


def _level(
    instances: list[Any], prefetcher: Any, lookup: Any, level: int
) -> Level | None:
    """The level; None if Django has to prefetch it."""
    if type(lookup) is not Prefetch:
        return None
    model: Any = type(instances[0])
    names = lookup.prefetch_through.split(LOOKUP_SEP)
    relation = relation_of(model, names[level])
    if relation is None:
        return None
    keys = keys_of(instances, model, relation.key)
    if keys is None:
        return None
    is_lazy = getattr(lookup, "is_simple", False)
    found = Level(relation, instances, keys, prefetcher, lookup, level, is_lazy)
    if found.to_attr:
        try:
            model._meta.get_field(found.attribute)
        except FieldDoesNotExist:
            pass
        else:
            # Django raises, after the query.
            return None
    return found


def _own_lookups(queryset: Any) -> list[Any]:
    """Remove and return the prefetches of *queryset*, which Django does afterwards."""
    lookups = [copy.copy(one) for one in queryset._prefetch_related_lookups]
    if lookups:
        queryset._prefetch_related_lookups = ()
    return lookups


def _in_lists(level: Level, objects: list[Any]) -> list[list[Any]] | None:
    """
    Return the *objects* of each instance, without caching the instance on them. None if
    that has to be done at once.
    """
    found: dict[Any, list[Any]] = {key: [] for key in level.keys}
    if (
        not level.is_lazy
        or level.to_attr
        or len(found) < len(level.keys)
        or (objects and getattr(objects[0]._state, "peers", None))
    ):
        return None
    name = level.relation.name
    try:
        for related in objects:
            found[related.__dict__[name]].append(related)
    except KeyError:
        # The key is deferred, or equal only in the database.
        return None
    return list(found.values())


def _grouped(
    level: Level, objects: list[Any], is_always: bool = True
) -> dict[Any, list[Any]]:
    """
    Return *objects* by key, and cache the instance of each on it.

    Args:
        is_always: Whether to replace an instance that is cached already.
    """
    name, remote = level.relation.name, level.relation.remote
    owners = dict(zip(level.keys, level.instances, strict=True))
    found: dict[Any, list[Any]] = {}
    for related in objects:
        # Reading `fields_cache` creates it, so read it only if needed.
        cached = related._state.fields_cache if remote is not None else None
        try:
            key = related.__dict__[name]
        except KeyError:
            # Django fetches it.
            key = getattr(related, name)
        if cached is not None and (is_always or remote not in cached):
            try:
                cached[remote] = owners[key]
            except KeyError:
                # Django raises this for a key that is equal only in the database.
                raise KeyError((key,)) from None
        siblings = found.get(key)
        if siblings is None:
            found[key] = [related]
        else:
            siblings.append(related)
    return found


def _many_flow(level: Level) -> Flow:
    """Fetch the objects whose foreign keys refer to the instances."""
    manager, field, instances = level.prefetcher, level.relation.field, level.instances
    queryset = (
        level.querysets[0]
        if level.querysets
        else super(type(manager), manager).get_queryset()
    )
    queryset._add_hints(instance=instances[0])
    queryset = related_descriptors._filter_prefetch_queryset(  # type: ignore[attr-defined]
        queryset.using(queryset._db or manager._db), field.name, instances
    )
    # Its prefetches stay, so that they are done with it; Django finds them done.
    objects = yield queryset
    lists = _in_lists(level, objects)
    is_late = lists is not None
    if lists is None:
        found = _grouped(level, objects, is_always=False)
        lists = [found.get(key, []) for key in level.keys]
    lookups = _own_lookups(queryset)
    level.set_many(field.remote_field.cache_name, lists, field, is_late)
    return objects, lookups


def _through_flow(level: Level) -> Flow:
    """Fetch the objects of a many-to-many relation."""
    queryset, of_related, of_instance, _, cache_name, _ = (
        level.prefetcher.get_prefetch_querysets(level.instances, level.querysets)
    )
    lookups = _own_lookups(queryset)
    objects = yield queryset
    name = level.relation.name
    by_prepared: dict[Any, list[Any]] = {}
    # By unprepared key, so that each key is prepared once.
    found: dict[Any, list[Any]] = {}
    for related in objects:
        key = related.__dict__[name]
        siblings = found.get(key)
        if siblings is None:
            siblings = by_prepared.setdefault(of_related(related), [])
            found[key] = siblings
        siblings.append(related)
    lists = []
    for instance, key in zip(level.instances, level.keys, strict=True):
        objects_of = found.get(key)
        if objects_of is None:
            objects_of = by_prepared.get(of_instance(instance), [])
        lists.append(objects_of)
    level.set_many(cache_name, lists, None)
    return objects, lookups


def _one_flow(level: Level) -> Flow:
    """Fetch the objects whose one-to-one fields refer to the instances."""
    descriptor, field = level.relation.descriptor, level.relation.field
    queryset = (
        level.querysets[0] if level.querysets else _all_of(descriptor, level.instances)
    )
    queryset._add_hints(instance=level.instances[0])
    queryset = by_instances(queryset, field.name, level.instances)
    objects = yield queryset
    found = _grouped(level, objects)
    lookups = _own_lookups(queryset)
    level.set_one(descriptor.related.cache_name, found)
    return objects, lookups


def _forward_flow(level: Level) -> Flow:
    """Fetch the objects that the instances refer to."""
    descriptor, field = level.relation.descriptor, level.relation.field
    queryset = (
        level.querysets[0] if level.querysets else _all_of(descriptor, level.instances)
    )
    queryset._add_hints(instance=level.instances[0])
    # Django leaves out the keys that are NULL when it makes the SQL.
    keys = [key for key in dict.fromkeys(level.keys) if key is not None]
    queryset = by_keys(queryset, field, keys)
    if level.relation.remote is None:
        lookups = _own_lookups(queryset)
        objects = yield queryset
    else:
        objects = yield queryset
        lookups = _own_lookups(queryset)
    found = _grouped(level, objects)
    level.set_one(field.cache_name, found)
    return objects, lookups


def _all_of(descriptor: Any, instances: list[Any]) -> Any:
    if django.VERSION >= (6, 1):
        return descriptor.get_queryset(instance=instances[0])
    return descriptor.get_queryset()


_FLOWS: dict[Kind, Callable[[Level], Flow]] = {
    "forward": _forward_flow,
    "many": _many_flow,
    "one": _one_flow,
    "through": _through_flow,
}


def flow_of(level: Level) -> Flow:
    """Return the flow that fetches *level*. Never switches."""
    return _FLOWS[level.relation.kind](level)
