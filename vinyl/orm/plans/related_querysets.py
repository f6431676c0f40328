"""
The querysets of related managers, as copies of one that Django has made.

Those of two instances differ only in the instance, in their filter, hints and known
related objects. Django makes and filters a queryset each time, which takes several
times as long as a copy.
"""

from __future__ import annotations

import functools
import weakref
from typing import Any

import django
from django.db import router
from django.db.models.manager import BaseManager
from django.db.models.query import QuerySet

from vinyl.orm.plans.prefetch_relations import relation_of
from vinyl.orm.plans.shapes import Trail, root_of
from vinyl.orm.plans.trails import PENDING, is_enabled, trail_of

__all__ = ["QUERYSET_METHODS", "Copies", "copy_querysets", "copies_of"]

# Maximum number of models and fetch modes that a relation keeps a queryset for.
MAX_KNOWN = 20

_HAS_FETCH_MODES = django.VERSION >= (6, 1)
# What managers and querysets call for the queryset of an instance.
QUERYSET_METHODS = ("_add_hints", "_next_is_sticky", "using")
_get_queryset: Any = BaseManager.get_queryset
# The classes of managers whose querysets are copies.
_copying: weakref.WeakSet[type] = weakref.WeakSet()
_new, _new_tuple, _from_keys = object.__new__, tuple.__new__, dict.fromkeys


class Copies:
    """
    Makes copies of a queryset for other instances of the same model.

    Args:
        queryset: The queryset, which Django has made for an instance.
        field: The field of the foreign key; None for a many-to-many relation.
        has_hints: Whether each has its instance as a hint.
    """

    __slots__ = (
        "_attributes",
        "_before",
        "_by_field",
        "_class",
        "_flags",
        "_has_hints",
        "_node",
    )

    def __init__(self, queryset: Any, field: Any, has_hints: bool) -> None:
        self._class: Any = type(queryset)
        self._node, values, *self._flags = queryset._trail
        # The last step is the filter by the instance or its key.
        self._before = values[:-1]
        self._has_hints = has_hints
        # Copying the key of a dictionary does not hash it, which fields do in Python.
        self._by_field = None if field is None else {field: None}
        # What differs. The copies must not keep this instance alive.
        attributes = {**vars(queryset), "_trail": None, "_result_cache": None}
        if has_hints:
            attributes["_hints"] = None
        if field is not None:
            attributes["_known_related_objects"] = None
        self._attributes = attributes

    def make(self, instance: Any, key: Any) -> Any:
        """Return the queryset of *instance*, whose key is *key*. Never switches."""
        result = _new(self._class)
        found = result.__dict__ = self._attributes.copy()
        if self._has_hints:
            found["_hints"] = {"instance": instance}
        if self._by_field is None:
            value = key
        else:
            value = instance
            known = _from_keys(self._by_field, {key: instance})
            found["_known_related_objects"] = known
        steps = (self._node, (*self._before, value), *self._flags)
        found["_trail"] = _new_tuple(Trail, steps)
        return result


def copies_of(
    queryset: Any, instance: Any, key: Any, field: Any, *, has_hints: bool = True
) -> Copies | None:
    """
    Return what makes copies of *queryset*, which Django has made for *instance*; None
    if it has a query already, or methods that are not Django's. Never switches.

    Args:
        key: The key of *instance*.
        field: As for `Copies`.
        has_hints: As for `Copies`.
    """
    cls: Any = type(queryset)
    if (
        trail_of(queryset) is None
        or queryset._query is not PENDING
        or any(
            getattr(cls, one) is not getattr(QuerySet, one) for one in QUERYSET_METHODS
        )
    ):
        return None
    copies = Copies(queryset, field, has_hints)
    made = vars(copies.make(instance, key))
    made["_result_cache"] = queryset._result_cache
    return copies if made == vars(queryset) else None


def copy_querysets(cls: Any, descriptor: Any) -> None:
    """
    Let managers of *cls*, which Django has made for *descriptor*, the reverse of a
    foreign key, return copies from `get_queryset()`. Does nothing if code of the
    project makes their querysets. Never switches.
    """
    rel = descriptor.rel
    relation = relation_of(rel.model, rel.get_accessor_name())
    if (
        relation is None
        or relation.descriptor is not descriptor
        or relation.key != rel.model._meta.pk.attname
        or super(cls, cls).get_queryset is not _get_queryset
        or cls in _copying
    ):
        return
    _copying.add(cls)
    django_get, field = cls.get_queryset, relation.field
    cache_name, key_name = rel.cache_name, relation.key
    related: Any = relation.related
    # For the model of an instance and its fetch mode: the root of the shapes, and the
    # copies.
    known: dict[Any, tuple[Any, Copies | None]] = {}

    @functools.wraps(django_get)
    def get_queryset(self: Any) -> Any:
        instance = self.instance
        values = instance.__dict__
        key = values.get(key_name)
        if (
            key is None
            or key == ""
            or self._db is not None
            or self._hints
            or len(self.core_filters) != 1
            or router.routers
            or not is_enabled()
            # Those of the rows of a list of the admin make what is missing.
            or (cache := values.get("_prefetched_objects_cache")) is not None
            and (cache_name in cache or hasattr(type(cache), "__missing__"))
        ):
            return django_get(self)
        mode = instance._state.fetch_mode if _HAS_FETCH_MODES else None
        root, copies = known.get((type(instance), mode), (None, None))
        if root is not (now := root_of(related)):
            queryset = django_get(self)
            copies = copies_of(queryset, instance, key, field)
            if copies is not None:
                if len(known) >= MAX_KNOWN:
                    known.clear()
                known[type(instance), mode] = now, copies
            return queryset
        assert copies is not None
        return copies.make(instance, key)

    cls.get_queryset = get_queryset
