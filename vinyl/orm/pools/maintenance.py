"""Upkeep of a pool: what expires at rest is closed, and `min_size` is kept up."""

from __future__ import annotations

import asyncio
import logging
import random
import weakref
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING

from django.db import DatabaseError, InterfaceError

from vinyl.bridge.greenlets import run

if TYPE_CHECKING:
    from vinyl.orm.pools.pool import Pool

__all__ = ["Upkeep"]

logger = logging.getLogger("vinyl.pool")

# The pause after an attempt to open connections that failed: the first, and the longest
# that doubling leads to, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0


class Upkeep:
    """
    Tends *pool* now and then, by a timer of the running event loop, while it exists.

    Args:
        pool: Kept by a weak reference: a forgotten pool is garbage.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = weakref.ref(pool)
        shortest = min(pool.options.max_idle, pool.options.max_lifetime)
        self.pause = min(max(shortest / 10, 0.05), 10.0)
        # Opens what `min_size` lacks; and whether it has tried once.
        self.refilling: asyncio.Task[None] | None = None
        self.tried = asyncio.Event()
        self.timer: asyncio.TimerHandle | None = None
        self.tend()

    def tend(self) -> None:
        """Close what has expired, open what is lacking, and again later."""
        if (pool := self.pool()) is None or pool.closed:
            return
        loop = asyncio.get_running_loop()
        # In contexts of their own: in nobody's transaction.
        self.timer = loop.call_later(self.pause, self.tend, context=Context())
        pool.drop_expired()
        if pool.lacks() > 0 and self.refilling is None:
            name = f"vinyl-pool-{pool.alias}"
            refill = self._refill(pool)
            self.refilling = loop.create_task(refill, name=name, context=Context())

    async def _refill(self, pool: Pool) -> None:
        pause = FIRST_PAUSE
        try:
            while not pool.closed and not await self._fill(pool):
                await asyncio.sleep(pause * random.uniform(0.5, 1))
                pause = min(pause * 2, LONGEST_PAUSE)
        finally:
            self.refilling = None

    async def _fill(self, pool: Pool) -> bool:
        """Open what is lacking; tell whether that worked."""
        try:
            for _ in range(pool.lacks()):
                if pool.lacks() <= 0:
                    # Others have opened some meanwhile.
                    break
                wrapper = pool.add()
                try:
                    await run(wrapper.use, wrapper.ensure_connection)
                finally:
                    pool.give_back(wrapper)
        except Exception as error:
            # Anything but an error of the database is a mistake, with a place.
            mistake = not isinstance(error, DatabaseError | InterfaceError)
            logger.warning(
                "No connection to database %r: %s",
                pool.alias,
                error,
                exc_info=mistake,
            )
            return False
        finally:
            self.tried.set()
        return True

    async def warmed_up(self) -> None:
        """
        Wait until `min_size` connections are open, or could not be opened; but no
        longer than a task waits for a connection.

        Switches to the event loop.
        """
        if self.refilling is not None and (pool := self.pool()) is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(pool.options.timeout):
                    await self.tried.wait()

    def stop(self) -> None:
        """End it, with what it is doing. Never switches."""
        if self.timer is not None:
            self.timer.cancel()
            # It refers to the loop, which may be the garbage of tomorrow.
            self.timer = None
        if self.refilling is not None:
            self.refilling.cancel()
        self.tried.set()
