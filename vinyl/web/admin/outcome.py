"""What becomes of the rows of an import, and what they come to."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import Any

__all__ = ["Row", "Tally"]


@dataclass
class Row:
    """
    What becomes of one row of a table.

    Args:
        line: Its line in the file.
        kind: "add", "change", "same" or "error".
        form: The checked form; None if the row has no object.
        changes: The name of each changed field, its old value and its new one.
        errors: The name of the column, or an empty text, and what is wrong.
    """

    line: int
    kind: str
    form: Any = None
    changes: list[tuple[str, Any, Any]] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Tally:
    """
    What all rows come to, in constant memory.

    Args:
        limit: How many rows with errors, and how many with changes, are kept.
    """

    limit: int = 0
    failed: list[Row] = field(default_factory=list)
    changing: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._kinds = dict.fromkeys(("add", "change", "same", "error"), 0)
        self._digest = hashlib.sha256()

    def count(self, row: Row) -> None:
        """Take a row into account. Never switches."""
        self._kinds[row.kind] += 1
        self._digest.update(repr((row.line, row.kind, row.changes)).encode())
        kept = self.failed if row.kind == "error" else self.changing
        if row.kind != "same" and len(kept) < self.limit:
            # A form holds more than a page shows.
            kept.append(replace(row, form=None))

    @property
    def rows(self) -> int:
        """The number of rows so far."""
        return sum(self._kinds.values())

    @property
    def digest(self) -> str:
        """A digest of what the rows would do."""
        return self._digest.hexdigest()

    @property
    def counts(self) -> dict[str, int]:
        """The numbers of rows by what becomes of them, for a text."""
        names = ("added", "changed", "same", "errors")
        return dict(zip(names, self._kinds.values(), strict=True))
