"""Plans for `save()`, which run one statement instead of Django's `save_base()`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import django
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections, router

from vinyl.orm.plans.columns import Column, IsExpression
from vinyl.orm.plans.execution import Write, guarded, write
from vinyl.orm.plans.insert_plan import InsertPlan
from vinyl.orm.plans.model_saves import ModelSaves, runs_djangos_code, saves_of
from vinyl.orm.plans.shapes import PLAIN, Unplannable
from vinyl.orm.plans.trails import is_enabled

__all__ = ["Save", "patch_save"]

_ARGUMENTS = frozenset({"force_insert", "force_update", "update_fields", "using"})
_COLLECTIONS = frozenset({list, tuple, set, frozenset})


class Save:
    """
    A `save()` that one statement carries out.

    Args:
        saved: How instances of the class of *obj* are saved.
        obj: The instance to save.
        alias: The database to save it to.
        columns: The columns that an UPDATE assigns.
        inserts: Whether the statement is an INSERT.
        key: The primary key; None if the database generates it.
        refusal: The message of the error that is raised if the UPDATE finds no row;
            None if an INSERT follows instead.
    """

    __slots__ = (
        "_columns",
        "_insert",
        "_inserts",
        "_key",
        "_refusal",
        "_saved",
        "alias",
        "obj",
    )

    def __init__(
        self,
        saved: ModelSaves,
        obj: Any,
        alias: str,
        columns: list[Column],
        inserts: bool,
        key: Any,
        refusal: str | None,
    ) -> None:
        self._saved = saved
        self.obj = obj
        self.alias = alias
        self._columns = columns
        self._inserts = inserts
        # Another task may save the object while this one waits for the connection.
        self._key = key
        self._refusal = refusal
        self._insert: InsertPlan | None = None

    @classmethod
    def of(
        cls, obj: Any, kwargs: Mapping[str, Any], *, on_loop: bool = False
    ) -> Save | None:
        """
        Return the `Save` for `obj.save(**kwargs)`; None if Django has to save *obj*.

        Args:
            on_loop: Whether the save runs on the event loop, where no attribute can be
                loaded.

        Raises:
            ValueError: A related object has not been saved.

        Never switches.
        """
        if not is_enabled() or not _ARGUMENTS.issuperset(kwargs):
            return None
        model = type(obj)
        saved = saves_of(model)
        if not saved.is_plain or not runs_djangos_code(model):
            return None
        force_insert = kwargs.get("force_insert", False)
        force_update = kwargs.get("force_update", False)
        chosen = kwargs.get("update_fields")
        if type(force_insert) is not bool or type(force_update) is not bool:
            return None
        alias = kwargs.get("using")
        if not alias:
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
            # Some attributes are deferred.
            return None
        if not columns or (force_insert and force_update):
            return None
        key = obj.__dict__.get(saved.pk.attname)
        if key is None:
            if refusal is not None or not saved.has_generated_key:
                return None
            force_insert = True
        elif type(key) not in PLAIN:
            return None
        elif not force_insert and not force_update and obj._state.adding:
            # Django does this with `update_fields` as well.
            force_insert = saved.pk.has_default() or saved.pk.has_db_default()
        if obj._state.__dict__.get("fields_cache"):
            if on_loop and not saved.has_loaded_relations(obj):
                return None
            obj._prepare_related_fields_for_save(operation_name="save")
        return cls(saved, obj, alias, columns, force_insert, key, refusal)

    def bound(self, connection: Any) -> Write | None:
        """
        Return the statement; None if there is no plan for it, and Django has to save.

        Raises: the errors of fields for values that they do not accept.

        Never switches.
        """
        saved, obj, key = self._saved, self.obj, self._key
        attributes = obj.__dict__
        try:
            if self._inserts:
                plan = saved.insert_plan(key is not None, connection)
                if plan is None:
                    return None
                self._insert = plan
                return plan.bound((obj,), connection, [])
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
        Update the state of the object after the statement has run.

        Args:
            rows: The rows that the statement has returned.

        Returns:
            Whether the object has been saved; if not, an INSERT has to follow.

        Raises:
            DatabaseError: There is no row to update, and none may be inserted.

        Never switches.
        """
        obj = self.obj
        if self._insert is not None:
            self._insert.assign(obj, rows, connection)
        elif not rows[0][0]:
            if self._refusal is None:
                return False
            is_own = django.VERSION >= (6, 0)
            raise (obj.NotUpdated if is_own else DatabaseError)(self._refusal)
        state = obj._state
        state.db = self.alias
        state.adding = False
        return True


def patch_save(method: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `Model.save()` to use plans."""

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
