"""Rows in a temporary file: the rest of a result that is too large for memory."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Callable
from typing import Any

__all__ = ["Spool"]

# Size in memory above which the rows go to a file, in bytes.
MEMORY_BYTES = 1_000_000


class Spool:
    """
    The rows of all blocks that *fetch* returns, to be read block by block.

    Args:
        fetch: Returns the next block of rows, empty at the end. The constructor calls
            it until then.

    Never switches.
    """

    def __init__(self, fetch: Callable[[], list[Any]]) -> None:
        # A file without a name: no other process can change what is unpickled, and
        # closing it deletes it.
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
        """Return the next block of rows, empty at the end. Never switches."""
        return pickle.load(self._file)

    def close(self) -> None:
        """Discard the rows that have not been read. Never switches."""
        self._file.close()
