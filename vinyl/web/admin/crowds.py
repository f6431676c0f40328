"""
Relations to many objects that columns read, for all rows of a list together: their
numbers in one query, and the objects in another if there are not too many.

A relation is counted when a second row asks for the same one, so that a column that
looks at one row alone costs no more. Whatever is not `all()`, `count()` or `exists()`,
such as `filter()` and slices, runs as ever.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, cast

from django.db import router
from django.db.models import Count, Model, QuerySet
from django.db.models.manager import BaseManager

from vinyl.bridge.mode import dual, runs_sync

__all__ = ["MAX_FETCHED", "share_crowds"]

# With more related objects than these, each row fetches its own.
MAX_FETCHED = 5_000


def share_crowds(rows: Iterable[Any]) -> None:
    """
    Let *rows*, which nobody changes, count and fetch related objects together. Never
    switches.
    """
    models = [row for row in rows if isinstance(row, Model)]
    if len(models) > 2:
        shared = _Shared([weakref.ref(row) for row in models])
        for row in models:
            known = vars(row).get("_prefetched_objects_cache", {})
            vars(row)["_prefetched_objects_cache"] = _Crowds(known, row, shared)


class _Crowds(dict[str, Any]):
    """The related objects of one row, by the names that Django gives them."""

    def __init__(self, known: dict[str, Any], row: Any, shared: _Shared) -> None:
        super().__init__(known)
        self.row = weakref.ref(row)
        self.shared = shared

    def __missing__(self, name: str) -> Any:
        # The caller, a method of the manager. Its name alone does not say which of the
        # managers of a model it is, and what its queryset is.
        manager = sys._getframe(1).f_locals.get("self")
        row = self.row()
        if row is not None and getattr(manager, "instance", None) is row:
            queryset = self.shared.queryset(name, manager, row)
            if queryset is not None:
                return queryset
        raise KeyError(name)

    def pop(self, name: str, *default: Any) -> Any:
        # Something has been added or removed.
        self.shared.stale.add(name)
        return super().pop(name, *default)


class _Shared:
    """What the rows of a list know of the objects that are related to them."""

    def __init__(self, peers: list[weakref.ref[Any]]) -> None:
        self.peers = peers
        # By the names of the relations: who has asked first, and with which manager;
        # numbers and objects by the values that refer to the rows.
        self.first: dict[str, tuple[type, Any]] = {}
        self.counts: dict[str, dict[Any, int]] = {}
        self.found: dict[str, dict[Any, list[Any]]] = {}
        self.stale: set[str] = set()

    def queryset(self, name: str, manager: Any, row: Any) -> Any:
        """Return that of *manager*, with what is shared; None without anything."""
        kind, first = self.first.setdefault(name, (type(manager), weakref.ref(row)))
        # A manager that is asked for by name has a class of its own each time, and one
        # of the project may depend on its row.
        is_plain = type(manager) is kind and _is_plain(kind)
        if not is_plain or first() is row or name in self.stale:
            return None
        self.stale.add(name)
        try:
            queryset = manager.get_queryset()
        finally:
            self.stale.discard(name)
        return _sharing(queryset, self, name, manager)

    def rows(self) -> list[Any]:
        return [row for peer in self.peers if (row := peer()) is not None]

    def count(self, name: str, manager: Any) -> int:
        counts, _, key = self._of(name, manager)
        return counts.get(key, 0)

    def objects(self, name: str, manager: Any) -> list[Any] | None:
        """Return the objects of the row of *manager*; None if there are too many."""
        counts, reference, key = self._of(name, manager)
        if not counts.get(key):
            return []
        if name not in self.found:
            rows = [row for row in self.rows() if reference(row) in counts]
            if sum(counts.values()) > MAX_FETCHED:
                return None
            found = defaultdict(list)
            related, row_of, value_of, *_ = manager.get_prefetch_querysets(rows)
            keys = {value_of(row): reference(row) for row in rows}
            for obj in related:
                found[keys[row_of(obj)]].append(obj)
            self.found[name] = found
        return self.found[name].get(key)

    def _of(self, name: str, manager: Any) -> tuple[dict[Any, int], Any, Any]:
        """
        The numbers by what refers to a row; a function that gives this for a row; and
        what it is for the row of *manager*.
        """
        model, field, conditions, reference = _references(manager)
        if name not in self.counts:
            keys = {reference(row) for row in self.rows()}
            using = manager._db or router.db_for_read(model, instance=manager.instance)
            rows: Any = QuerySet(model, using=using)
            rows = rows.filter(**conditions, **{f"{field}__in": keys - {None}})
            rows = rows.order_by().values_list(field)
            pairs = rows.annotate(vinyl_count=Count("*"))
            self.counts[name] = dict(pairs)
        return self.counts[name], reference, reference(manager.instance)


def _references(manager: Any) -> tuple[Any, str, dict[str, Any], Callable[[Any], Any]]:
    """
    The model and the field that refer to the row of *manager*, with conditions, and a
    function that gives the value of the field for a row.
    """
    if hasattr(manager, "through"):
        source, conditions = manager.source_field, {}
        if manager.target_field.null:
            conditions[f"{manager.target_field.name}__isnull"] = False
        target = source.target_field.attname
        return manager.through, source.attname, conditions, _attribute(target)
    if hasattr(manager, "object_id_field_name"):
        field = manager.model._meta.get_field(manager.object_id_field_name)
        conditions = {f"{manager.content_type_field_name}_id": manager.content_type.pk}
        return (
            manager.model,
            field.attname,
            conditions,
            lambda row: field.to_python(row.pk),
        )
    field = manager.field
    return manager.model, field.attname, {}, _attribute(field.target_field.attname)


def _attribute(name: str) -> Callable[[Any], Any]:
    return lambda row: getattr(row, name)


def _is_plain(kind: type) -> bool:
    """Return whether the managers of *kind* relate all objects of the model."""
    own = kind.__mro__[1]
    return getattr(own, "get_queryset", None) is BaseManager.get_queryset


def _sharing(queryset: Any, shared: _Shared, name: str, manager: Any) -> Any:
    queryset.__class__ = _class_of(cast(Any, type(queryset)))
    queryset.vinyl_shared = (queryset.query, shared, name, manager)
    return queryset


@functools.cache
def _class_of(cls: Any) -> Any:
    """A class of querysets derived from *cls*, which ask what rows share."""
    base: Any = cls

    class Sharing(base):  # type: ignore[misc]  # any class of querysets
        _result_cache: list[Any] | None

        def _shared(self) -> tuple[Any, ...]:
            """What is shared; empty for querysets that were made of the first one."""
            query, *shared = vars(self).get("vinyl_shared", (None,))
            return tuple(shared) if query is self.query else ()

        def _fetch_all(self) -> None:
            if self._result_cache is None and runs_sync():
                if shared := self._shared():
                    objects = shared[0].objects(*shared[1:])
                    if objects is not None:
                        self._result_cache = objects
                        self._prefetch_done = True
            super()._fetch_all()

        @dual
        def count(self) -> Any:
            shared = self._shared()
            if self._result_cache is None and shared:
                return shared[0].count(*shared[1:])
            return super().count()

        @dual
        def exists(self) -> Any:
            if self._result_cache is None and self._shared():
                return self.count() > 0
            return super().exists()

    return Sharing
