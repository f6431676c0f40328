"""Statements: SQL that is run again and again, with other parameters each time."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count

__all__ = ["Statement"]


class Statement:
    """
    SQL with placeholders, as Django's compilers make it.

    Args:
        sql: The text; `%s` stands for a parameter and `%%` for a percent sign.
        counts: Whether it returns no rows. Its result is then one row with the number
            of rows that it has changed.
    """

    __slots__ = ("_numbered", "_qmarks", "counts", "sql")

    def __init__(self, sql: str, *, counts: bool = False) -> None:
        self.sql = sql
        self.counts = counts
        self._numbered: bytes | None = None
        self._qmarks: str | None = None

    @property
    def numbered(self) -> bytes:
        """
        With `$1`, `$2`, ... in the place of the parameters, as PostgreSQL takes it.
        """
        if self._numbered is None:
            numbers = count(1)
            self._numbered = self._with(lambda: f"${next(numbers)}").encode()
        return self._numbered

    @property
    def qmarks(self) -> str:
        """With `?` in the place of the parameters, as SQLite takes it."""
        if self._qmarks is None:
            self._qmarks = self._with(lambda: "?")
        return self._qmarks

    def _with(self, placeholder: Callable[[], str]) -> str:
        return re.sub(
            "%([s%])", lambda found: placeholder() if found[1] == "s" else "%", self.sql
        )
