"""
Plans for inserts: the SQL for a model, its fields and a number of objects.

Django's compiler makes the SQL of the first insert, and the plan notes how the compiler
arranges the values. For later inserts, the fields prepare the values.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Sequence
from itertools import chain
from typing import Any, NamedTuple

from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.models import sql

from vinyl.orm.backends.statements import Statement
from vinyl.orm.plans.columns import Column, IsExpression
from vinyl.orm.plans.execution import write
from vinyl.orm.plans.learning import log_failure
from vinyl.orm.plans.shapes import Node, root_of
from vinyl.orm.plans.trails import is_enabled

__all__ = ["InsertPlan", "patch_insert", "plan_for"]

# Maximum number of plans for one model. Beyond that, all of them are discarded.
MAX_PLANS = 100


class _ModelPlans(NamedTuple):
    """
    The plans for a model, valid as long as *root* is the root of its shapes. None
    stands for a plan that could not be made because of an unexpected error.
    """

    root: Node
    plans: dict[Hashable, InsertPlan | None]


class InsertPlan:
    """
    How to insert objects of a model on one database.

    Args:
        query: Django's query; keeps the fields alive, whose ids are in the plan's key.
        sql: The statement, with placeholders.
        is_by_field: Whether Django prepares the values field by field, and not object
            by object.
        is_unnested: Whether each parameter is the list of all values of a field.
        statement: The statement whose parameters the server binds; None if it cannot.
        returning: The columns that the statement returns.
        has_converters: Whether values of these columns have to be converted.
    """

    __slots__ = (
        "_columns",
        "has_converters",
        "is_by_field",
        "is_unnested",
        "query",
        "returning",
        "sql",
        "statement",
    )

    def __init__(
        self,
        query: Any,
        sql: str,
        is_by_field: bool,
        is_unnested: bool,
        statement: Statement | None,
        returning: list[Any],
        has_converters: bool,
    ) -> None:
        self.query = query
        self.sql = sql
        self.is_by_field = is_by_field
        self.is_unnested = is_unnested
        self.returning = returning
        self.has_converters = has_converters
        self._columns = [Column(field, query.raw) for field in query.fields]
        self.statement = statement

    def bound(
        self, objs: Sequence[Any], connection: Any, pre_saved: list[Any]
    ) -> tuple[Any, ...]:
        """
        Return the parameters that insert *objs*.

        Args:
            pre_saved: A list to which the result of each `pre_save()` that may have
                effects is appended.

        Raises:
            IsExpression: A value is an expression.

        Never switches, unless a field's `pre_save()` or a deferred field does.
        """
        plain = self._plain(objs, connection)
        if plain is not None:
            if self.is_unnested:
                return tuple(plain)
            return tuple(chain.from_iterable(zip(*plain, strict=True)))
        if self.is_by_field:
            columns = [
                [column.prepared(obj, connection, pre_saved) for obj in objs]
                for column in self._columns
            ]
            if self.is_unnested:
                return tuple(columns)
            return tuple(chain.from_iterable(zip(*columns, strict=True)))
        rows = [
            [column.prepared(obj, connection, pre_saved) for column in self._columns]
            for obj in objs
        ]
        if self.is_unnested:
            return tuple(map(list, zip(*rows, strict=True)))
        return tuple(chain.from_iterable(rows))

    def _plain(self, objs: Sequence[Any], connection: Any) -> list[list[Any]] | None:
        """The parameters of each column, if they can be prepared column by column."""
        columns = []
        for column in self._columns:
            if (params := column.params(objs, connection)) is None:
                return None
            columns.append(params)
        return columns

    def returned(self, rows: list[Any], connection: Any, count: int) -> list[Any]:
        """
        Return the result of Django's compiler for *rows*, which the statement has
        returned.

        Args:
            count: The number of objects to insert.

        Never switches.
        """
        if not self.returning:
            return []
        if not rows and count == 1:
            # A trigger has refused the row. Before Django 6.1, the compiler returns the
            # None of `fetchone()`.
            if hasattr(connection.ops, "fetch_returned_insert_columns"):
                return [None]
        if not self.has_converters:
            return rows
        compiler = self.query.get_compiler(connection=connection)
        converters = compiler.get_converters(self.returning)
        return list(compiler.apply_converters(rows, converters))

    def assign(self, obj: Any, rows: list[Any], connection: Any) -> None:
        """
        Set the attributes of *obj* to the values in *rows*, which the statement has
        returned. Never switches.
        """
        for row in self.returned(rows, connection, 1):
            for value, column in zip(row, self.returning, strict=True):
                setattr(obj, column.target.attname, value)

    def replayed(
        self, pre_save_val: Callable[[Any, Any], Any], pre_saved: list[Any]
    ) -> Callable[[Any, Any], Any]:
        """
        Return a *pre_save_val* that returns the results in *pre_saved* first, in their
        order.

        Never switches.
        """
        results = iter(pre_saved)
        missing = object()
        read = {id(column.field) for column in self._columns if column.is_read}

        def replayed(field: Any, obj: Any) -> Any:
            if id(field) in read:
                return pre_save_val(field, obj)
            value = next(results, missing)
            return pre_save_val(field, obj) if value is missing else value

        return replayed


def patch_insert(execute_sql: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `SQLInsertCompiler.execute_sql()` to use plans."""

    @functools.wraps(execute_sql)
    def planned(self: Any, returning_fields: Any = None) -> Any:
        query = self.query
        if not is_enabled() or not query.fields or type(query) is not sql.InsertQuery:
            return execute_sql(self, returning_fields)
        connection = self.connection
        plans = _plans_of(query.model)
        key = _key(query, connection, returning_fields)
        count = len(query.objs)
        plan = plans.get((key, count))
        if plan is None and count > 1:
            plan = plans.get((key, None))
        if plan is None:
            if (key, count) in plans:
                return execute_sql(self, returning_fields)
            return _learned(self, returning_fields, execute_sql, plans, key)
        if connection.connection is None:
            # Django connects before it prepares values.
            connection.ensure_connection()
        pre_saved: list[Any] = []
        try:
            params = plan.bound(query.objs, connection, pre_saved)
        except IsExpression:
            # `pre_save()` may have effects, so it must not run again.
            self.pre_save_val = plan.replayed(self.pre_save_val, pre_saved)
            return execute_sql(self, returning_fields)
        rows = write(plan.sql, plan.statement, params, not plan.returning, connection)
        return plan.returned(rows, connection, count)

    return planned


