"""Listening to channels, on one session for all listeners of an event loop."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from typing import Self

from django.db import DEFAULT_DB_ALIAS, InterfaceError, OperationalError, connections

from vinyl.bridge.greenlets import await_, in_bridge
from vinyl.bridge.mode import runs_sync
from vinyl.exceptions import NotAwaitedError
from vinyl.orm.dualmode.notifications import (
    Notifications,
    check_channels,
    check_has_notifications,
)
from vinyl.orm.live.notes import Note, NoteQueue
from vinyl.orm.live.registry import source_for
from vinyl.orm.live.shared_session import SharedSession
from vinyl.orm.live.source import note_failure

__all__ = ["Listener", "listen"]

# The pause of a blocking listener before it connects again, in seconds.
PAUSE = 1.0


def listen(
    *channels: str, using: str = DEFAULT_DB_ALIAS, limit: int = 1_000
) -> Listener:
    """
    Return the notifications that are sent to *channels*, for `async for`:

        async for note in listen("orders"):
            if note.missed:
                ...  # read from the database what may have been missed
            else:
                order = await Order.objects.get(pk=note.payload)

    All listeners of an event loop to one database share one session, which is not in
    the pool. If it is lost, it is opened again, and each listener gets a note whose
    `missed` is true for each of its channels. Leaving the loop stops listening.

    With `async with listen("orders") as notes:`, it listens from the beginning of the
    block, before the first iteration.

    Sync code writes `for`. Without an event loop, this blocks the thread, and each
    listener has a session of its own.

    Args:
        channels: Names of channels, of up to 63 bytes each.
        using: The alias of the database.
        limit: Maximum number of notes that wait to be read. When there are more, they
            are replaced with a note whose `missed` is true.

    Raises:
        ConnectionDoesNotExist: `DATABASES` does not have the alias.
        NotSupportedError: The database does not support notifications.
        TypeError: No channel was given, or one is not a string.
        ValueError: PostgreSQL does not accept the name of a channel, or *limit* is not
            a positive integer.

    Never switches.
    """
    if using not in connections.settings:
        # Django's own error.
        connections[using]
    # In the bridge, that would take a connection of the pool.
    check_has_notifications("listen()", connections.create_connection(using))
    check_channels("listen()", channels)
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise ValueError(
            f"listen() was given limit={limit!r}, which must be a positive integer: "
            f"the number of notes that may wait to be read."
        )
    return Listener(using, tuple(dict.fromkeys(channels)), limit)


class Listener:
    """
    The notes of some channels; see `listen()`. Errors are raised when it is entered or
    read.

    Args:
        alias: The alias of the database.
        channels: The names of the channels, each once.
        limit: Maximum number of notes that wait to be read.

    Raises:
        InterfaceError: It was entered twice, read outside its block, or read by two
            tasks at once.
        NotAwaitedError: It was used with `for` on the event loop.
        OperationalError: The server cannot be reached, or refuses the session.

    Entering and reading switch to the event loop; leaving never switches.
    """

    def __init__(self, alias: str, channels: tuple[str, ...], limit: int) -> None:
        self.alias = alias
        self.channels = channels
        self.limit = limit
        # Set in the block.
        self._queue: NoteQueue | None = None

    async def __aenter__(self) -> Self:
        if self._queue is not None:
            raise InterfaceError(
                f"{self!r} has already been entered, and its block has not ended. Call "
                f"listen() again for each block."
            )
        queue = self._queue = NoteQueue(self.channels, self.limit)
        try:
            await source_for(SharedSession, self.alias).add(queue)
        except BaseException:
            self._queue = None
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._leave()

    def _leave(self) -> None:
        queue, self._queue = self._queue, None
        if queue is not None:
            source_for(SharedSession, self.alias).remove(queue)

    def __aiter__(self) -> AsyncIterator[Note]:
        return self if self._queue is not None else self._notes()

    async def __anext__(self) -> Note:
        if self._queue is None:
            raise InterfaceError(
                f"{self!r} was read outside its block, where it is not listening. "
                f"Write `async for note in listen(...):`, or read it inside of `async "
                f"with listen(...) as notes:`."
            )
        return await self._queue.get()

    async def _notes(self) -> AsyncGenerator[Note, None]:
        # Each loop has a block of its own, which ends when the generator is closed.
        async with Listener(self.alias, self.channels, self.limit) as notes:
            while True:
                yield await anext(notes)

    def __iter__(self) -> Generator[Note, None, None]:
        if not runs_sync():
            raise NotAwaitedError(
                "`for` was used with listen() on the event loop, where it would block. "
                "Write `async for`."
            )
        return self._notes_in_bridge() if in_bridge() else self._notes_in_thread()

    def _notes_in_bridge(self) -> Generator[Note, None, None]:
        notes = Listener(self.alias, self.channels, self.limit)
        await_(notes.__aenter__())
        try:
            while True:
                yield await_(anext(notes))
        finally:
            notes._leave()

    def _notes_in_thread(self) -> Generator[Note, None, None]:
        """Blocks the thread, with a session of its own."""
        has_listened = False
        while True:
            try:
                with Notifications(self.alias, self.channels) as notifications:
                    if has_listened:
                        for channel in self.channels:
                            yield Note(channel, missed=True)
                    has_listened = True
                    for each in notifications:
                        yield Note(each.channel, each.payload, each.pid)
            except OperationalError as error:
                if not has_listened:
                    raise
                note_failure(self.alias, error)
                time.sleep(PAUSE)

    def __repr__(self) -> str:
        names = ", ".join(map(repr, self.channels))
        state = "not listening" if self._queue is None else "listening"
        return f"<Listener to {names} on {self.alias!r}, {state}>"
