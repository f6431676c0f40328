"""
psycopg's operations after their task was cancelled: cancelled in the server, too.

On the event loop and in a thread alike, the connection is either idle afterwards, with
the server's reply read, or closed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGconn
from psycopg.waiting import wait_async

__all__ = ["WAIT_INTERVAL", "LoopOperation", "ThreadOperation", "looking", "resumed"]

# How long the server may take to answer that a query is cancelled, in seconds.
CANCEL_TIMEOUT = 5.0
# The server ignores a request that comes before it has begun with the query. How long
# to wait for its reaction before the next request, in seconds.
CANCEL_INTERVAL = 0.5
# How often a wait looks whether the socket is still open, in seconds; psycopg's own.
WAIT_INTERVAL = 0.1


class _Operation:
    """
    An operation that is to be cancelled in the server.

    Args:
        pgconn: The connection that it runs on.
    """

    def __init__(self, pgconn: PGconn) -> None:
        self.pgconn = pgconn
        # When to give the connection up, in time.monotonic().
        self.deadline = time.monotonic() + CANCEL_TIMEOUT

    def is_active(self) -> bool:
        """Whether the server owes a reply. Never switches."""
        return self.pgconn.transaction_status == TransactionStatus.ACTIVE

    def time_left(self) -> float:
        """How long the server may still take, in seconds. Never switches."""
        return max(self.deadline - time.monotonic(), 0.0)

    def close_if_active(self) -> None:
        """Close a connection whose reply cannot be read. Never switches."""
        if self.is_active():
            self.pgconn.finish()


class LoopOperation(_Operation):
    """
    An operation on the event loop. An `Operation` for `settle()`.

    Args:
        connection: The connection that it runs on.
        gen: psycopg's generator for it, which has begun.
    """

    def __init__(self, connection: psycopg.AsyncConnection[Any], gen: Any) -> None:
        super().__init__(connection.pgconn)
        self.connection = connection
        # Reads the reply, if there is to be one, while requests are sent.
        self.reading: asyncio.Task[Any] | None = None
        if self.is_active():
            waiting = wait_async(resumed(gen), self.pgconn.socket, WAIT_INTERVAL)
            self.reading = asyncio.ensure_future(waiting)
            # A connection that is lost on the way is given up, whatever the reply.
            self.reading.add_done_callback(_retrieve)

    def ended(self) -> bool:
        return self.reading is None or self.reading.done()

    async def interrupt(self) -> None:
        # psycopg takes 0 for no timeout.
        left = self.time_left() or WAIT_INTERVAL
        try:
            # libpq before version 17 ignores cancel_safe()'s timeout.
            async with asyncio.timeout(left):
                await self.connection.cancel_safe(timeout=left)
        except BaseException as error:
            await self._give_up()
            if not isinstance(error, psycopg.Error | TimeoutError):
                raise

    async def wait(self) -> None:
        if self.reading is not None:
            timeout = min(CANCEL_INTERVAL, self.time_left())
            await asyncio.wait([self.reading], timeout=timeout)
        if not self.ended() and not self.time_left():
            await self._give_up()

    async def _give_up(self) -> None:
        """Close the connection: a request under way could hit the next query."""
        while self.reading is not None and not self.reading.done():
            self.reading.cancel()
            await asyncio.wait([self.reading], timeout=WAIT_INTERVAL)
        self.reading = None
        self.pgconn.finish()

    def outcome(self) -> tuple[Any] | None:
        self.close_if_active()
        reading = self.reading
        if reading is None or reading.cancelled():
            return None
        match reading.exception():
            case None:
                return (reading.result(),)
            case psycopg.Error():
                return None
            case error:
                raise error


class ThreadOperation(_Operation):
    """
    An operation in a thread that an event loop waits for. An `Operation` for
    `settle_in_thread()`.

    Args:
        connection: The connection that it runs on.
        gen: psycopg's generator for it, which has begun.
        drive: psycopg's own `Connection.wait`, to drive the generator with.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        gen: Any,
        drive: Callable[[Any], Any],
    ) -> None:
        super().__init__(connection.pgconn)
        self.connection = connection
        self.gen = gen
        self.drive = drive
        self.result: tuple[Any] | None = None
        self.has_ended = not self.is_active()

    def ended(self) -> bool:
        return self.has_ended

    def interrupt(self) -> None:
        try:
            # psycopg takes 0 for no timeout.
            self.connection.cancel_safe(timeout=self.time_left() or WAIT_INTERVAL)
        except BaseException as error:
            self._give_up()
            if not isinstance(error, psycopg.Error):
                raise

    def wait(self) -> None:
        until = time.monotonic() + min(CANCEL_INTERVAL, self.time_left())
        if self.has_ended:
            return
        try:
            gen = looking(resumed(self.gen), partial(_end_at, until))
            self.result = (self.drive(gen),)
            self.has_ended = True
        except psycopg.Error:
            self.has_ended = True
        except TimeoutError:
            if not self.time_left():
                self._give_up()
        except BaseException:
            self._give_up()
            raise

    def _give_up(self) -> None:
        """Close the connection: a request under way could hit the next query."""
        self.has_ended = True
        self.pgconn.finish()

    def outcome(self) -> tuple[Any] | None:
        self.close_if_active()
        return self.result


def looking(gen: Any, look: Callable[[], None]) -> Generator[Any, Any, Any]:
    """
    *gen*, one of psycopg's generators, with *look* called after each of its waits,
    which last WAIT_INTERVAL at most. *look* may raise, and *gen* may be driven on.
    """
    try:
        ready = yield next(gen)
        while True:
            look()
            ready = yield gen.send(ready)
    except StopIteration as stop:
        return stop.value


def resumed(gen: Any) -> Generator[Any, Any, Any]:
    """
    *gen*, one of psycopg's generators that has begun, as one that has not, for code
    that begins it with `next()`: one that waits for room to send takes only numbers.
    """
    ready = 0
    try:
        while True:
            ready = yield gen.send(ready)
    except StopIteration as stop:
        return stop.value


def _retrieve(reading: asyncio.Task[Any]) -> None:
    """Have asyncio know that the error of *reading* has been seen."""
    if not reading.cancelled():
        reading.exception()


def _end_at(until: float) -> None:
    if time.monotonic() >= until:
        raise TimeoutError
