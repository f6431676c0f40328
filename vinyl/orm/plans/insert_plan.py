"""The plan of an insert, for a model, its fields and a number of objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

from vinyl.orm.backends.statements import Statement
from vinyl.orm.plans.columns import Column
from vinyl.orm.plans.execution import Write, needs_no_cursor

__all__ = ["InsertPlan"]


class InsertPlan:
    """
    How to insert objects of a model on one database.

    Args:
        query: Django's query; keeps the fields alive, whose ids are in the plan's key.
        sql: The statement, with placeholders.
        columns: Its columns.
        is_by_field: Whether Django prepares the values field by field, and not object
            by object.
        is_unnested: Whether each parameter is the list of all values of a field.
        statement: The statement whose parameters the server binds; None if it cannot.
        db_types: The types of the columns, if they are sent as `arrays_of()`.
        returning: The columns that the statement returns.
        has_converters: Whether values of these columns have to be converted.
    """

    __slots__ = (
        "_columns",
        "_db_types",
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
        columns: list[Column],
        is_by_field: bool,
        is_unnested: bool,
        statement: Statement | None,
        db_types: list[str] | None,
        returning: list[Any],
        has_converters: bool,
    ) -> None:
        self.query = query
        self.sql = sql
        self.is_by_field = is_by_field
        self.is_unnested = is_unnested
        self.returning = returning
        self.has_converters = has_converters
        self.statement = statement
        self._columns = columns
        self._db_types = db_types

    def bound(
        self, objs: Sequence[Any], connection: Any, pre_saved: list[Any]
    ) -> Write:
        """
        Return the statement that inserts *objs*.

        Args:
            pre_saved: A list to which the result of each `pre_save()` that may have
                effects is appended.

        Raises:
            IsExpression: A value is an expression.

        Switches to the event loop, inside the bridge, if it connects, or a field's
        `pre_save()` or a deferred field does.
        """
        statement = self.statement
        counts = not self.returning
        if self._db_types is not None:
            if needs_no_cursor(connection):
                arrays = self._arrays(objs, connection)
                if arrays is not None:
                    return Write(self.sql, statement, arrays, counts)
            statement = None
        params = self._params(objs, connection, pre_saved)
        return Write(self.sql, statement, params, counts)

    def _arrays(self, objs: Sequence[Any], connection: Any) -> tuple[Any, ...] | None:
        """The parameters as arrays; None if a value has to be prepared."""
        columns = []
        for column in self._columns:
            if (values := column.array_values(objs)) is None:
                return None
            columns.append(values)
        arrays: tuple[Any, ...] | None = connection.arrays_of(self._db_types, columns)
        return arrays

    def _params(
        self, objs: Sequence[Any], connection: Any, pre_saved: list[Any]
    ) -> tuple[Any, ...]:
        if len(objs) == 1 and not self.is_unnested:
            return tuple(
                [
                    column.prepared(objs[0], connection, pre_saved)
                    for column in self._columns
                ]
            )
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
