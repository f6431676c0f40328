"""Rows in a temporary file: the rest of a result that is too large for memory."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable
from typing import Any

__all__ = ["Spool"]

# How much is kept in memory before there is a file at all, in bytes.
MEMORY_BYTES = 1_000_000


class Spool:
    """
    All rows that *fetch* gives, until it gives none, to be read a block at a time.

    Args:
        fetch: Gives the next block of rows.
    """

    def __init__(self, fetch: Callable[[], list[Any]]) -> None:
        # Nameless, so nobody else writes what is unpickled, and it goes when closed.
        self._file = tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES)
        try:
            while rows := fetch():
                pickle.dump(rows, self._file, pickle.HIGHEST_PROTOCOL)
            pickle.dump([], self._file)
        except BaseException:
            self._file.close()
            raise
        self._file.seek(0)

    def read(self) -> list[Any]:
        """The next block of rows, empty at the end. Never switches."""
        return pickle.load(self._file)

    def close(self) -> None:
        """Throw away what has not been read. Never switches."""
        self._file.close()
