"""
Maintenance of a pool: connections that expire while idle are closed, and those that
`min_size` asks for are opened.
"""

from __future__ import annotations

import asyncio
import logging
import random
import weakref
from contextlib import suppress
from contextvars import Context

from django.db import DatabaseError, InterfaceError

from vinyl.bridge.greenlets import run
from vinyl.orm.pools.pool import Pool

__all__ = ["Maintenance"]

logger = logging.getLogger("vinyl.pool")

# The pause after an attempt to open connections that failed: the first, and the longest
# that doubling leads to, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0


class Maintenance:
    """
    Maintains *pool* on the running event loop, by a timer, until it is stopped or the
    pool is garbage collected.

    Args:
        pool: Referenced weakly, so that this does not keep a forgotten pool alive.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = weakref.ref(pool)
        shortest = min(pool.options.max_idle, pool.options.max_lifetime)
        # The interval between two rounds, in seconds.
        self.interval = min(max(shortest / 10, 0.05), 10.0)
        # Opens the connections that `min_size` lacks, and whether it has tried once.
        self.refilling: asyncio.Task[None] | None = None
        self.tried = asyncio.Event()
        self.timer: asyncio.TimerHandle | None = None
        self._work()

    def _work(self) -> None:
        """Close expired connections, open missing ones, and schedule the next round."""
        if (pool := self.pool()) is None or pool.closed:
            return
        loop = asyncio.get_running_loop()
        # In empty contexts, and so in no transaction.
        self.timer = loop.call_later(self.interval, self._work, context=Context())
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
        """Open the missing connections; return whether that worked."""
        try:
            for _ in range(pool.lacks()):
                if pool.lacks() <= 0:
                    # Tasks have opened some meanwhile.
                    break
                wrapper = pool.add()
                try:
                    await run(wrapper.use, wrapper.ensure_connection)
                finally:
                    pool.release(wrapper)
        except Exception as error:
            # Any error but the database's is a bug, which the traceback locates.
            is_bug = not isinstance(error, DatabaseError | InterfaceError)
            logger.warning(
                "No connection to database %r: %s",
                pool.alias,
                error,
                exc_info=is_bug,
            )
            return False
        finally:
            self.tried.set()
        return True

    async def warmed_up(self) -> None:
        """
        Wait until `min_size` connections are open, or the first attempt to open them
        has failed; but not longer than the pool's `timeout`.

        Switches to the event loop.
        """
        if self.refilling is not None and (pool := self.pool()) is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(pool.options.timeout):
                    await self.tried.wait()

    def stop(self) -> None:
        """Cancel the timer and what is being opened. Never switches."""
        if self.timer is not None:
            self.timer.cancel()
            # It refers to the loop, which could not be garbage collected.
            self.timer = None
        if self.refilling is not None:
            self.refilling.cancel()
        self.tried.set()