def plan_for(
    model: Any, fields: list[Any], returning_fields: Any, connection: Any
) -> InsertPlan | None:
    """
    Return the plan that inserts one object of *model*, None if there is none. Never
    switches.
    """
    query = sql.InsertQuery(model)
    query.insert_values(fields, [])
    return _plans_of(model).get((_key(query, connection, returning_fields), 1))


def _plans_of(model: Any) -> dict[Hashable, InsertPlan | None]:
    root = root_of(model)
    meta = model._meta
    found = vars(meta).get("vinyl_inserts")
    if found is None or found.root is not root:
        found = meta.vinyl_inserts = _ModelPlans(root, {})
    return found.plans


def _key(query: Any, connection: Any, returning_fields: Any) -> Hashable:
    def ids(fields: Any) -> tuple[int, ...]:
        # Hashing a field takes longer.
        return tuple(map(id, fields or ()))

    return (
        connection.alias,
        type(connection),
        query.raw,
        ids(query.fields),
        ids(returning_fields),
        query.on_conflict,
        ids(query.update_fields),
        ids(query.unique_fields),
    )


def _learned(
    compiler: Any,
    returning_fields: Any,
    execute_sql: Callable[..., Any],
    plans: dict[Hashable, InsertPlan | None],
    key: Hashable,
) -> Any:
    """Run the insert through Django, and keep its plan if it has one."""
    query = compiler.query
    if not _may_have_plan(compiler):
        return execute_sql(compiler, returning_fields)
    called: list[tuple[int, int]] = []
    prepared: list[Any] = []
    statements: list[tuple[str, Sequence[Any]]] = []
    cls = type(compiler)

    def pre_save_val(field: Any, obj: Any) -> Any:
        called.append((id(field), id(obj)))
        return cls.pre_save_val(compiler, field, obj)

    def prepare_value(field: Any, value: Any) -> Any:
        prepared.append(cls.prepare_value(compiler, field, value))
        return prepared[-1]

    def as_sql() -> Any:
        statements[:] = cls.as_sql(compiler)
        return statements

    compiler.pre_save_val = pre_save_val
    compiler.prepare_value = prepare_value
    compiler.as_sql = as_sql
    try:
        rows = execute_sql(compiler, returning_fields)
    finally:
        del compiler.pre_save_val, compiler.prepare_value, compiler.as_sql
    count: int | None = len(query.objs)
    try:
        plan = _plan_of(compiler, returning_fields, called, prepared, statements)
    except Exception:
        # The INSERT itself has succeeded.
        names = ", ".join(field.name for field in query.fields)
        log_failure(f"INSERT INTO {query.model.__qualname__} ({names})")
        plan = None
    else:
        if plan is None:
            return rows
        if plan.is_unnested:
            count = None
    if len(plans) >= MAX_PLANS:
        plans.clear()
    plans[key, count] = plan
    return rows


