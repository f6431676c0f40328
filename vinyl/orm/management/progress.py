"""A line on the terminal that says how far a management command has come."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

__all__ = ["Progress"]

# Seconds between two updates.
_INTERVAL = 0.1
_WIDTH = 30


class Progress:
    """
    Progress of a long command: a bar if the total is known, or else a count. Nothing
    is written where there is no terminal, or with `--verbosity 0`.

        with Progress(self.stdout, "Loading albums", 500, **options) as progress:
            for album in albums:
                album.save()
                progress.advance()

    Args:
        output: The command's `stdout` or `stderr`.
        title: What is being done.
        total: How many steps there are; None if that is not known.
        verbosity: The option of the command. The other options are ignored.
    """

    def __init__(
        self,
        output: Any,
        title: str,
        total: int | None = None,
        *,
        verbosity: int = 1,
        **options: Any,
    ) -> None:
        self.output = output if verbosity > 0 and output.isatty() else None
        self.title = title
        self.total = total
        self.done = 0
        self._next = 0.0
        self._width = 0

    def advance(self, steps: int = 1) -> None:
        """Add *steps* to those that are done. Never switches."""
        self.done += steps
        if self.output is not None and time.monotonic() >= self._next:
            self._show(self._line())
            self._next = time.monotonic() + _INTERVAL

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What the command prints next has the line for itself.
        if self._width:
            self._show("")

    def _line(self) -> str:
        if not self.total:
            return f"{self.title}: {self.done:,}"
        share = min(self.done / self.total, 1)
        bar = "#" * int(share * _WIDTH)
        return (
            f"{self.title}: [{bar:<{_WIDTH}}] {share:.0%}, "
            f"{self.done:,} of {self.total:,}"
        )

    def _show(self, line: str) -> None:
        assert self.output is not None
        ending = "" if line else "\r"
        self.output.write(f"\r{line:<{self._width}}", ending=ending)
        self.output.flush()
        self._width = len(line)
