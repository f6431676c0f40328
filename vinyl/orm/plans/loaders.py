"""
Create objects from the rows of a result, as Django's iterables do.

`loader_of()` gives a function for the columns of one query, which makes all objects of
its rows in one loop. Instances are created without `__init__()` if neither the model
nor a receiver of a signal can observe the difference.
"""

from __future__ import annotations

import inspect
import itertools
import weakref
from collections.abc import Callable, Iterable
from functools import cached_property
from operator import attrgetter, itemgetter
from typing import Any, cast

import django
from django.db import models, router
from django.db.models.fields.mixins import FieldCacheMixin
from django.db.models.fields.related_descriptors import (
    ForeignKeyDeferredAttribute,
    ForwardManyToOneDescriptor,
)
from django.db.models.query import (
    FlatValuesListIterable,
    ModelIterable,
    ValuesIterable,
    ValuesListIterable,
)

from vinyl.orm.backends.collection import MANY, Pause
from vinyl.orm.plans.builders import Builder, builder_of
from vinyl.orm.plans.plain_models import (
    MISSING,
    has_hooks,
    is_plain,
    key_names,
)
from vinyl.orm.plans.values import Unplannable

__all__ = [
    "loader_of",
]

_model: Any = models.Model

# Makes a list of objects from rows, for a queryset on a database.
Loader = Callable[[Iterable[Any], Any, str], list[Any]]


def loader_of(iterable_class: type, compiler: Any) -> Loader:
    """
    Return the function that makes of rows what *iterable_class* gives for them.

    Args:
        iterable_class: The class of Django's iterable, such as ModelIterable.
        compiler: The compiler that has run the query.

    Raises:
        Unplannable: There is none.

    Never switches.
    """
    columns = [column[0] for column in compiler.select[: compiler.col_count]]
    if compiler.has_composite_fields(columns):
        raise Unplannable
    if iterable_class is ModelIterable:
        return _models(compiler)
    query = compiler.query
    if iterable_class is ValuesIterable:
        names = names_of(query)
        if len(names) != compiler.col_count:
            raise Unplannable
        return _values(names)
    if iterable_class is ValuesListIterable:
        return lambda rows, queryset, db: list(map(tuple, rows))
    if iterable_class is FlatValuesListIterable:
        return lambda rows, queryset, db: list(map(itemgetter(0), rows))
    raise Unplannable


def names_of(query: Any) -> tuple[str, ...]:
    """The names of the columns of `values()`, in their order. Never switches."""
    return tuple(
        getattr(query, "selected", None)
        or (*query.extra_select, *query.values_select, *query.annotation_select)
    )


def _values(names: tuple[str, ...]) -> Loader:
    # Written out, which takes half as long as `dict(zip(names, row))`.
    values = [f"value_{number}" for number in range(len(names))]
    items = ", ".join(
        f"{name!r}: {value}" for name, value in zip(names, values, strict=True)
    )
    row = ", ".join([*values, ""])
    namespace: dict[str, Any] = {}
    exec(
        f"def load(rows, queryset, db):\n    return [{{{items}}} for {row} in rows]\n",
        namespace,
    )
    return cast(Loader, namespace["load"])


def _models(compiler: Any) -> Loader:
    columns = compiler.annotation_col_map or {}
    instances = _Instances(compiler.klass_info, compiler.select, columns)

    def load(rows: Iterable[Any], queryset: Any, db: str) -> list[Any]:
        # None before Django 6.1.
        mode = getattr(queryset, "_fetch_mode", None)
        rows = rows if type(rows) is list else list(rows)
        objects = instances.load(rows, db, mode)
        for field, related in queryset._known_related_objects.items():
            _set_known(objects, field, related, queryset.model)
        return objects

    return load


