"""
The relations that are prefetched without Django, and the attributes with their keys.

They are of Django's own kinds, and instances keep both keys in their `__dict__`.
"""

from __future__ import annotations

import inspect
from typing import Any, Literal

from django.db.models import ForeignKey, Model, OneToOneField
from django.db.models.fields.related_descriptors import (
    ForwardManyToOneDescriptor,
    ForwardOneToOneDescriptor,
    ManyToManyDescriptor,
    ReverseManyToOneDescriptor,
    ReverseOneToOneDescriptor,
)

from vinyl.orm.plans.plain_models import has_plain
from vinyl.records import NamedTuple

__all__ = ["Kind", "Relation", "keys_of", "relation_of"]

Kind = Literal["forward", "many", "one", "through"]


class Relation(NamedTuple):
    """
    A relation of one of Django's own kinds.

    Args:
        descriptor: The descriptor on the model of the instances.
        field: The field that holds the key; for a many-to-many relation, the field of
            its table that refers to the instances.
        key: The attribute of the instances that holds their key.
        name: The attribute of the related objects that holds the same key.
        related: The model of the related objects.
        remote: The name under which related objects cache their instance; None if they
            do not.
        kind: Which of the flows of `prefetches.py` fetches it.
    """

    descriptor: Any
    field: Any
    key: str
    name: str
    related: Any
    remote: str | None
    kind: Kind


def keys_of(instances: list[Any], model: Any, name: str) -> list[Any] | None:
    """
    Return the keys of *instances*; None if one is not of *model* or its key is
    deferred. Never switches.
    """
    if not {model}.issuperset(map(type, instances)):
        return None
    try:
        return [instance.__dict__[name] for instance in instances]
    except KeyError:
        return None


def relation_of(model: Any, name: str) -> Relation | None:
    """
    Return the relation *name* of *model*; None if Django has to prefetch it. Never
    switches.
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
    cls = type(descriptor)
    kind: Kind
    if cls in (ForwardManyToOneDescriptor, ForwardOneToOneDescriptor):
        field, kind, is_forward = descriptor.field, "forward", True
        related = field.remote_field.model
    elif cls is ReverseOneToOneDescriptor:
        field, kind, is_forward = descriptor.related.field, "one", False
        related = field.model
    elif cls is ReverseManyToOneDescriptor:
        field, kind, is_forward = descriptor.rel.field, "many", False
        related = field.model
    elif cls is ManyToManyDescriptor:
        rel = descriptor.rel
        side = "m2m_reverse_field_name" if descriptor.reverse else "m2m_field_name"
        field = rel.through._meta.get_field(getattr(rel.field, side)())
        kind, is_forward = "through", False
        related = rel.related_model if descriptor.reverse else rel.model
    else:
        return None
    if type(field) not in (ForeignKey, OneToOneField):
        return None
    [local], [foreign] = field.local_related_fields, field.foreign_related_fields
    here, there = (local, foreign) if is_forward else (foreign, local)
    if not _holds_key(model, here):
        return None
    if kind == "through":
        name = f"_prefetch_related_val_{local.attname}"
    elif _holds_key(related, there):
        name = there.attname
    else:
        return None
    if is_forward:
        rel = field.remote_field
        remote = None if rel.multiple else rel.cache_name
    else:
        remote = None if kind == "through" else field.cache_name
    return Relation(descriptor, field, here.attname, name, related, remote, kind)


def _holds_key(model: Any, field: Any) -> bool:
    """Whether instances of *model* keep the value of *field* in their `__dict__`."""
    return (
        has_plain(model, field.attname)
        # Reading a composite key from the class raises an error.
        and inspect.getattr_static(model, "pk") is Model.pk
        and model._is_pk_set is Model._is_pk_set
        # An inherited key may differ from the key of the parent.
        and model._meta.concrete_model is field.model._meta.concrete_model
    )
