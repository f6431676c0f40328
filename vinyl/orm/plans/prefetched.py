"""
The querysets of related managers that hold what has been prefetched.

Django makes the queryset of the first instance. Unless the manager overrides methods,
the querysets of the other instances differ only in the instance, so they are copies.
Each is made when code reads it: with its attributes it would be a third of all objects
that a prefetch creates, which the garbage collector has to go through.

If no other lookup can reach the related objects, they cache their instance when they
are read, too, and nothing of a prefetch refers to the instance before. So objects that
code does not read are freed without the collector.
"""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import django
from django.db import router
from django.db.models.manager import BaseManager
from django.db.models.query import QuerySet

from vinyl.orm.plans.prefetch_relations import Relation
from vinyl.orm.plans.related_querysets import Copies, copies_of
from vinyl.orm.plans.trails import trail_of

__all__ = ["patch_getstate", "set_querysets"]

# Returns the queryset that holds a list of objects, for an instance and its key. An
# instance that no longer exists is None.
Make = Callable[[Any, Any, list[Any]], Any]

_HAS_FETCH_MODES = django.VERSION >= (6, 1)
_get_queryset = BaseManager.get_queryset


class Prefetched(dict[str, Any]):
    """
    The `_prefetched_objects_cache` of an instance: querysets, each made when it is
    read. Until then there is a list in its place. Copies and pickles are a plain `dict`
    of querysets, as Django has it.
    """

    __slots__ = ("_instance", "_key", "_makers")

    # Not in `__init__()`, which would take as long as the rest.
    # A weak reference, and the key. The instance refers to this, so only the garbage
    # collector could free them both.
    _instance: Callable[[], Any]
    _key: Any
    # What makes each queryset. Instances that were prefetched together share it.
    _makers: dict[str, Make]

    def __getitem__(self, name: str) -> Any:
        value = dict.__getitem__(self, name)
        if type(value) is list and name in self._makers:
            value = self._makers[name](self._instance(), self._key, value)
            dict.__setitem__(self, name, value)
            if len(self._makers) == 1:
                # One object less for the collector.
                self._instance = _nothing
        return value

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self else default

    def make_all(self) -> None:
        """Make all querysets. Never switches."""
        for name in self._makers:
            if name in self:
                self[name]
        # A list that is set from here on is just that.
        self._makers = {}

    def __reduce_ex__(self, protocol: Any) -> Any:
        return dict, (), None, None, iter(self.items())


def _nothing() -> None:
    """In place of a weak reference that is no longer needed."""


