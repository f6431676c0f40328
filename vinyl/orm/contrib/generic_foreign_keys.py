"""
Generic foreign keys in async mode, whether or not their content types are known.

`tag.target = album` needs the content type of `Album` as soon as it is set. On the
event loop one that is not known is left out of the instance, as if it were deferred.
When it is read or saved, it is that of the object that was set.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import django
from django.db.models import Model

from vinyl.bridge.mode import runs_sync
from vinyl.bridge.patching import Patch
from vinyl.orm.contrib.contenttypes import UnknownContentType, content_type_of

__all__ = ["DESCRIPTOR", "TABLE", "attnames_of", "is_fetched", "name_of"]


def patch_set_target(set_target: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `__set__` of a generic foreign key to leave an unknown content type out."""

    @functools.wraps(set_target)
    def __set__(self: Any, instance: Model, value: Any) -> None:
        field = _field_of(self)
        if not isinstance(value, Model) or not isinstance(
            _content_type_of_target(field, value), UnknownContentType
        ):
            set_target(self, instance, value)
            return
        type_field: Any = instance._meta.get_field(field.ct_field)
        if type_field.is_cached(instance):
            type_field.delete_cached_value(instance)
        vars(instance).pop(type_field.attname, None)
        setattr(instance, field.fk_field, value.pk)
        field.set_cached_value(instance, value)

    return __set__


def patch_get_target(get_target: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch `__get__` of a generic foreign key: on the event loop, a target that was set
    while its content type was unknown is returned as it is.
    """

    @functools.wraps(get_target)
    def __get__(self: Any, instance: Any, cls: type | None = None) -> Any:
        if instance is not None and not runs_sync():
            # Django would compare the content type.
            for _, field, target in _left_out(instance):
                if field.name == _field_of(self).name:
                    return target
        return get_target(self, instance, cls)

    return __get__


def _field_of(descriptor: Any) -> Any:
    """The generic foreign key; up to Django 6.0 it is its own descriptor."""
    return getattr(descriptor, "field", descriptor)


def _content_type_of_target(field: Any, target: Model) -> Any:
    using = target._state.db
    return content_type_of(type(target), using, field.for_concrete_model)


def _left_out(instance: Model) -> Iterator[tuple[str, Any, Model]]:
    """
    The content types that *instance* lacks because a target was set while its content
    type was unknown: the attribute's name, the generic foreign key, and the target.
    """
    for field in instance._meta.private_fields:
        if hasattr(field, "ct_field") and field.is_cached(instance):
            target = field.get_cached_value(instance)
            type_field: Any = instance._meta.get_field(field.ct_field)
            if target is not None and type_field.attname not in vars(instance):
                yield type_field.attname, field, target


def patch_check_parent_chain(check: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch `DeferredAttribute._check_parent_chain`, which finds a missing value without
    loading it: for a content type that was left out, it returns that of the target.
    """

    @functools.wraps(check)
    def _check_parent_chain(self: Any, instance: Model) -> Any:
        for attname, field, target in _left_out(instance):
            if attname == self.field.attname:
                found = _content_type_of_target(field, target)
                return None if isinstance(found, UnknownContentType) else found.pk
        return check(self, instance)

    return _check_parent_chain


def patch_prepare_for_save(prepare: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch `Model._prepare_related_fields_for_save` to look up content types that were
    left out; otherwise they would count as deferred and not be saved.
    """

    @functools.wraps(prepare)
    def find_and_prepare(self: Model, *args: Any, **kwargs: Any) -> None:
        for attname, _, _ in list(_left_out(self)):
            getattr(self, attname)
        prepare(self, *args, **kwargs)

    return find_and_prepare


def _is_current(field: Any, instance: Model) -> bool:
    """
    Whether the cached target of a generic foreign key is known to be the one that its
    content type and key name.
    """
    if not field.is_cached(instance):
        return False
    target = field.get_cached_value(instance)
    if target is None:
        return True
    if target._meta.pk.to_python(getattr(instance, field.fk_field)) != target.pk:
        return False
    type_field: Any = instance._meta.get_field(field.ct_field)
    if type_field.attname not in vars(instance):
        return True
    found = _content_type_of_target(field, target)
    return not isinstance(found, UnknownContentType) and (
        vars(instance)[type_field.attname] == found.pk
    )


def is_fetched(descriptor: Any, instance: Model) -> bool:
    """Whether reading the target of *instance* needs no query. Never switches."""
    return _is_current(_field_of(descriptor), instance)


def name_of(descriptor: Any) -> str:
    """The name of the attribute. Never switches."""
    return _field_of(descriptor).name


def attnames_of(descriptor: Any) -> list[str]:
    """The names of the content type's key and the target's. Never switches."""
    field = _field_of(descriptor)
    get_field = field.model._meta.get_field
    return [get_field(name).attname for name in (field.ct_field, field.fk_field)]


# The class of the attribute that a model has for a generic foreign key.
DESCRIPTOR = "django.contrib.contenttypes.fields:GenericForeignKey"
if django.VERSION >= (6, 1):
    DESCRIPTOR += "Descriptor"

TABLE = tuple(
    patch._replace(app="contenttypes")
    for patch in (
        Patch(DESCRIPTOR, "__get__", patch_get_target),
        Patch(DESCRIPTOR, "__set__", patch_set_target),
        Patch(
            "django.db.models.query_utils:DeferredAttribute",
            "_check_parent_chain",
            patch_check_parent_chain,
        ),
        Patch(
            "django.db.models.base:Model",
            "_prepare_related_fields_for_save",
            patch_prepare_for_save,
        ),
    )
)
