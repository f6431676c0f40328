"""
Relations to one object, fetched on the event loop as Django's descriptors fetch them.

    await album.artist                                  # a query
    await asyncio.gather(*[a.artist for a in albums])   # one query for all; batches.py

If code of the project takes part, such as a custom field, base manager, router or
model, Django's descriptor is read in the bridge instead.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID
from weakref import ref

from django.db import DEFAULT_DB_ALIAS, models, router
from django.db.models.base import ModelState
from django.db.models.fields.related_descriptors import (
    ForwardManyToOneDescriptor,
    ForwardOneToOneDescriptor,
    ReverseOneToOneDescriptor,
)
from django.db.models.query import QuerySet

from vinyl.bridge.greenlets import run
from vinyl.orm import dualmode, observe, plans, scopes
from vinyl.orm.dualmode.querysets import evaluate
from vinyl.orm.observe import recorder
from vinyl.orm.observe.fetch_modes import fetches_one
from vinyl.orm.observe.lazy_loads import LazyLoad, observe_load
from vinyl.orm.plans import shapes
from vinyl.orm.plans.plain_models import has_hooks, is_plain
from vinyl.orm.plans.shapes import LITERAL, PLAIN, root_of
from vinyl.orm.plans.terminals import only
from vinyl.orm.plans.trails import trail_of
from vinyl.records import NamedTuple

if TYPE_CHECKING:
    from vinyl.orm.observe.callsite import Callsite

__all__ = ["fetch_related"]

_DEFERRED: Any = object()
# Makes the coroutine that fetches a relation.
Fetch = Callable[[], Coroutine[Any, Any, Any]]


class _Relation:
    """
    A relation to one object.

    Args:
        descriptor: Django's descriptor of the relation, which has one column.
    """

    def __init__(self, descriptor: Any) -> None:
        self.is_reverse = type(descriptor) is ReverseOneToOneDescriptor
        rel: Any = (
            descriptor.related if self.is_reverse else descriptor.field.remote_field
        )
        field = rel.field
        ((local, remote),) = field.related_fields
        # For instances and related objects: the models, the attributes that are equal,
        # and the fields or relations under which each caches the other.
        self.owner, self.model = field.model, rel.model
        self.attname, self.key = local.attname, remote.attname
        self.cache, self.cache_of_found = field, None if rel.multiple else rel
        self.lookup = remote.attname
        if self.is_reverse:
            self.owner, self.model = self.model, self.owner
            self.attname, self.key = self.key, self.attname
            self.cache, self.cache_of_found = rel, field
            self.lookup = f"{field.name}__{remote.name}"
        self.name: str = self.cache.name
        self.owner = self.owner._meta.concrete_model
        # The type of keys of which Python and the database say the same about whether
        # two are equal; None if there is none, as for texts and fields of the project.
        target = plans.binders.target_of(remote)
        self.kind_of_keys: type | None = None
        if type(target) in plans.binders.INTEGERS:
            self.kind_of_keys = int
        elif type(target) is models.UUIDField:
            self.kind_of_keys = UUID
        # Results of queryset_for_plan(), by database and fetch mode.
        self._for_plans: dict[tuple[str, Any], Any] = {}

    def can_join(self, value: Any) -> bool:
        """
        Whether objects can be found by the key *value* and others in one query. It has
        to be of the type that the database returns, and must not make the query of all
        tasks fail. Never switches.
        """
        if self.kind_of_keys is UUID:
            return type(value) is UUID
        is_number = self.kind_of_keys is int and type(value) is int
        return is_number and -(2**63) <= value < 2**63

    def queryset(self, instance: models.Model) -> Any:
        """
        Return the queryset in which *instance* finds its object. Never switches.
        """
        queryset: Any = QuerySet(self.model, hints={"instance": instance})
        if (mode := getattr(instance._state, "fetch_mode", None)) is not None:
            queryset._fetch_mode = mode
        return queryset

    def queryset_for_plan(self, instance: models.Model, alias: str) -> Any:
        """
        Return the queryset whose plans find the object of *instance* on the database
        *alias*. It is shared with other instances and must not be changed. Never
        switches.
        """
        key = alias, getattr(instance._state, "fetch_mode", None)
        queryset = self._for_plans.get(key)
        trail = None if queryset is None else trail_of(queryset)
        # The shapes of the model may have been discarded.
        if trail is None or trail.node is not root_of(self.model):
            queryset = self.queryset(instance).using(alias)
            queryset._hints = {}
            self._for_plans[key] = queryset
        return queryset

    def set(self, instance: models.Model, found: Any, value: Any) -> None:
        """
        Cache *found*, or None if there is no row, on *instance*, unless another task
        has set the relation in the meantime, or changed the key from *value*. Never
        switches.
        """
        key = vars(instance).get(self.attname, _DEFERRED)
        if self.cache.is_cached(instance) or key != value:
            return
        self.cache.set_cached_value(instance, found)
        if found is not None and self.cache_of_found is not None:
            self.cache_of_found.set_cached_value(found, instance)


def _relation_of(descriptor: Any) -> _Relation | None:
    """The relation of *descriptor*; None if code of the project takes part in it."""
    found: _Relation | None
    generation, found = vars(descriptor).get("vinyl_relation", (None, None))
    if generation != shapes.generation:
        generation = shapes.generation
        found = _Relation(descriptor) if _is_djangos(descriptor) else None
        descriptor.vinyl_relation = generation, found
    return found


def _is_djangos(descriptor: Any) -> bool:
    kind = type(descriptor)
    if kind is ReverseOneToOneDescriptor:
        field, model = descriptor.related.field, descriptor.related.related_model
    elif kind is ForwardManyToOneDescriptor or kind is ForwardOneToOneDescriptor:
        field, model = descriptor.field, descriptor.field.remote_field.model
        if field.remote_field.parent_link:
            # Django creates the object from the instance, without a query.
            return False
    else:
        return False
    return (
        type(field) in (models.ForeignKey, models.OneToOneField)
        and len(field.related_fields) == 1
        and type(model._base_manager) is models.Manager
        and is_plain(model)
    )


class _Asked(NamedTuple):
    """A relation of one instance, with the value of its key."""

    relation: _Relation
    instance: models.Model
    value: Any
    # Fetches the relation through Django's descriptor.
    fetch: Fetch
    # The line that touched the relation; None unless lazy loads are observed.
    callsite: Callsite | None

    @property
    def load(self) -> LazyLoad:
        return LazyLoad(self.instance, self.relation.name, "one", self.callsite)


async def fetch_related(
    descriptor: Any,
    instance: models.Model,
    read: Callable[[], Any],
    fetch: Fetch,
    callsite: Callsite | None = None,
) -> Any:
    """
    Return the related object of *instance*, and cache it there.

    Args:
        descriptor: Django's descriptor of the relation.
        instance: The instance.
        read: Reads the relation through the descriptor. Called if no query is needed.
        fetch: Reads the relation through the descriptor in the bridge.
        callsite: The line that touched the relation; None if it is not known.

    Raises: the errors of reading the relation.

    Switches to the event loop.
    """
    relation = _relation_of(descriptor)
    if (
        relation is None
        or router.routers
        or instance._meta.concrete_model is not relation.owner
        or not fetches_one(instance)
    ):
        return await fetch()
    value = vars(instance).get(relation.attname, _DEFERRED)
    if relation.cache.is_cached(instance) or (
        value is None and not relation.is_reverse
    ):
        return read()
    if type(value) not in PLAIN or (relation.is_reverse and not _has_pk(instance)):
        return await fetch()
    asked = _Asked(relation, instance, value, fetch, callsite)
    alias = instance._state.db or DEFAULT_DB_ALIAS
    if (
        relation.can_join(value)
        # Receivers of signals are called for each object that is fetched.
        and not has_hooks(relation.model)
        and scopes.operation.may_share(alias)
    ):
        found = await dualmode.batches.fetch_together(
            (relation, alias), asked, partial(_fetch_one, asked, alias), _fetch_all
        )
    else:
        found = await _fetch_one(asked, alias)
    if found is None and not relation.is_reverse:
        return only(relation.model, [])
    relation.set(instance, found, value)
    if found is None:
        raise descriptor.RelatedObjectDoesNotExist(
            f"{type(instance).__name__} has no {descriptor.related.accessor_name}."
        )
    return found


def _has_pk(instance: models.Model) -> bool:
    """Whether *instance* has a primary key. Without one, nothing refers to it."""
    return vars(instance).get(instance._meta.pk.attname) is not None


async def _fetch_one(asked: _Asked, alias: str) -> Any:
    """The related object; None if there is none."""
    relation, instance, value, fetch, _ = asked
    if recorder.observes_loads:
        return await fetch()
    given = {relation.lookup: value}
    queryset = relation.queryset_for_plan(instance, alias)
    objects = await plans.on_loop.fetch(queryset, "get", (), given)
    if objects is not None:
        return only(relation.model, objects) if objects else None
    try:
        return await run(relation.queryset(instance).get, **given)
    except relation.model.DoesNotExist:
        return None


async def _fetch_all(asked: list[_Asked]) -> list[Any]:
    """The related objects of several instances, None for each that has none."""
    relation, instance = asked[0].relation, asked[0].instance
    values = list(dict.fromkeys([one.value for one in asked]))
    queryset = relation.queryset(instance)
    queryset = queryset.filter(**{f"{relation.lookup}__in": values}).order_by()
    if recorder.observes_loads:
        objects = await run(observe_load, asked[0].load, partial(list, queryset))
    else:
        objects = await evaluate(queryset)
    by_key = {vars(found)[relation.key]: found for found in objects}
    results = []
    given = set()
    for one in asked:
        found = by_key.get(one.value)
        if found is not None:
            if one.value in given:
                found = _twin(found)
            given.add(one.value)
            if recorder.observes_loads:
                observe.lookup_paths.set_paths([found], one.load.path)
        results.append(found)
    return results


def _twin(found: models.Model) -> models.Model:
    """Return another object for the same row."""
    twin = object.__new__(type(found))
    for name, value in vars(found).items():
        is_immutable = type(value) in PLAIN or type(value) in LITERAL
        vars(twin)[name] = value if is_immutable else deepcopy(value)
    state: Any = found._state
    vars(twin)["_state"] = state_of_twin = ModelState()
    vars(state_of_twin).update(vars(state))
    if "fields_cache" in vars(state):
        state_of_twin.fields_cache = {}
    if (peers := vars(state).get("peers")) is not None:
        # All objects of one result share the list.
        peers.append(ref(twin))
    return twin