def patch_getstate(method: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `Model.__getstate__()`, after which a copy may outlive the instance."""

    @functools.wraps(method)
    def __getstate__(self: Any) -> Any:
        cache = self.__dict__.get("_prefetched_objects_cache")
        if type(cache) is Prefetched:
            cache.make_all()
        return method(self)

    return __getstate__


def _after_making(name: str) -> Callable[..., Any]:
    method = getattr(dict, name)

    @functools.wraps(method)
    def after_making(self: Prefetched, *args: Any, **kwargs: Any) -> Any:
        self.make_all()
        return method(self, *args, **kwargs)

    return after_making


# `dict()` and `**` take the values without asking if `__iter__()` is that of `dict`.
for _name in (
    "__eq__ __ior__ __iter__ __ne__ __or__ __repr__ __ror__ __setitem__ copy items pop "
    "popitem setdefault update values"
).split():
    setattr(Prefetched, _name, _after_making(_name))


def set_querysets(
    instances: list[Any],
    keys: list[Any],
    found: list[list[Any]],
    relation: Relation,
    attribute: str,
    name: str,
    field: Any,
    given: Any,
    is_late: bool,
) -> None:
    """
    Set the related objects of each instance, so that its manager returns them.

    Args:
        instances: Instances of one model.
        keys: The key of each.
        found: The related objects of each.
        relation: The relation.
        attribute: The name of the descriptor in the model.
        name: The key of the relation in `_prefetched_objects_cache`.
        field: The field of the related objects that holds the key; None for a
            many-to-many relation.
        given: The queryset of the `Prefetch`; None if the manager makes it.
        is_late: Whether the related objects are given their instance when they are
            read; they have it already otherwise.

    Never switches.
    """

    remote = relation.remote if is_late else None

    def by_django(instance: Any, objects: list[Any]) -> Any:
        manager = getattr(instance, attribute)
        if given is None:
            queryset = manager.get_queryset()
        else:
            queryset = manager._apply_rel_filters(_chained(given))
        queryset._result_cache = objects
        queryset._prefetch_done = True
        _cache_instance(instance, objects, remote)
        return queryset

    make: Make | None = None
    can_copy = _can_copy(instances, keys, relation, given)
    for instance, objects in zip(instances, found, strict=True):
        queryset = by_django(instance, objects)
        instance._prefetched_objects_cache[name] = queryset
        if can_copy and instance is instances[0]:
            has_hints = given is None
            copies = copies_of(queryset, instance, keys[0], field, has_hints=has_hints)
            if copies is not None:
                make = _making(copies, instance, relation, remote)
                break
    if make is None:
        return
    rest = zip(instances[1:], keys[1:], found[1:], strict=True)
    for instance, objects, cache in _hold(rest, name, make):
        cache[name] = by_django(instance, objects)
    if given is not None:
        # Its querysets share its hints, of which the last instance is one.
        queryset._hints["instance"] = instances[-1]


def _cache_instance(instance: Any, objects: list[Any], remote: str | None) -> None:
    """Cache *instance* on its related *objects*, unless they have one, as *remote*."""
    if remote is not None:
        for related in objects:
            related._state.fields_cache.setdefault(remote, instance)


def _chained(given: Any) -> Any:
    """A copy of the queryset *given*, with its trail if it has one."""
    if trail_of(given) is not None and type(given).all is QuerySet.all:
        return given.all()
    return given._chain()


def _hold(
    rest: Iterable[tuple[Any, Any, list[Any]]], name: str, make: Make
) -> Iterator[tuple[Any, list[Any], Any]]:
    """
    Have *make* make the queryset *name* of each instance when it is read. Yield the
    instances that need one at once, with their objects and their cache.

    Args:
        rest: The instances, each with its key and its objects.
    """
    set_item, new_ref = dict.__setitem__, weakref.ref
    makers = alone = {name: make}
    others: dict[str, Make] = {}
    for instance, key, objects in rest:
        cache = instance._prefetched_objects_cache
        if not cache and type(cache) is dict:
            cache = instance._prefetched_objects_cache = Prefetched()
            cache._instance = new_ref(instance)
            cache._key = key
            cache._makers = alone
        elif type(cache) is Prefetched and name not in cache and key == cache._key:
            if cache._makers is not others:
                others = cache._makers
                makers = {**others, name: make}
            cache._makers = makers
            # It is gone after the only queryset has been made.
            cache._instance = new_ref(instance)
        else:
            # For instance, it is listed twice.
            yield instance, objects, cache
            continue
        set_item(cache, name, objects)


def _can_copy(
    instances: list[Any], keys: list[Any], relation: Relation, given: Any
) -> bool:
    """Whether the querysets of *instances* differ in nothing but the instance."""
    kinds = set(map(type, keys))
    if router.routers or type(None) in kinds or (str in kinds and "" in keys):
        # Without a key, Django raises an error or returns an empty queryset.
        return False
    manager = relation.descriptor.related_manager_cls
    if given is None and super(manager, manager).get_queryset is not _get_queryset:
        return False
    first = instances[0]
    pk, db = first._meta.pk.attname, first._state.db
    if _HAS_FETCH_MODES:
        # Reading it sets it, so read it for each, as Django does.
        modes = [instance._state.fetch_mode for instance in instances]
        if any(mode is not modes[0] for mode in modes):
            return False
    if not {db}.issuperset([instance._state.db for instance in instances]):
        return False
    return relation.key == pk or all(
        instance.__dict__.get(pk) is not None for instance in instances
    )


def _making(
    copies: Copies, instance: Any, relation: Relation, remote: str | None
) -> Make:
    """
    Return what makes the querysets of instances like *instance* from *copies*.

    Args:
        remote: The name under which objects cache their instance when they are read.
    """
    model, db = type(instance), instance._state.db

    def make(instance: Any, key: Any, objects: list[Any]) -> Any:
        if instance is None:
            # Code has kept its cache only. The other fields are deferred.
            instance = model.from_db(db, [relation.key], [key])
        queryset = copies.make(instance, key)
        queryset._result_cache = objects
        _cache_instance(instance, objects, remote)
        return queryset

    return make
