"""Statements: SQL that is run again and again, with other parameters each time."""

from __future__ import annotations

import re
from itertools import count

__all__ = ["Statement"]


class Statement:
    """
    SQL with placeholders, as Django's compilers make it.

    Args:
        sql: The text; `%s` stands for a parameter and `%%` for a percent sign.
    """

    __slots__ = ("numbered", "sql")

    def __init__(self, sql: str) -> None:
        self.sql = sql
        numbers = count(1)
        # With $1, $2, ... in the place of the parameters, as PostgreSQL takes it.
        self.numbered: bytes = re.sub(
            "%([s%])",
            lambda found: f"${next(numbers)}" if found[1] == "s" else "%",
            sql,
        ).encode()
