"""
The levels of a prefetch: what is related to all instances of one model, in one query.

Django's `prefetch_related_objects()` walks through the lookups and hands each level to
`prefetch_one_level()`, which goes through instances and related objects several times,
with a few calls for each. Here a level of a relation of Django's own goes through them
once. Its query is made from the same steps as Django's, so it has a plan.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Generator
from typing import Any, NamedTuple

import django
from django.core.exceptions import FieldDoesNotExist
from django.db.models import ForeignKey, Model, OneToOneField, Prefetch
from django.db.models.constants import LOOKUP_SEP
from django.db.models.expressions import ColPairs
from django.db.models.fields import related_descriptors
from django.db.models.fields.related_descriptors import (
    ForwardManyToOneDescriptor,
    ForwardOneToOneDescriptor,
    ManyToManyDescriptor,
    ReverseManyToOneDescriptor,
    ReverseOneToOneDescriptor,
)
from django.db.models.fields.tuple_lookups import TupleIn

from vinyl.orm.plans.loaders import MISSING, has_plain
from vinyl.orm.plans.prefetched import set_querysets
from vinyl.orm.plans.steps import record_filter
from vinyl.orm.plans.trails import django_method, is_enabled

__all__ = ["Level", "Relation", "keys_of", "patch_prefetch_one_level", "relation_of"]

# What a level returns: the related objects, and the lookups of their own.
Found = tuple[list[Any], list[Any]]
Flow = Generator[Any, list[Any], Found]


class Relation(NamedTuple):
    """
    A relation whose prefetch is Django's own.

    Args:
        descriptor: Of the attribute of the instances.
        field: The field that holds the key; of a relation to many through a table, that
            of the table which refers to the instances.
        key: The attribute of instances that holds their key.
        name: The attribute of related objects that holds the same key.
        related: The model of related objects; None if a table is in between.
        remote: The relation to the instances that is set on them, if there is one.
        flow: Fetches it for the instances of a level: yields the queryset whose objects
            it is to be sent, and returns them with the lookups of their own.
    """

    descriptor: Any
    field: Any
    key: str
    name: str
    related: Any
    remote: str | None
    flow: Callable[[Level], Flow]


class Level:
    """A relation to fetch for *instances*, whose keys are known."""

    __slots__ = (
        "attribute",
        "instances",
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
    ) -> None:
        self.relation = relation
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

    def set_many(self, name: str, found: list[list[Any]], field: Any) -> None:
        """Set the related objects of each instance, as *name* of what it prefetched."""
        if self.to_attr:
            for instance, objects in zip(self.instances, found, strict=True):
                setattr(instance, self.attribute, objects)
            return
        given = self.querysets[0] if self.querysets else None
        set_querysets(
            self.instances,
            self.keys,
            found,
            self.relation.descriptor,
            self.attribute,
            name,
            field,
            given,
        )


def patch_prefetch_one_level(method: Callable[..., Any]) -> Callable[..., Any]:
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
    Fetch what is related to the instances of *level*, and set it.

    Returns: the related objects, and the lookups of their own.

    Switches to the event loop, inside the bridge.
    """
    flow = level.relation.flow(level)
    queryset = next(flow)
    try:
        flow.send(list(queryset))
    except StopIteration as ended:
        found: Found = ended.value
    return found


def _level(
    instances: list[Any], prefetcher: Any, lookup: Any, level: int
) -> Level | None:
    """The level, if it needs nothing but Django's own code."""
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
    found = Level(relation, instances, keys, prefetcher, lookup, level)
    if found.to_attr:
        try:
            model._meta.get_field(found.attribute)
        except FieldDoesNotExist:
            pass
        else:
            # Django raises, after the query.
            return None
    return found


def keys_of(instances: list[Any], model: Any, name: str) -> list[Any] | None:
    """The keys of *instances*, if all have one and are of *model*."""
    keys = [instance.__dict__.get(name, MISSING) for instance in instances]
    if MISSING in keys or any(type(instance) is not model for instance in instances):
        return None
    return keys


def relation_of(model: Any, name: str) -> Relation | None:
    """
    The relation *name* of *model*; None if Django has to prefetch it. Never switches.
    """
    meta = getattr(model, "_meta", None)
    if meta is None:
        return None
    relations: dict[str, Relation | None]
    relations = vars(meta).setdefault("vinyl_relations", {})
    relation = relations.get(name)
    descriptor = getattr(model, name, None)
    if name not in relations or (relation and relation.descriptor is not descriptor):
        relation = relations[name] = _made(model, descriptor)
    return relation


