"""
Plans for `save()`: one statement, between what `Model.save()` does before and after it.

That is possible where all code that `save()` calls is Django's own and none of it uses
the database: no receiver of a signal, no method of the model, no field of others.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import django
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, router
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

from vinyl.orm.backends.statements import Statement
from vinyl.orm.plans.columns import Column, IsExpression, has_methods
from vinyl.orm.plans.execution import write
from vinyl.orm.plans.inserts import InsertPlan, plan_for
from vinyl.orm.plans.learning import Plan
from vinyl.orm.plans.loaders import has_init_receivers
from vinyl.orm.plans.shapes import PLAIN, Node, Unplannable, root_of
from vinyl.orm.plans.trails import is_enabled
from vinyl.orm.plans.updates import assigned

__all__ = ["Save", "Write", "can_make", "guarded", "patch_save"]

# Django's methods that a plan stands for.
_METHODS = tuple(
    (name, getattr(Model, name))
    for name in (
        "_do_insert",
        "_do_update",
        "_get_pk_val",
        "_is_pk_set",
        "_save_parents",
        "_save_table",
        "save_base",
    )
)
_model: Any = Model
# Attributes of a class that leave the value to the instance, and those of relations.
_ATTRIBUTES = frozenset({DeferredAttribute, ForeignKeyDeferredAttribute})
_RELATIONS = frozenset({ForwardManyToOneDescriptor, ForwardOneToOneDescriptor})
# The packages whose functions may be called for a default on the event loop.
_DEFAULTS = frozenset({"builtins", "datetime", "decimal", "django", "time", "uuid"})
_ARGUMENTS = frozenset({"force_insert", "force_update", "update_fields", "using"})
_COLLECTIONS = frozenset({list, tuple, set, frozenset})
# The most sets of `update_fields` that are kept for a model.
MAX_CHOICES = 100


class _Saved:
    """
    How instances of a class are saved.

    Args:
        root: The root of the shapes of the class, as long as which this is valid.
    """

    def __init__(self, cls: Any, root: Node) -> None:
        meta = cls._meta
        self.root = root
        self.model = cls
        self.pk = meta.pk
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
        # The names of arguments of the constructor.
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
        Return the columns of `update_fields`, None if they are to be looked at by
        Django. Never switches.
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
        # Lists of columns live as long as this object.
        of = (
            id(columns),
            tuple(map(type, values)),
            type(key),
            connection.alias,
            type(connection),
        )
        plan = self._updates.get(of)
        if plan is None:
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

    def insert_plan(self, has_key: bool, connection: Any) -> InsertPlan | None:
        """Return the plan of an INSERT, None if there is none. Never switches."""
        of = has_key, connection.alias, type(connection)
        plan = self._inserts.get(of)
        if plan is None:
            meta = self.model._meta
            fields = [
                field
                for field in self.fields
                if has_key or field is not meta.auto_field
            ]
            plan = plan_for(self.model, fields, meta.db_returning_fields, connection)
            if plan is not None:
                self._inserts[of] = plan
        return plan


def _is_plain(cls: Any) -> bool:
    """
    Whether one statement saves an instance, and Django's code alone gives the values.
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
    """Whether *default* of a field is a value, or a function that never waits."""
    module = getattr(default, "__module__", None) or "builtins"
    return not callable(default) or module.partition(".")[0] in _DEFAULTS


def _saved_of(cls: Any) -> _Saved:
    root = root_of(cls)
    found: _Saved | None = vars(cls._meta).get("vinyl_saves")
    if found is None or found.root is not root:
        found = cls._meta.vinyl_saves = _Saved(cls, root)
    return found


def _runs_djangos_code(cls: Any) -> bool:
    """Whether `save()` of *cls* calls nothing but Django's code."""
    for name, method in _METHODS:
        if getattr(cls, name) is not method:
            return False
    # That of Model may be patched; it is called.
    if (
        cls._prepare_related_fields_for_save
        is not _model._prepare_related_fields_for_save
    ):
        return False
    # Most projects have no receivers at all, which is quicker to find out.
    return not (
        (pre_save.receivers and pre_save.has_listeners(cls))
        or (post_save.receivers and post_save.has_listeners(cls))
    )


class Write(NamedTuple):
    """A statement that writes, with its parameters, for `execution.write()`."""

    sql: str
    statement: Statement | None
    params: tuple[Any, ...]
    counts: bool


