"""
Django's converters of SQLite's values, written out as Python expressions.

A plan compiles the expressions of its columns into one loop over the rows. An
expression converts the values that a column of this type usually has, and gives all
others to Django's converter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Context
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db.backends.sqlite3.operations import DatabaseOperations
from django.db.models.expressions import Col

from vinyl.orm.backends.inline import Inline

__all__ = ["inline"]

Operations: Any = DatabaseOperations
OTHERS = "{value} if {value} is None else {django}({value})"


def _of_type(cls: type) -> Inline:
    """For values that the driver returns as *cls*, as for declared columns."""
    name = cls.__name__
    return Inline(f"{{value}} if type({{value}}) is {name} else {OTHERS}", {name: cls})


_INLINE: dict[Callable[..., Any], Inline] = {
    Operations.convert_booleanfield_value: Inline(
        "booleans.get({value}, {value})", {"booleans": {0: False, 1: True}}
    ),
    Operations.convert_datefield_value: _of_type(date),
    Operations.convert_timefield_value: _of_type(time),
    Operations.convert_datetimefield_value: Inline(
        "{value}.replace(tzinfo=zone) if zone is not None and type({value}) is datetime"
        f" and {{value}}.tzinfo is None else {OTHERS}",
        {"datetime": datetime, "settings": settings},
        "zone = connection.timezone if settings.USE_TZ else None",
    ),
    Operations.convert_durationfield_value: Inline(
        "{value} if {value} is None else timedelta(0, 0, {value})",
        {"timedelta": timedelta},
    ),
    # The form that Django stores, without the constructor's search for other forms.
    Operations.convert_uuidfield_value: Inline(
        "UUID(int=int({value}, 16)) if type({value}) is str and len({value}) == 32"
        f" and {{value}}.isalnum() else {OTHERS}",
        {"UUID": UUID},
    ),
}
_DECIMAL = (
    "from_float({value}).quantize(unit{number}, context=context{number})"
    f" if type({{value}}) is float else {OTHERS}"
)


def inline(
    column: Any, number: int, converters: Sequence[Callable[..., Any]], operations: Any
) -> Inline | None:
    """
    Return an expression with the same result as *converters*; None if there is none.

    Args:
        column: The expression that the query selects.
        number: The number of the column in a row.
        converters: Django's converters of its values.
        operations: `connection.ops`.

    Never switches.
    """
    if len(converters) != 1:
        return None
    [converter] = converters
    if getattr(converter, "__self__", None) is operations:
        return _INLINE.get(converter.__func__)  # type: ignore[attr-defined]
    if _is_decimal(column, converter, operations):
        field: Any = column.output_field
        return Inline(
            _DECIMAL,
            {
                # SQLite stores decimals as floats, with this precision.
                "from_float": Context(prec=15).create_decimal_from_float,
                f"unit{number}": Context()
                .create_decimal(1)
                .scaleb(-field.decimal_places),
                f"context{number}": field.context,
            },
        )
    return None


def _is_decimal(column: Any, converter: Any, operations: Any) -> bool:
    """Whether *converter* is Django's for a column with a number of decimal places."""
    field: Any = column.output_field
    return (
        type(operations).get_decimalfield_converter
        is Operations.get_decimalfield_converter
        and getattr(converter, "__module__", None) == Operations.__module__
        and isinstance(column, Col)
        and field.get_internal_type() == "DecimalField"
        and field.decimal_places is not None
    )