def _made(model: Any, descriptor: Any) -> Relation | None:
    kind = type(descriptor)
    if kind in (ForwardManyToOneDescriptor, ForwardOneToOneDescriptor):
        field, flow, is_forward = descriptor.field, _forward_flow, True
        related = field.remote_field.model
    elif kind is ReverseOneToOneDescriptor:
        field, flow, is_forward = descriptor.related.field, _one_flow, False
        related = field.model
    elif kind is ReverseManyToOneDescriptor:
        field, flow, is_forward = descriptor.rel.field, _many_flow, False
        related = field.model
    elif kind is ManyToManyDescriptor:
        rel = descriptor.rel
        side = "m2m_reverse_field_name" if descriptor.reverse else "m2m_field_name"
        field = rel.through._meta.get_field(getattr(rel.field, side)())
        flow, is_forward, related = _through_flow, False, None
    else:
        return None
    if type(field) not in (ForeignKey, OneToOneField):
        return None
    [local], [foreign] = field.local_related_fields, field.foreign_related_fields
    here, there = (local, foreign) if is_forward else (foreign, local)
    if not _holds_key(model, here):
        return None
    if related is None:
        name = f"_prefetch_related_val_{local.attname}"
    elif _holds_key(related, there):
        name = there.attname
    else:
        return None
    if is_forward:
        rel = field.remote_field
        remote = None if rel.multiple else rel.cache_name
    else:
        remote = field.cache_name if related is not None else None
    return Relation(descriptor, field, here.attname, name, related, remote, flow)


def _holds_key(model: Any, field: Any) -> bool:
    """Whether the value of *field* is what instances of *model* have in `__dict__`."""
    return (
        has_plain(model, field.attname)
        and model.pk is Model.pk
        and model._is_pk_set is Model._is_pk_set
        # A key that is inherited may not be that of the parent.
        and model._meta.concrete_model is field.model._meta.concrete_model
    )


def _own_lookups(queryset: Any) -> list[Any]:
    """Take the lookups of *queryset*, which are fetched with those of its level."""
    lookups = [copy.copy(one) for one in queryset._prefetch_related_lookups]
    if lookups:
        queryset._prefetch_related_lookups = ()
    return lookups


def _grouped(
    level: Level, objects: list[Any], is_always: bool = True
) -> dict[Any, list[Any]]:
    """
    Return *objects* by their key, and set what they are related to.

    Args:
        is_always: Whether to set it where it has been set before.
    """
    name, remote = level.relation.name, level.relation.remote
    owners = dict(zip(level.keys, level.instances, strict=True))
    found: dict[Any, list[Any]] = {}
    for related in objects:
        # Reading it would make the cache of an instance that has none.
        cached = related._state.fields_cache if remote is not None else None
        key = related.__dict__.get(name, MISSING)
        if key is MISSING:
            # Django fetches it.
            key = getattr(related, name)
        if cached is not None and (is_always or remote not in cached):
            if key not in owners:
                # As Django does, for a key that equals none but in the database.
                raise KeyError((key,))
            cached[remote] = owners[key]
        siblings = found.get(key)
        if siblings is None:
            found[key] = [related]
        else:
            siblings.append(related)
    return found


def _many_flow(level: Level) -> Flow:
    """Fetch what refers to the instances by a foreign key."""
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
    # With the lookups of its own, which Django finds fetched afterwards.
    objects = yield queryset
    found = _grouped(level, objects, is_always=False)
    lists = [found.get(key, []) for key in level.keys]
    lookups = _own_lookups(queryset)
    level.set_many(field.remote_field.cache_name, lists, field)
    return objects, lookups


def _through_flow(level: Level) -> Flow:
    """Fetch what is related to the instances through a table."""
    queryset, of_related, of_instance, _, cache_name, _ = (
        level.prefetcher.get_prefetch_querysets(level.instances, level.querysets)
    )
    lookups = _own_lookups(queryset)
    objects = yield queryset
    name = level.relation.name
    by_prepared: dict[Any, list[Any]] = {}
    # By the keys as they come, which need not be prepared again.
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
    """Fetch what refers to each instance by a one-to-one field."""
    descriptor, field = level.relation.descriptor, level.relation.field
    queryset = (
        level.querysets[0] if level.querysets else _all_of(descriptor, level.instances)
    )
    queryset._add_hints(instance=level.instances[0])
    by_instances = {f"{field.name}__in": level.instances}
    queryset = record_filter(queryset, "unordered", None, (), by_instances)
    objects = yield queryset
    found = _grouped(level, objects)
    lookups = _own_lookups(queryset)
    level.set_one(descriptor.related.cache_name, found)
    return objects, lookups


def _forward_flow(level: Level) -> Flow:
    """Fetch what the instances refer to by a field of theirs."""
    descriptor, field = level.relation.descriptor, level.relation.field
    queryset = (
        level.querysets[0] if level.querysets else _all_of(descriptor, level.instances)
    )
    queryset._add_hints(instance=level.instances[0])
    # Django leaves out the keys that are NULL when it makes the SQL.
    keys = [key for key in dict.fromkeys(level.keys) if key is not None]
    queryset = record_filter(queryset, "unordered", field, (), {"pk__in": keys})
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


def _filter_unordered(queryset: Any, field: Any, args: Any, kwargs: Any) -> Any:
    """
    Filter what is fetched once for each instance, as Django does. If *field* is given,
    by the keys that it refers to.
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
        if (slot := getattr(keys, "vinyl_slot", None)) is not None:
            lookup.vinyl_slot = slot
        result = queryset.filter(lookup)
    result.query.clear_ordering()
    return result


django_method["unordered"] = _filter_unordered
