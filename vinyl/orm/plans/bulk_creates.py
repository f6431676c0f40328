"""
`bulk_create()` of objects of one table, with few steps for each of them.

Django calls several methods for each object. If these are its own, the functions here
have the same effects.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import django
from django.db import connections, router, transaction
from django.db.models import Model, QuerySet

from vinyl.orm.plans.columns import IsExpression
from vinyl.orm.plans.execution import write
from vinyl.orm.plans.model_saves import has_djangos_methods, saves_of
from vinyl.orm.plans.plain_models import MISSING
from vinyl.orm.plans.shapes import PLAIN
from vinyl.orm.plans.trails import is_enabled

__all__ = ["patch_bulk_create"]

_pk = getattr(Model, "pk")  # noqa: B009 # django-stubs declares it as a value
# Options that make no difference if they are false.
_OPTIONS = frozenset(
    {"ignore_conflicts", "unique_fields", "update_conflicts", "update_fields"}
)
# Django's methods that are not called, and its property.
_METHODS = tuple(
    (name, getattr(QuerySet, name))
    for name in (
        "_batched_insert",
        "_check_bulk_create_options",
        "_insert",
        "_prepare_for_bulk_create",
        "db",
    )
)


def patch_bulk_create(method: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `bulk_create()` to insert plain objects in few steps."""

    @functools.wraps(method)
    def bulk_create(
        self: Any, objs: Any, batch_size: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        if (
            not args
            and _OPTIONS.issuperset(kwargs)
            and not any(kwargs.values())
            and (batch_size is None or type(batch_size) is int and batch_size > 0)
            and type(objs) in (list, tuple)
            and _is_plain(self, objs)
        ):
            made = _created(self, list(objs), batch_size)
            if made is not None:
                return made
        return method(self, objs, batch_size, *args, **kwargs)

    return bulk_create


def _is_plain(queryset: Any, objs: Any) -> bool:
    """Whether there are *objs*, and only Django's code inserts them, into one table."""
    cls, model = type(queryset), queryset.model
    return (
        {*map(type, objs)} == {model}
        and is_enabled()
        and not (queryset._db is None and router.routers)
        and saves_of(model).is_plain
        and has_djangos_methods(model)
        and model.pk is _pk
        and all(getattr(cls, name) is method for name, method in _METHODS)
    )


def _created(
    queryset: Any, objs: list[Any], batch_size: int | None
) -> list[Any] | None:
    """
    Insert *objs* and return them; return None if Django's method has to do so, because
    it gives them keys or knows only some of them.
    """
    saved = saves_of(queryset.model)
    pk = saved.pk
    if (kinds := {type(vars(obj).get(pk.attname, MISSING)) for obj in objs}) <= PLAIN:
        has_key = True
    elif kinds == {type(None)} and saved.has_generated_key:
        has_key = False
    else:
        return None
    queryset._for_write = True
    alias = queryset.db
    connection: Any = connections[alias]
    features = connection.features
    if not (
        features.can_return_rows_from_bulk_insert
        # Or Django replaces defaults of the database in the objects.
        and features.supports_default_keyword_in_bulk_insert
    ):
        return None
    if saved.relations or saved.has_private_fields:
        for obj in objs:
            if vars(obj._state).get("fields_cache"):
                obj._prepare_related_fields_for_save(operation_name="bulk_create")
    fields = saved.inserted(has_key)
    size = max(connection.ops.bulk_batch_size(fields, objs), 1)
    size = min(size, batch_size or size)
    batches = [objs[start : start + size] for start in range(0, len(objs), size)]
    rows: list[Any] = []
    with _transaction(alias, len(batches)):
        for batch in batches:
            rows += _inserted(queryset, batch, has_key, connection)
        if not has_key:
            # Fails if a trigger has refused a row, as Django's method does.
            assert len(rows) == len(objs)
        _assign(objs, rows, has_key, alias)
    return objs


def _transaction(alias: str, batches: int) -> AbstractContextManager[Any]:
    """The block in which Django inserts this number of *batches*."""
    if django.VERSION >= (6, 0) and batches == 1:
        return nullcontext()
    return transaction.atomic(using=alias, savepoint=False)


def _inserted(
    queryset: Any, batch: list[Any], has_key: bool, connection: Any
) -> list[Any]:
    """Insert *batch* and return the rows that the statement returns."""
    saved = saves_of(queryset.model)
    plan = saved.insert_plan(has_key, connection, len(batch))
    if plan is not None:
        try:
            statement = plan.bound(batch, connection, [])
        except IsExpression:
            pass
        else:
            return plan.returned(write(*statement, connection), connection, len(batch))
    found: list[Any] = queryset._insert(
        batch,
        fields=saved.inserted(has_key),
        using=connection.alias,
        returning_fields=saved.model._meta.db_returning_fields,
    )
    return found


def _assign(objs: list[Any], rows: list[Any], has_key: bool, alias: str) -> None:
    """Set what the database has returned, and the state of *objs*."""
    meta = objs[0]._meta
    for number, field in enumerate(meta.db_returning_fields):
        # Since Django 6.1, also a key that was given.
        if not has_key or field != meta.pk or django.VERSION >= (6, 1):
            name = field.attname
            for obj, row in zip(objs, rows, strict=False):
                setattr(obj, name, row[number])
    for obj in objs:
        state = obj._state
        state.adding = False
        state.db = alias
