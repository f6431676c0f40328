"""
Whether and how plans save instances of a model.

Plans can save them if all code that `save()` calls is Django's own and does not use the
database: the model overrides none of these methods, its fields are Django's, and no
signal has receivers.
"""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Mapping
from operator import attrgetter
from typing import Any

from django.db.models import (
    DateField,
    DateTimeField,
    Field,
    Manager,
    Model,
    QuerySet,
    TimeField,
)
from django.db.models.fields.related_descriptors import (
    ForeignKeyDeferredAttribute,
    ForwardManyToOneDescriptor,
    ForwardOneToOneDescriptor,
)
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_save, pre_save

from vinyl.orm.plans.columns import WRITTEN, Column, has_methods
from vinyl.orm.plans.insert_plan import InsertPlan
from vinyl.orm.plans.inserts import plan_for
from vinyl.orm.plans.plain_models import has_init_receivers
from vinyl.orm.plans.plan import Plan
from vinyl.orm.plans.shapes import Node, root_of
from vinyl.orm.plans.updates import assigned

__all__ = [
    "ModelSaves",
    "can_make",
    "has_djangos_methods",
    "runs_djangos_code",
    "saves_of",
]

# Django's methods that are not called if a plan is used, read at once.
_methods_of = attrgetter(
    "_do_insert",
    "_do_update",
    "_get_pk_val",
    "_is_pk_set",
    "_save_parents",
    "_save_table",
    "save_base",
)
_METHODS = _methods_of(Model)
_model: Any = Model
# Descriptors that keep the value in the `__dict__` of the instance, and descriptors of
# relations.
_ATTRIBUTES = frozenset({DeferredAttribute, ForeignKeyDeferredAttribute})
_RELATIONS = frozenset({ForwardManyToOneDescriptor, ForwardOneToOneDescriptor})
# The packages whose functions, as defaults of fields, never wait.
_DEFAULTS = frozenset({"builtins", "datetime", "decimal", "django", "time", "uuid"})
# Maximum number of sets of `update_fields` that are kept for a model.
MAX_CHOICES = 100


class ModelSaves:
    """
    How instances of a class are saved.

    Args:
        cls: The class.
        root: The root of the shapes of the class. This object is valid as long as the
            root is.
    """

    def __init__(self, cls: Any, root: Node) -> None:
        meta = cls._meta
        self.root = root
        self.model = cls
        self.pk = meta.pk
        # Whether the database generates the key of an instance without one. Django
        # gives other keys a default, such as "" for text.
        self.has_generated_key = (
            meta.pk is meta.auto_field
            and not meta.pk.has_default()
            and not meta.pk.has_db_default()
        )
        self.fields: list[Any] = list(meta.local_concrete_fields)
        self.names = frozenset(field.attname for field in self.fields)
        self.has_private_fields = bool(meta.private_fields)
        self.is_plain = _is_plain(cls)
        # Whether no code but Django's runs in the constructor.
        self.is_made_plainly = self.is_plain and _is_made_plainly(cls)
        self.columns = [Column(field) for field in self.fields if field is not meta.pk]
        self.relations = {
            field.name: field for field in self.fields if field.is_relation
        }
        # The keyword arguments of the constructor.
        self.arguments = self.names.union(field.name for field in self.fields)
        self._choices: dict[frozenset[str], list[Column] | None] = {}
        self._updates: dict[Hashable, Plan] = {}
        self._inserts: dict[Hashable, InsertPlan] = {}

    def has_loaded_relations(self, obj: Any) -> bool:
        """
        Whether nothing has to be loaded to compare *obj* with its related objects.
        Never switches.
        """
        cache = obj._state.fields_cache
        return not self.has_private_fields and all(
            name not in cache or _is_loaded(field, cache[name])
            for name, field in self.relations.items()
        )

    def choice(self, names: frozenset[str]) -> list[Column] | None:
        """
        Return the columns that `update_fields` names; None if Django has to find them.
        Never switches.
        """
        if names in self._choices:
            return self._choices[names]
        if len(self._choices) >= MAX_CHOICES:
            return None
        chosen: list[Column] | None
        chosen = [
            column
            for column in self.columns
            if column.field.name in names or column.attname in names
        ]
        known = {name for each in chosen for name in (each.attname, each.field.name)}
        if not names <= known:
            chosen = None
        self._choices[names] = chosen
        return chosen

    def update_plan(
        self, columns: list[Column], key: Any, values: list[Any], connection: Any
    ) -> Plan | None:
        """Return the plan of an UPDATE, None if there is none. Never switches."""
        kinds = tuple(map(type, values))
        # Lists of columns live as long as this object.
        of = (
            id(columns),
            kinds,
            type(key),
            connection.alias,
            type(connection),
        )
        plan = self._updates.get(of)
        if plan is None:
            if not WRITTEN.issuperset(kinds):
                # Two expressions of the same type can differ.
                return None
            node = self.root.child(("filter", False, False, (("pk", type(key)),)))
            pairs = (
                (id(column.field), value)
                for column, value in zip(columns, values, strict=True)
            )
            if node is not None:
                node = node.child(assigned("_update", pairs).key)
            if node is None:
                return None
            plan = node.plans.get(("update", connection.alias, type(connection)))
            if plan is not None:
                if len(self._updates) >= MAX_CHOICES:
                    self._updates.clear()
                self._updates[of] = plan
        return plan

    def inserted(self, has_key: bool) -> list[Any]:
        """The fields that an INSERT sets. Never switches."""
        generated = None if has_key else self.model._meta.auto_field
        return [field for field in self.fields if field is not generated]

    def insert_plan(
        self, has_key: bool, connection: Any, count: int = 1
    ) -> InsertPlan | None:
        """
        Return the plan that inserts *count* instances, None if there is none. Never
        switches.
        """
        of = has_key, connection.alias, type(connection), count
        plan = self._inserts.get(of)
        if plan is None:
            plan = plan_for(
                self.model,
                self.inserted(has_key),
                self.model._meta.db_returning_fields,
                connection,
                count,
            )
            # Those of other counts are found in the plans of the model.
            if plan is not None and count == 1:
                self._inserts[of] = plan
        return plan


