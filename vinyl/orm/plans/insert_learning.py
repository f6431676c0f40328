"""From the insert that Django's compiler runs to its plan."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from django.db.backends.base.operations import BaseDatabaseOperations

from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.backends.statements import Statement
from vinyl.orm.plans.columns import Column
from vinyl.orm.plans.insert_plan import InsertPlan
from vinyl.orm.plans.learning import log_failure

__all__ = ["learned"]

# Maximum number of plans for one model. Beyond that, all of them are discarded.
MAX_PLANS = 100


def learned(
    compiler: Any,
    returning_fields: Any,
    execute_sql: Callable[..., Any],
    plans: dict[Hashable, InsertPlan | None],
    key: Hashable,
) -> Any:
    """
    Run the insert through Django, and keep its plan in *plans* if it has one.

    Args:
        compiler: Django's, for the insert.
        execute_sql: Its method that runs the insert.
        plans: By key and number of objects, which is None for plans that insert any
            number.

    Returns:
        The rows that the insert has returned.

    Raises: the errors of Django's method.

    Switches to the event loop, inside the bridge.
    """
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
    columns = [Column(field, query.raw) for field in query.fields]
    db_types = _array_types(columns, compiler.connection) if is_unnested else None
    statement = None
    if (
        compiler.connection.vendor == "sqlite"
        or db_types is not None
        # In PostgreSQL, one row gives the parameters the types of its columns.
        or (len(query.objs) == 1 and all(column.is_bindable for column in columns))
    ):
        statement = Statement(text, counts=not returning)
    # Without the objects, which the plan would keep alive.
    kept = query.clone()
    kept.objs = []
    return InsertPlan(
        kept,
        text,
        columns,
        is_by_field,
        is_unnested,
        statement,
        db_types,
        returning,
        has_converters,
    )


def _array_types(columns: list[Column], connection: Any) -> list[str] | None:
    """
    The types of *columns* in the database, without parameters, if their values may be
    sent as arrays; None otherwise.
    """
    operations = type(connection.ops)
    if not isinstance(connection, BridgeMixin) or not all(
        getattr(operations, f"adapt_{name}field_value").__module__.startswith(
            "django.db.backends."
        )
        for name in ("date", "datetime", "decimal", "integer")
    ):
        return None
    if not all(column.array_kinds for column in columns):
        return None
    types = [column.field.db_type(connection).partition("(")[0] for column in columns]
    return types if connection.has_arrays_of(types) else None


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
