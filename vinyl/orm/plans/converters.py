"""
Converting the values of rows, with the results of Django's compilers.

A compiler calls the converters of each column for each value. `Converters` generates
one loop over the rows for the columns of a query, in which the backend replaces
Django's converters with expressions where it can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.backends.inline import Inline

__all__ = ["Converters"]


class Converters:
    """
    Converts the rows of one query.

    Args:
        count: The number of columns of a row.
        found: The result of Django's `get_converters()`: by the number of each column
            that has converters, these and the expression of the column.
        connection: A connection of the database on which the query runs.
    """

    __slots__ = ("_columns", "_convert")

    def __init__(
        self,
        count: int,
        found: Mapping[int, tuple[list[Callable[..., Any]], Any]],
        connection: Any,
    ) -> None:
        self._columns = [column for _, column in found.values()]
        names: dict[str, Any] = {}
        before: dict[str, None] = {}
        values = [f"value{number}" for number in range(count)]
        row = list(values)
        for number, (converters, column) in found.items():
            inline = None
            if isinstance(connection, BridgeMixin):
                inline = connection.inline_converter(column, number, converters)
            inline = inline or _DJANGOS
            names |= inline.names
            before[inline.before] = None
            row[number] = inline.for_column(number, values[number], f"django{number}")
        djangos = "".join(f", django{number}" for number in found)
        lines = [
            f"def convert(rows, connection{djangos}):",
            *(f"    {statement}" for statement in before if statement),
            f"    return [({', '.join(row)},) for {', '.join(values)}, in rows]",
        ]
        exec("\n".join(lines), names)
        self._convert = cast(Callable[..., list[Any]], names["convert"])

    def converted(self, rows: Any, connection: Any) -> list[Any]:
        """
        Return *rows*, of a query that has run on *connection*, with converted values.

        Never switches.
        """
        djangos = [_Djangos(column, connection) for column in self._columns]
        return self._convert(rows, connection, *djangos)


_DJANGOS = Inline("{django}({value})", {})


class _Djangos:
    """Django's converters of a column, which get each value in turn."""

    __slots__ = ("_column", "_connection", "_converters")

    def __init__(self, column: Any, connection: Any) -> None:
        self._column = column
        self._connection = connection
        self._converters: list[Callable[..., Any]] | None = None

    def __call__(self, value: Any) -> Any:
        column, connection = self._column, self._connection
        if self._converters is None:
            self._converters = connection.ops.get_db_converters(
                column
            ) + column.get_db_converters(connection)
        for converter in self._converters:
            value = converter(value, column, connection)
        return value
