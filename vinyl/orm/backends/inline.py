"""Converters of a driver's values that are written out as Python expressions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vinyl.records import NamedTuple

__all__ = ["Inline"]


class Inline(NamedTuple):
    """
    A Python expression that converts a value of a row.

    Args:
        source: The expression. `{value}` stands for the value, `{django}` for a
            function that calls Django's converters, and `{number}` for the number of
            the column.
        names: The global names that it uses.
        before: A statement to be run once before the rows, which uses these names and
            `connection`.
    """

    source: str
    names: Mapping[str, Any]
    before: str = ""

    def for_column(self, number: int, value: str, django: str) -> str:
        """
        Return the expression for a column. Never switches.

        Args:
            number: The number of the column in a row.
            value: The name of the variable with its value.
            django: The name of the function that calls Django's converters.
        """
        return self.source.format(value=value, django=django, number=number)