class _Instances:
    """
    Makes the instances of one model in the rows of a result, with those of the
    relations that were selected with it. A `Part` for `builder_of()`.

    Args:
        info: What Django's compiler says of the model: its `klass_info`.
        select: The columns of the rows, as the compiler has them.
        annotations: The columns that become attributes, by name.
    """

    def __init__(
        self, info: dict[str, Any], select: list[Any], annotations: dict[str, int]
    ) -> None:
        if info.get("from_parent"):
            raise Unplannable
        self.model: Any = info["model"]
        columns = list(info["select_fields"])
        if columns != list(range(columns[0], columns[0] + len(columns))):
            raise Unplannable
        self.start, self.end = columns[0], columns[-1] + 1
        self.names = [select[column][0].target.attname for column in columns]
        if not is_plain(self.model, self.names):
            raise Unplannable
        self.keys = [
            column
            for column, name in enumerate(self.names, self.start)
            if type(inspect.getattr_static(self.model, name))
            is ForeignKeyDeferredAttribute
        ]
        # A property may have no setter.
        if any(inspect.getattr_static(self.model, name, None) for name in annotations):
            raise Unplannable
        self.annotations = annotations
        self.width = len(select)
        self.columns = [
            *zip(self.names, itertools.count(self.start)),
            *annotations.items(),
        ]
        self.related = [
            _Related(of_relation, select)
            for of_relation in info.get("related_klass_infos", ())
        ]

    def is_settable(self, name: str) -> bool:
        return not inspect.isdatadescriptor(
            inspect.getattr_static(self.model, name, None)
        )

    @cached_property
    def models(self) -> list[Any]:
        """The models of all instances. Never switches."""
        return [self.model, *(one for it in self.related for one in it.models)]

    @cached_property
    def _build(self) -> Builder:
        return builder_of(self, self.width, keeps_all=False)

    @cached_property
    def _build_with_peers(self) -> Builder:
        return builder_of(self, self.width, keeps_all=True)

    def load(self, rows: list[Any], db: str, mode: Any) -> list[Any]:
        for model in self.models:
            if has_hooks(model):
                return self._load_by_django(rows, db, mode)
        tracks_peers = mode is not None and mode.track_peers
        build = self._build_with_peers if tracks_peers else self._build
        if len(rows) < MANY:
            made = build(rows, db, mode)
        else:
            with Pause(len(rows)):
                made = build(rows, db, mode)
        if tracks_peers:
            for objects in made:
                _track_peers(objects)
        return made[0]

    def _load_by_django(self, rows: list[Any], db: str, mode: Any) -> list[Any]:
        """Make the instances with `from_db()`, which sends the signals."""
        given = {} if mode is None else {"fetch_mode": mode}
        start, end, names = self.start, self.end, self.names
        objects = [
            self.model.from_db(db, names, row[start:end], **given) for row in rows
        ]
        for row, instance in zip(rows, objects, strict=True):
            for name, column in self.annotations.items():
                setattr(instance, name, row[column])
        if mode is not None and mode.track_peers:
            _track_peers(objects)
        for related in self.related:
            related.populate(rows, objects, db, mode)
        return objects


def _track_peers(objects: list[Any]) -> None:
    peers = [weakref.ref(instance) for instance in objects]
    for instance in objects:
        instance._state.peers = peers


class _Related(_Instances):
    """The instances of a relation that was selected with another model."""

    def __init__(self, info: dict[str, Any], select: list[Any]) -> None:
        super().__init__(info, select, {})
        key = self.model._meta.pk.attname
        if key not in self.names:
            raise Unplannable
        self.key = self.start + self.names.index(key)
        self.set_local = info["local_setter"]
        # What Django's own setter does, without its calls.
        self.local_name: str | None = None
        if (
            getattr(self.set_local, "__func__", None)
            is FieldCacheMixin.set_cached_value
        ):
            self.local_name = self.set_local.__self__.cache_name
        self.set_remote = info["remote_setter"]
        field = info["field"]
        if type(field) is models.ForeignKey and not (info["reverse"] or field.unique):
            # Django's does nothing.
            self.set_remote = None

    def populate(self, rows: list[Any], objects: list[Any], db: str, mode: Any) -> None:
        """
        Set the relation of *objects*, with instances that `from_db()` makes. Never
        switches.
        """
        key = self.key
        mine = [row for row in rows if row[key] is not None]
        found = iter(self._load_by_django(mine, db, mode))
        for row, instance in zip(rows, objects, strict=True):
            related = None if row[key] is None else next(found)
            self.set_local(instance, related)
            if related is not None and self.set_remote is not None:
                self.set_remote(related, instance)


def _set_known(
    objects: list[Any], field: Any, related: dict[Any, Any], model: type[models.Model]
) -> None:
    """Set the related objects that the queryset knows, as those of its manager."""
    names = key_names(field, model)
    key_of = attrgetter(*names)
    plain = _plainly_set(field, related, model)
    for instance in objects:
        if field.is_cached(instance):
            continue
        if plain is not None:
            key = instance.__dict__.get(names[0], MISSING)
            known = plain.get((type(key), key, instance._state.db))
            if known is not None:
                instance._state.fields_cache[field.cache_name] = known
                continue
        # Before that version, a deferred key is fetched here.
        if django.VERSION >= (6, 1) and not instance.__dict__.keys() >= set(names):
            continue
        if (known := related.get(key_of(instance), MISSING)) is not MISSING:
            setattr(instance, field.name, known)


def _plainly_set(
    field: Any, related: dict[Any, Any], model: type[models.Model]
) -> dict[tuple[type, Any, Any], Any] | None:
    """
    Return the *related* objects that Django's descriptor would only cache, for an
    instance of *model* with the same key and database: by type of the key, key and
    database. None if the descriptor might do more.
    """
    if (
        type(field) is not models.ForeignKey
        or len(field.related_fields) != 1
        or router.routers
        or type(inspect.getattr_static(model, field.name))
        is not ForwardManyToOneDescriptor
    ):
        return None
    remote = field.foreign_related_fields[0].attname
    concrete: Any = field.remote_field.model._meta.concrete_model
    found = {}
    for given, known in related.items():
        if isinstance(known, concrete) and known._state.db:
            key = vars(known).get(remote)
            # *given* is its primary key, which need not be the target of the relation.
            if key is not None and key == given:
                found[type(key), key, known._state.db] = known
    return found
