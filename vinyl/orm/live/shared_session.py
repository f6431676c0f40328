"""One session of PostgreSQL that listens for all subscribers of an event loop."""

from __future__ import annotations

import asyncio
from typing import Any

from django.db import OperationalError

from vinyl.bridge.greenlets import run
from vinyl.orm.dualmode.notifications import Notifications
from vinyl.orm.live.notes import Note
from vinyl.orm.live.source import Source

__all__ = ["SharedSession"]

# How often a session is checked with a query, and how long the server may take to
# answer, in seconds. A network may drop a connection without telling either side.
CHECK_INTERVAL, ANSWER_TIMEOUT = 30.0, 10.0


class SharedSession(Source):
    """See the module. It is in no pool."""

    _session: Notifications | None = None

    def close(self) -> None:
        if self._session is not None and self._session.wrapper is not None:
            self._session.wrapper.stop_receiving()
            self._session.wrapper.discard()

    def _pass_on(self, notification: Any) -> None:
        """Called with each notification as it arrives."""
        channel = notification.channel
        note = Note(channel, notification.payload, notification.pid)
        for subscriber in self.subscribers.get(channel, ()):
            subscriber.put(note)

    async def _listen(self) -> None:
        channels = tuple(self.subscribers)
        self._session = Notifications(self.alias, channels, handle=self._pass_on)
        async with self._session as session:
            self._serve_from_here(channels)
            while self.subscribers:
                if self.subscribers.keys() == self.channels:
                    await self._receive(session.wrapper)
                else:
                    await self._change_channels(session.wrapper)

    async def _receive(self, wrapper: Any) -> None:
        """Receive until the subscribers change, or for CHECK_INTERVAL."""
        receiving = wrapper.receive()
        try:
            is_early = await self._wait_for_change(CHECK_INTERVAL, receiving)
        finally:
            wrapper.stop_receiving()
        if receiving.done():
            with wrapper.wrap_database_errors:
                receiving.result()
        if not is_early:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                if not await run(wrapper.is_usable):
                    raise OperationalError(
                        f"The session that listens on database {self.alias!r} has not "
                        f"answered."
                    )

    async def _change_channels(self, wrapper: Any) -> None:
        """Listen to what the subscribers want."""
        unwanted = self.channels - self.subscribers.keys()
        # Before UNLISTEN is sent, so that a new subscriber waits for another LISTEN.
        self.channels -= unwanted
        missing = self.subscribers.keys() - self.channels
        async with asyncio.timeout(ANSWER_TIMEOUT):
            await run(wrapper.change_channels, sorted(missing), sorted(unwanted))
        self.channels |= missing
        self._tell_waiting()
