"""A file for a body: in memory, or on the disk if it is long."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterable
from tempfile import TemporaryFile
from typing import Any, TypeVar

from django.conf import settings
from starlette.concurrency import run_in_threadpool

from vinyl.bridge.threads import can_wait, wait

__all__ = ["Spool", "SpoolReader"]

T = TypeVar("T")

# The size of the pieces in which a file is read.
CHUNK_BYTES = 64 * 2**10


class Spool:
    """
    A file that is written once and read by several readers. If it is longer than
    `FILE_UPLOAD_MAX_MEMORY_SIZE` bytes, threads move it to `FILE_UPLOAD_TEMP_DIR` and
    read it there.
    """

    def __init__(self) -> None:
        self.size = 0
        self._file: Any = io.BytesIO()
        # Readers take turns, since the file has one position.
        self._turn = asyncio.Lock()

    @property
    def in_memory(self) -> bool:
        """Whether the content is short enough to stay in memory."""
        return self.size <= settings.FILE_UPLOAD_MAX_MEMORY_SIZE

    async def append(self, piece: bytes) -> None:
        """Write *piece* at the end. Switches to the event loop."""
        self.size += len(piece)
        await self._call(self._append, piece)

    def _append(self, piece: bytes) -> None:
        if not self.in_memory and isinstance(self._file, io.BytesIO):
            on_disk = TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)
            on_disk.write(self._file.getbuffer())
            self._file = on_disk
        self._file.write(piece)

    async def read(self, position: int, length: int = CHUNK_BYTES) -> bytes:
        """
        Return the bytes from *position* on. Switches to the event loop.

        Args:
            length: At most so many bytes; -1 for all.
        """
        async with self._turn:
            return await self._call(self._read, position, length)

    def _read(self, position: int, length: int) -> bytes:
        self._file.seek(position)
        return self._file.read(length)

    def read_now(self, position: int = 0, length: int = -1) -> bytes | None:
        """
        Return the bytes from *position* on, for code that cannot wait; None if a task
        is reading the file. Never switches.

        Args:
            length: At most so many bytes; -1 for all.
        """
        return self.lend_now(lambda file: self._read(position, length))

    def lend_now(self, read: Callable[[Any], T]) -> T | None:
        """
        Return the result of *read*, which gets the file itself, for code that cannot
        wait; None if a task is reading the file. Never switches.
        """
        if self._turn.locked():
            return None
        self._file.seek(0)
        return read(self._file)

    async def lend(self, read: Callable[[Any], Awaitable[T]]) -> T:
        """
        Return the result of *read*, which gets the file itself and has it to itself.
        Switches to the event loop.
        """
        async with self._turn:
            self._file.seek(0)
            return await read(self._file)

    async def close(self, others: Iterable[Any] = ()) -> None:
        """
        Close the file, and *others* that were made from it. Switches to the event loop.
        """
        await self._call(_close, [self._file, *others])

    async def _call(self, fn: Callable[..., T], *args: Any) -> T:
        """Call *fn*, in a thread if the file is on the disk."""
        return fn(*args) if self.in_memory else await run_in_threadpool(fn, *args)


def _close(files: Iterable[Any]) -> None:
    for file in files:
        file.close()


class SpoolReader(io.RawIOBase):
    """A file that reads *spool* from its beginning, besides its other readers."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        where = self._position, len(buffer)
        piece: bytes | None
        if can_wait():
            piece = wait(self._spool.read(*where))
        elif (piece := self._spool.read_now(*where)) is None:
            raise BlockingIOError("A task of this request is reading its body.")
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)