def _plan_of(
    compiler: Any,
    returning_fields: Any,
    called: list[tuple[int, int]],
    prepared: list[Any],
    statements: list[tuple[str, Sequence[Any]]],
) -> InsertPlan | None:
    """
    Return the plan of what *compiler* has run, None if it has none.

    Args:
        called: The ids of the fields and the objects whose values were read, in order.
        prepared: The values.
    """
    query = compiler.query
    if len(statements) != 1 or compiler.returning_params:
        return None
    if any(hasattr(value, "as_sql") for value in prepared):
        return None
    [(text, params)] = statements
    if (arranged := _arrangement(query, called, prepared, params)) is None:
        return None
    is_by_field, is_unnested = arranged
    table = query.get_meta().db_table
    returning = [field.get_col(table) for field in returning_fields or ()]
    has_converters = bool(compiler.get_converters(returning))
    statement = None
    if compiler.connection.vendor == "sqlite" or (
        # In PostgreSQL, one row gives the parameters the types of its columns.
        not is_unnested
        and len(query.objs) == 1
        and all(Column(field).is_bindable for field in query.fields)
    ):
        statement = Statement(text, counts=not returning)
    # Without the objects, which the plan would keep alive.
    kept = query.clone()
    kept.objs = []
    return InsertPlan(
        kept, text, is_by_field, is_unnested, statement, returning, has_converters
    )


def _may_have_plan(compiler: Any) -> bool:
    connection = compiler.connection
    features = connection.features
    operations = type(connection.ops)
    return (
        connection.vendor in ("postgresql", "sqlite")
        and type(compiler).__module__.startswith("django.db.")
        # Or there may be several statements, or rows that are not in a result.
        and features.has_bulk_insert
        and features.can_return_columns_from_insert
        and features.can_return_rows_from_bulk_insert
        and operations.modify_insert_params
        is BaseDatabaseOperations.modify_insert_params
        # Their placeholders may depend on the value.
        and not any(
            hasattr(field, "get_placeholder") or hasattr(field, "get_placeholder_sql")
            for field in compiler.query.fields
        )
    )


def _arrangement(
    query: Any,
    called: list[tuple[int, int]],
    prepared: list[Any],
    params: Sequence[Any],
) -> tuple[bool, bool] | None:
    """
    Return whether Django prepared the values field by field, and whether a parameter is
    the list of a field's values; None if the parameters are anything else than the
    prepared values.
    """
    fields, objs = query.fields, query.objs
    by_object = [(id(field), id(obj)) for obj in objs for field in fields]
    by_field = [(id(field), id(obj)) for field in fields for obj in objs]
    if len(prepared) != len(called):
        return None
    if called == by_object:
        is_by_field = False
        rows = [
            prepared[n : n + len(fields)] for n in range(0, len(called), len(fields))
        ]
    elif called == by_field:
        is_by_field = True
        columns = [
            prepared[n : n + len(objs)] for n in range(0, len(called), len(objs))
        ]
        rows = [list(row) for row in zip(*columns, strict=True)]
    else:
        return None
    if _are_same(params, [value for row in rows for value in row]):
        return is_by_field, False
    columns = [list(column) for column in zip(*rows, strict=True)]
    if len(params) == len(columns) and all(
        type(param) is list and _are_same(param, column)
        for param, column in zip(params, columns, strict=True)
    ):
        return is_by_field, True
    return None


def _are_same(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return [*map(id, one)] == [*map(id, other)]
