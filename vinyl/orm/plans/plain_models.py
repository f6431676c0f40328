"""
Which models, and which of their attributes, do only what Django's own code does, so
that plans may leave that code out.
"""

from __future__ import annotations

import inspect
from typing import Any

from django.db import models
from django.db.models.fields.files import FileDescriptor
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_init, pre_init

__all__ = [
    "MISSING",
    "PLAIN",
    "has_hooks",
    "has_init_receivers",
    "has_plain",
    "is_plain",
    "key_names",
]

# Descriptors that only set the value in the instance.
PLAIN = frozenset({DeferredAttribute, FileDescriptor, ForeignKeyDeferredAttribute})
MISSING = object()
_model: Any = models.Model


def has_init_receivers(model: type[models.Model]) -> bool:
    """
    Whether a signal is sent for each new instance of *model*. Never switches.
    """
    # Most projects have no receivers at all, which is the fastest test.
    return bool(
        (pre_init.receivers and pre_init.has_listeners(model))
        or (post_init.receivers and post_init.has_listeners(model))
    )


def has_hooks(model: Any) -> bool:
    """
    Whether code runs for each new instance of *model*: receivers of a signal, or what
    has replaced `from_db()` or `__init__()` since the plan was made, also in a class
    that is not a model, of which nobody hears. Never switches.
    """
    return (
        has_init_receivers(model)
        or model.from_db.__func__ is not _model.from_db.__func__
        or model.__init__ is not _model.__init__
    )


def has_plain(model: type[models.Model], name: str) -> bool:
    """
    Whether reading the attribute *name* of instances of *model* returns the value in
    their `__dict__`, unless it is deferred. Never switches.
    """
    return (
        model.__getattribute__ is object.__getattribute__
        and type(inspect.getattr_static(model, name)) in PLAIN
    )


def is_plain(model: type[models.Model], names: list[str] | None = None) -> bool:
    """
    Whether `from_db()` of *model* does nothing but set attributes. Never switches.

    Args:
        names: The attributes that are set; None for all fields.
    """
    cls: Any = model
    fields = [field.attname for field in model._meta.concrete_fields]
    names = fields if names is None else names
    return (
        cls.from_db.__func__ is _model.from_db.__func__
        and cls.__init__ is models.Model.__init__
        and cls.__new__ is object.__new__
        and cls.__setattr__ is object.__setattr__
        and type(cls).__call__ is type.__call__
        and [name for name in fields if name in names] == names
        and all(type(inspect.getattr_static(cls, name)) in PLAIN for name in names)
    )


def key_names(field: Any, model: type[models.Model]) -> list[str]:
    """
    Return the attributes of *model* that hold the key of the relation *field*. Never
    switches.
    """
    return [
        field.attname if name == "self" else model._meta.get_field(name).attname  # type: ignore[union-attr]
        for name in field.from_fields
    ]