def _is_plain(cls: Any) -> bool:
    """
    Whether one statement saves an instance, and only Django's code makes its values.
    """
    meta = cls._meta
    manager: Any = cls._base_manager
    return (
        not meta.parents
        and not meta.proxy
        and not meta.auto_created
        and not meta.order_with_respect_to
        and not meta.select_on_save
        and not getattr(meta, "is_composite_pk", False)
        and type(manager) is Manager
        and getattr(type(manager), "_queryset_class", None) is QuerySet
        and cls.__setattr__ is object.__setattr__
        and cls.__getattribute__ is object.__getattribute__
        and all(_is_plain_field(cls, field) for field in meta.local_concrete_fields)
    )


def _is_plain_field(cls: Any, field: Any) -> bool:
    return (
        type(field).__module__.startswith("django.db.models.")
        and not field.generated
        and has_methods(field, "pre_save", Field, DateField, DateTimeField, TimeField)
        and type(inspect.getattr_static(cls, field.attname, None)) in _ATTRIBUTES
    )


def _is_made_plainly(cls: Any) -> bool:
    return (
        cls.__init__ is Model.__init__
        and cls.__new__ is object.__new__
        and type(cls).__call__ is type.__call__
        and all(
            _is_harmless(field.default)
            and (
                not field.is_relation
                or type(inspect.getattr_static(cls, field.name, None)) in _RELATIONS
            )
            for field in cls._meta.local_concrete_fields
        )
    )


def _is_harmless(default: Any) -> bool:
    """Whether *default*, of a field, is a value or a function that never waits."""
    module = getattr(default, "__module__", None) or "builtins"
    return not callable(default) or module.partition(".")[0] in _DEFAULTS


def saves_of(cls: Any) -> ModelSaves:
    """Return how instances of *cls* are saved. Never switches."""
    root = root_of(cls)
    found: ModelSaves | None = root.saves
    if found is None:
        found = root.saves = ModelSaves(cls, root)
    return found


def runs_djangos_code(cls: Any) -> bool:
    """
    Whether `save()` of *cls* calls nothing but Django's code, and no receiver of its
    signals. Never switches.
    """
    if not has_djangos_methods(cls):
        return False
    # Most projects have no receivers at all, and that is quicker to check.
    return not (
        (pre_save.receivers and pre_save.has_listeners(cls))
        or (post_save.receivers and post_save.has_listeners(cls))
    )


def has_djangos_methods(cls: Any) -> bool:
    """Whether *cls* overrides no method that `save()` calls. Never switches."""
    return bool(
        _methods_of(cls) == _METHODS
        # The one of Model may be patched. A plan calls it.
        and cls._prepare_related_fields_for_save
        is _model._prepare_related_fields_for_save
    )


def can_make(model: Any, kwargs: Mapping[str, Any]) -> bool:
    """
    Whether `model(**kwargs)` runs only Django's code and loads no attribute. Never
    switches.
    """
    saved = saves_of(model)
    if not saved.is_made_plainly or not saved.arguments.issuperset(kwargs):
        return False
    for name in saved.relations.keys() & kwargs.keys():
        if not _is_loaded(saved.relations[name], kwargs[name]):
            return False
    return not has_init_receivers(model)


def _is_loaded(field: Any, related: Any) -> bool:
    """Whether *related* has the key for *field*, without loading it."""
    if not isinstance(related, Model):
        return related is None
    names = {field.target_field.attname, related._meta.pk.attname}
    return names <= related.__dict__.keys()
