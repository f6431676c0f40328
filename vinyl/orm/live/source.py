"""
Sources of notes: one task of an event loop that serves all its subscribers.

The task runs while there are subscribers. If what it listens on is lost, such as a
session, it tries again, at increasing intervals, and tells the subscribers that notes
may be lost.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterable
from contextvars import Context

from django.db import DatabaseError, InterfaceError

from vinyl.orm.live.notes import Subscriber

__all__ = ["Source", "note_failure"]

logger = logging.getLogger("vinyl.live")

# The pause after a failure: the first, and the longest that doubling leads to, in
# seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0


def note_failure(alias: str, error: Exception) -> None:
    """
    Log that a source has failed with *error* and will try again. Never switches.

    Args:
        alias: The alias of the database.
    """
    # Any other error is a bug, which the traceback locates.
    is_bug = not isinstance(error, DatabaseError | InterfaceError | OSError)
    logger.warning(
        "Listening on database %r has failed: %s", alias, error, exc_info=is_bug
    )


class Source:
    """
    Serves the subscribers of one event loop to one database. Subclasses listen.

    Args:
        alias: The alias of the database.
    """

    def __init__(self, alias: str) -> None:
        self.alias = alias
        # By channel; dictionaries, because they keep the order.
        self.subscribers: dict[str, dict[Subscriber, None]] = {}
        # The channels whose notes arrive; empty while nothing does.
        self.channels: set[str] = set()
        # Whether notes have arrived since `_listen()` was called.
        self._has_served = False
        # The subscribers that receive everything, and those that wait for that.
        self._served: dict[Subscriber, None] = {}
        self._waiting: dict[Subscriber, asyncio.Future[None]] = {}
        # Done when the subscribers have changed.
        self._changed: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    async def add(self, subscriber: Subscriber) -> None:
        """
        Pass the notes of `subscriber.channels` to *subscriber*, from when this returns
        until `remove()`.

        Raises:
            OperationalError: The database cannot be reached, or refuses the session.

        Switches to the event loop.
        """
        for channel in subscriber.channels:
            self.subscribers.setdefault(channel, {})[subscriber] = None
        if self.channels.issuperset(subscriber.channels):
            self._served[subscriber] = None
            return
        loop = asyncio.get_running_loop()
        served = self._waiting[subscriber] = loop.create_future()
        self._note_change()
        if self._task is None:
            # In an empty context, and so in no transaction.
            name = f"vinyl-live-{self.alias}"
            serve = self._serve()
            self._task = loop.create_task(serve, name=name, context=Context())
        try:
            await served
        except BaseException:
            self.remove(subscriber)
            raise

    def remove(self, subscriber: Subscriber) -> None:
        """
        Pass nothing more to *subscriber*; more than once does no harm. Never switches.
        """
        for channel in subscriber.channels:
            if (those := self.subscribers.get(channel)) is not None:
                those.pop(subscriber, None)
                if not those:
                    del self.subscribers[channel]
                    self._note_change()
        self._served.pop(subscriber, None)
        self._waiting.pop(subscriber, None)

    def close(self) -> None:
        """Close the connection, without the event loop. Never switches."""
        raise NotImplementedError

    async def _listen(self) -> None:
        """Serve until there are no subscribers, or raise an error."""
        raise NotImplementedError

    def _serve_from_here(self, channels: Iterable[str]) -> None:
        """Note that the notes of *channels* arrive, after none did."""
        self.channels = set(channels)
        self._has_served = True
        # Not before: a subscriber reads from the database what it has missed, which
        # is complete only if it receives whatever is committed from here on.
        for subscriber in self._served:
            subscriber.put_missed()
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        """Tell subscribers whose notes all arrive."""
        for subscriber, served in list(self._waiting.items()):
            if self.channels.issuperset(subscriber.channels):
                del self._waiting[subscriber]
                self._served[subscriber] = None
                if not served.done():
                    served.set_result(None)

    async def _wait_for_change(
        self, seconds: float, receiving: asyncio.Future[None] | None = None
    ) -> bool:
        """Whether the subscribers change, or *receiving* ends, within *seconds*."""
        self._changed = asyncio.get_running_loop().create_future()
        waits = {self._changed} if receiving is None else {self._changed, receiving}
        first = asyncio.FIRST_COMPLETED
        done, _ = await asyncio.wait(waits, timeout=seconds, return_when=first)
        return bool(done)

    def _note_change(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def _serve(self) -> None:
        pause = FIRST_PAUSE
        try:
            while self.subscribers:
                self._has_served = False
                try:
                    await self._listen()
                except Exception as error:
                    self.channels = set()
                    if self._has_served:
                        # New subscribers wait for the next attempt: that something is
                        # lost does not mean that the database cannot be reached.
                        pause = FIRST_PAUSE
                    else:
                        self._refuse_waiting(error)
                    note_failure(self.alias, error)
                    await self._rest(pause * random.uniform(0.5, 1))
                    pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            # These refer to the loop, which could not be garbage collected.
            self._task = self._changed = None
            self.channels = set()
            if self.subscribers:
                self._end()

    async def _rest(self, seconds: float) -> None:
        """Wait for *seconds*, or until there is a new subscriber, or none."""
        time = asyncio.get_running_loop().time
        until = time() + seconds
        while self.subscribers and not self._waiting and (left := until - time()) > 0:
            await self._wait_for_change(left)

    def _refuse_waiting(self, error: Exception) -> None:
        for served in self._waiting.values():
            if not served.done():
                served.set_exception(error)
        self._waiting.clear()

    def _end(self) -> None:
        """The task was cancelled, as at the end of the event loop."""
        error = InterfaceError(
            f"The task {f'vinyl-live-{self.alias}'!r} was cancelled, so no more "
            f"notifications arrive. Do not cancel it while something listens."
        )
        self._refuse_waiting(error)
        for subscriber in self._served:
            subscriber.fail(error)
        self._served.clear()
        self.subscribers.clear()
