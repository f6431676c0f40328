"""What a listener receives, and the queue in which it waits for its reader."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from django.db import InterfaceError

__all__ = ["Note", "NoteQueue", "Subscriber"]

logger = logging.getLogger("vinyl.live")


@dataclass(frozen=True, slots=True)
class Note:
    """
    A notification.

    Args:
        channel: The channel that it was sent to.
        payload: Its text; empty if there is none.
        pid: The process ID of the session that sent it; 0 if *missed* is true.
        missed: Whether this note stands for notifications of the channel that may have
            been lost: those sent while the session was away, or those that the listener
            did not read in time. Everything committed before this note was received is
            visible to a query, so read from the database what was missed.
    """

    channel: str
    payload: str = ""
    pid: int = 0
    missed: bool = False


class Subscriber(Protocol):
    """Something that a shared session or a poller passes notes to."""

    @property
    def channels(self) -> Sequence[str]:
        """The names of the channels. Never switches."""

    def put(self, note: Note) -> None:
        """Take *note*, which was sent to one of the channels. Never switches."""

    def put_missed(self) -> None:
        """Take the news that notes of all channels may be lost. Never switches."""

    def fail(self, error: Exception) -> None:
        """Take *error*: nothing follows it. Never switches."""


class NoteQueue:
    """
    The notes that one reader has not read yet.

    Args:
        channels: The channels of the notes.
        limit: Maximum number of notes. When it is exceeded, they are replaced with one
            note for each channel whose `missed` is true.
    """

    def __init__(self, channels: tuple[str, ...], limit: int) -> None:
        self.channels = channels
        self.limit = limit
        self._notes: deque[Note] = deque()
        # Set while the reader waits.
        self._reader: asyncio.Future[None] | None = None
        self._error: Exception | None = None

    def put(self, note: Note) -> None:
        """Add *note*. Never switches."""
        if len(self._notes) >= self.limit:
            logger.warning(
                "A listener to %s has not read %d notifications, its limit. They are "
                "replaced with a note whose `missed` is true.",
                ", ".join(map(repr, self.channels)),
                len(self._notes),
            )
            self.put_missed()
            return
        self._notes.append(note)
        self._wake()

    def put_missed(self) -> None:
        """Replace the notes with one that says so, for each channel. Never switches."""
        self._notes.clear()
        self._notes.extend(Note(channel, missed=True) for channel in self.channels)
        self._wake()

    def fail(self, error: Exception) -> None:
        """Raise *error* in the reader, after the notes. Never switches."""
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> Note:
        """
        Return the next note. A cancelled wait loses none.

        Raises:
            InterfaceError: Another task is already waiting.

        Switches to the event loop.
        """
        while not self._notes:
            if self._error is not None:
                raise self._error
            if self._reader is not None:
                raise InterfaceError(
                    "A listener was read by two tasks at once, but each note can be "
                    "received only once. Call listen() in each task; they share one "
                    "session."
                )
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._notes.popleft()