class Save:
    """
    A `save()` that one statement carries out.

    Args:
        columns: Those that an UPDATE assigns.
        inserts: Whether the statement is an INSERT.
        refusal: What is raised if the UPDATE finds no row; None if an INSERT follows.
    """

    __slots__ = ("_columns", "_insert", "_saved", "alias", "inserts", "obj", "refusal")

    def __init__(
        self,
        saved: _Saved,
        obj: Any,
        alias: str,
        columns: list[Column],
        inserts: bool,
        refusal: str | None,
    ) -> None:
        self._saved = saved
        self.obj = obj
        self.alias = alias
        self._columns = columns
        self.inserts = inserts
        self.refusal = refusal
        self._insert: InsertPlan | None = None

    @classmethod
    def of(
        cls, obj: Any, kwargs: Mapping[str, Any], *, on_loop: bool = False
    ) -> Save | None:
        """
        Return the save that `obj.save(**kwargs)` stands for; None if Django has to
        carry it out.

        Args:
            on_loop: Whether it runs on the event loop, where nothing can be loaded.

        Raises:
            ValueError: A related object has not been saved.

        Never switches.
        """
        if not is_enabled() or not _ARGUMENTS.issuperset(kwargs):
            return None
        model = type(obj)
        saved = _saved_of(model)
        if not saved.is_plain or not _runs_djangos_code(model):
            return None
        force_insert = kwargs.get("force_insert", False)
        force_update = kwargs.get("force_update", False)
        chosen = kwargs.get("update_fields")
        if type(force_insert) is not bool or type(force_update) is not bool:
            return None
        alias = kwargs.get("using")
        if alias is None:
            if router.routers:
                return None
            alias = obj._state.db or DEFAULT_DB_ALIAS
        columns: list[Column] | None = saved.columns
        refusal = "Forced update did not affect any rows." if force_update else None
        if chosen is not None:
            if force_insert or type(chosen) not in _COLLECTIONS:
                return None
            columns = saved.choice(frozenset(chosen))
            if refusal is None:
                refusal = "Save with update_fields did not affect any rows."
        elif not saved.names <= obj.__dict__.keys():
            # Some are deferred.
            return None
        if not columns or (force_insert and force_update):
            return None
        key = obj.__dict__.get(saved.pk.attname)
        if key is None:
            if refusal is not None or saved.pk.has_default():
                return None
            if saved.pk.has_db_default():
                return None
            force_insert = True
        elif type(key) not in PLAIN:
            return None
        elif not force_insert and refusal is None and obj._state.adding:
            force_insert = saved.pk.has_default() or saved.pk.has_db_default()
        if obj._state.__dict__.get("fields_cache"):
            if on_loop and not saved.has_loaded_relations(obj):
                return None
            obj._prepare_related_fields_for_save(operation_name="save")
        return cls(saved, obj, alias, columns, force_insert, refusal)

    def bound(self, connection: Any) -> Write | None:
        """
        Return the statement; None if it is not known, and Django has to save.

        Raises: what fields raise for a value that they do not accept.

        Never switches.
        """
        saved, obj = self._saved, self.obj
        attributes = obj.__dict__
        key = attributes.get(saved.pk.attname)
        try:
            if self.inserts:
                plan = saved.insert_plan(key is not None, connection)
                if plan is None:
                    return None
                self._insert = plan
                params = plan.bound((obj,), connection, [])
                return Write(plan.sql, plan.statement, params, not plan.returning)
            values = [
                attributes[column.attname]
                if column.is_read
                else column.field.pre_save(obj, False)
                for column in self._columns
            ]
            update = saved.update_plan(self._columns, key, values, connection)
            if update is None:
                return None
            params = update.bound((key, *values), connection)
        except (IsExpression, KeyError, Unplannable):
            return None
        return Write(update.sql, update.statement, params, True)

    def finish(self, rows: list[Any], connection: Any) -> bool:
        """
        Have the object know that it has been saved.

        Args:
            rows: What the statement has returned.

        Returns: Whether it has been saved; if not, an INSERT has to follow.

        Raises:
            DatabaseError: There is no row to update, and none may be inserted.

        Never switches.
        """
        obj = self.obj
        if self._insert is not None:
            self._insert.assign(obj, rows, connection)
        elif not rows[0][0]:
            if self.refusal is None:
                return False
            is_own = django.VERSION >= (6, 0)
            raise (obj.NotUpdated if is_own else DatabaseError)(self.refusal)
        state = obj._state
        state.db = self.alias
        state.adding = False
        return True


def can_make(model: Any, kwargs: Mapping[str, Any]) -> bool:
    """
    Whether `model(**kwargs)` runs Django's code alone, and loads no attribute. Never
    switches.
    """
    saved = _saved_of(model)
    if not saved.is_made_plainly or not saved.arguments.issuperset(kwargs):
        return False
    for name in saved.relations.keys() & kwargs.keys():
        if not _is_loaded(saved.relations[name], kwargs[name]):
            return False
    return not has_init_receivers(model)


def _is_loaded(field: Any, related: Any) -> bool:
    """Whether the key that *field* takes from *related* is there."""
    if not isinstance(related, Model):
        return related is None
    names = {field.target_field.attname, related._meta.pk.attname}
    return names <= related.__dict__.keys()


@contextmanager
def guarded(connection: Any) -> Iterator[None]:
    """
    In the block, an error marks the transaction of *connection* for rollback, as
    `mark_for_rollback_on_error()` does. Never switches.
    """
    try:
        yield
    except Exception as error:
        if connection.in_atomic_block:
            connection.needs_rollback = True
            connection.rollback_exc = error
        raise


def patch_save(method: Callable[..., Any]) -> Callable[..., Any]:
    """For `Model.save()`."""

    @functools.wraps(method)
    def save(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = None if args else Save.of(self, kwargs)
        if found is None:
            return method(self, *args, **kwargs)
        connection: Any = connections[found.alias]
        with guarded(connection):
            statement = found.bound(connection)
            if statement is not None:
                rows = write(*statement, connection)
                if found.finish(rows, connection):
                    return None
        if statement is not None:
            kwargs = {"force_insert": True, "using": found.alias}
        return method(self, **kwargs)

    return save
