"""A file for a body: in memory, or on the disk once it is long."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterable
from tempfile import TemporaryFile
from typing import Any, TypeVar

from django.conf import settings
from starlette.concurrency import run_in_threadpool

__all__ = ["Spool"]

T = TypeVar("T")

# How much is read at a time.
CHUNK_BYTES = 64 * 2**10


class Spool:
    """
    A file that is written once and read by several. More than
    `FILE_UPLOAD_MAX_MEMORY_SIZE` bytes are put into `FILE_UPLOAD_TEMP_DIR`, by threads.
    """

    def __init__(self) -> None:
        self.size = 0
        self._file: Any = io.BytesIO()
        # Readers take turns, since the file has one position.
        self._turn = asyncio.Lock()

    @property
    def in_memory(self) -> bool:
        return self.size <= settings.FILE_UPLOAD_MAX_MEMORY_SIZE

    async def append(self, piece: bytes) -> None:
        self.size += len(piece)
        await self._hopping(self._append, piece)

    def _append(self, piece: bytes) -> None:
        if not self.in_memory and isinstance(self._file, io.BytesIO):
            on_disk = TemporaryFile(dir=settings.FILE_UPLOAD_TEMP_DIR)
            on_disk.write(self._file.getbuffer())
            self._file = on_disk
        self._file.write(piece)

    async def read(self, position: int, length: int = CHUNK_BYTES) -> bytes:
        """*length* bytes from *position* on, or up to the end; with -1, all of them."""
        async with self._turn:
            return await self._hopping(self._read, position, length)

    def _read(self, position: int, length: int) -> bytes:
        self._file.seek(position)
        return self._file.read(length)

    def read_now(self) -> bytes | None:
        """All of it, if it is in memory and nobody is reading. Never switches."""
        if not self.in_memory or self._turn.locked():
            return None
        return self._read(0, -1)

    async def lend(self, read: Callable[[Any], Awaitable[T]]) -> T:
        """What *read* gives for the file itself. Switches to the event loop."""
        async with self._turn:
            self._file.seek(0)
            return await read(self._file)

    async def close(self, others: Iterable[Any] = ()) -> None:
        """Close it, and other files that were made of it."""
        await self._hopping(_close, [self._file, *others])

    async def _hopping(self, fn: Callable[..., T], *args: Any) -> T:
        """`fn(*args)`, in a thread if it uses the disk."""
        return fn(*args) if self.in_memory else await run_in_threadpool(fn, *args)


def _close(files: Iterable[Any]) -> None:
    for file in files:
        file.close()
