"""From the values that an UPDATE assigns to the parameters of its SQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django

from vinyl.orm.plans.columns import Column, IsExpression
from vinyl.orm.plans.shapes import Reference, Unplannable

__all__ = ["Assignment"]

# Before Django 6.1, `None` is part of the SQL and not a parameter.
BINDS_NONE = django.VERSION >= (6, 1)


class Assignment:
    """
    Makes the parameter that is assigned to a field.

    Args:
        field: The field.
        value: A value of the kind that it is made from.
    """

    __slots__ = ("_column", "_is_none", "field_of_column", "is_bindable")

    def __init__(self, field: Any, value: Any) -> None:
        if (
            not type(field).__module__.startswith("django.")
            # The SQL may depend on the value.
            or hasattr(field, "get_placeholder")
            or hasattr(field, "get_placeholder_sql")
        ):
            raise Unplannable
        self._column = Column(field)
        self._is_none = value is None
        self.field_of_column = field
        self.is_bindable = self._column.is_bindable

    def reference(self, slot: int) -> Any:
        """
        Return what the query assigns in place of the value, to learn where its
        parameter is. Never switches.
        """
        return None if self._is_literal() else _Referring(slot)

    def bound(
        self, value: Any, compiler: Callable[[], Any], connection: Any
    ) -> list[Any]:
        """
        Return the parameter for *value*, if it has one.

        Raises:
            Unplannable: The query of this value has another shape.

        Never switches.
        """
        try:
            param = self._column.param(value, connection)
        except IsExpression:
            raise Unplannable from None
        if (param is None) is not self._is_none:
            raise Unplannable
        return [] if self._is_literal() else [param]

    def _is_literal(self) -> bool:
        return self._is_none and not BINDS_NONE


class _Referring:
    """An expression whose parameter is a reference to the value of *slot*."""

    contains_aggregate = contains_over_clause = False

    def __init__(self, slot: int) -> None:
        self.slot = slot

    def resolve_expression(self, *args: Any, **kwargs: Any) -> _Referring:
        return self

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        return "%s", [Reference(self.slot, 0)]
