"""
The managers of relations to many objects, such as `album.tracks` and `track.tags`.

Django makes one each time that code reads the attribute. Its constructors change an
attribute of `BaseManager`, after which Python looks up the attributes of all managers
again. A copy of a manager with another instance has the same effect in a sixth of the
time.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

from django.db.models.fields.related_descriptors import (
    ManyToManyDescriptor,
    ReverseManyToOneDescriptor,
)
from django.db.models.manager import BaseManager

from vinyl.orm import plans

__all__ = ["patch_get"]

# Makes the manager of an instance; None if Django has to.
Make = Callable[[Any], Any]

_manager: Any = BaseManager
_new: Any = object.__new__
# Django numbers managers in the order in which they are made, to sort those of a model.
_numbers = itertools.count(-1, -1)
# The attributes in which the managers of two instances differ.
_OWN = {"_constructor_args", "_hints", "core_filters", "creation_counter", "instance"}
# The others, of a foreign key and of a many-to-many relation.
_OF_FOREIGN_KEYS = {"_db", "field", "model", "name"}
_OF_MANY_TO_MANY = {
    *("_db", "model", "name", "pk_field_names", "prefetch_cache_name"),
    *("query_field_name", "related_val", "reverse", "source_field"),
    *("source_field_name", "symmetrical", "target_field", "target_field_name"),
    "through",
}


def patch_get(get: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `ReverseManyToOneDescriptor.__get__()` to make managers as copies."""

    @functools.wraps(get)
    def __get__(self: Any, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self
        of_class, make = self.__dict__.get("vinyl_manager", (None, None))
        if of_class is not self.related_manager_cls:
            manager = get(self, instance, cls)
            self.vinyl_manager = type(manager), _copying(self, manager)
            return manager
        manager = None if make is None else make(instance)
        return get(self, instance, cls) if manager is None else manager

    return __get__


def _copying(descriptor: Any, manager: Any) -> Make | None:
    """
    Return what makes copies of *manager*, which Django has made for *descriptor*; None
    if its class has code of the project or a package in its constructors.
    """
    cls: Any = type(manager)
    # The class that Django has derived the manager's class from.
    superclass: Any = cls.__mro__[1]
    metaclass, set_attribute = type(cls), cls.__setattr__
    if (
        metaclass is not type
        or cls.__new__ is not _manager.__new__
        or superclass.__init__ is not _manager.__init__
        or set_attribute is not object.__setattr__
        or cls._set_creation_counter is not _manager._set_creation_counter
        or len(manager.core_filters) != 1
    ):
        return None
    shared = vars(manager).keys() - _OWN
    # What the descriptor keeps must not keep the instance alive.
    attributes = {**vars(manager), **dict.fromkeys(_OWN)}
    [name] = manager.core_filters

    def make(instance: Any) -> Any:
        result = _new(cls)
        found = result.__dict__ = attributes.copy()
        found["_constructor_args"] = (instance,), {}
        found["creation_counter"] = next(_numbers)
        found["_hints"] = {}
        found["instance"] = instance
        found["core_filters"] = {name: instance}
        return result

    if type(descriptor) is ReverseManyToOneDescriptor and shared == _OF_FOREIGN_KEYS:
        plans.related_querysets.copy_querysets(cls, descriptor)
        return make
    if type(descriptor) is ManyToManyDescriptor and shared == _OF_MANY_TO_MANY:
        return _of_many_to_many(manager, attributes, make)
    return None


def _of_many_to_many(manager: Any, attributes: dict[str, Any], make: Make) -> Make:
    source = manager.source_field
    [(_, remote)] = source.related_fields
    [name], names = manager.core_filters, attributes["pk_field_names"]

    def make_with_key(instance: Any) -> Any:
        value = getattr(instance, remote.attname)
        keys = source.get_foreign_related_value(instance)
        if None in keys or not instance._is_pk_set():
            # Django raises an error.
            return None
        result = make(instance)
        result.core_filters[name] = value
        result.related_val = keys
        result.pk_field_names = names.copy()
        return result

    return make_with_key
