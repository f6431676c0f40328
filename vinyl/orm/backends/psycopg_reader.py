"""
Waiting for a connection's socket on the event loop, at the least cost.

psycopg registers the socket with the event loop for each wait and takes it out again,
which are two system calls, and sets a timer. `Reader` leaves it registered between the
operations of a pooled connection, and runs psycopg's generator where the event loop
reports input, so that the task resumes once for each operation.
"""

from __future__ import annotations

import asyncio
import select
from contextvars import Context
from typing import Any

from psycopg.pq import ConnStatus
from psycopg.pq.abc import PGconn
from psycopg.waiting import Ready, Wait

__all__ = ["INPUT", "Reader"]

_get_running_loop = asyncio.get_running_loop
# As plain numbers, which psycopg's generators give and take faster.
INPUT, HAS_INPUT, OK = int(Wait.R), int(Ready.R), int(ConnStatus.OK)
# How often a wait on uvloop looks at the socket itself, in seconds; psycopg's interval.
LOOK_INTERVAL = 0.1


class Reader:
    """
    Runs psycopg's generators as input arrives on one connection.

    Args:
        pgconn: The connection.
    """

    __slots__ = (
        "_fd",
        "_future",
        "_gen",
        "_loop",
        "_looks",
        "_pgconn",
        "_timer",
        "is_kept",
    )

    def __init__(self, pgconn: PGconn) -> None:
        self._pgconn = pgconn
        # Whether the socket stays registered between operations: only one event loop
        # uses the connection, until it is closed.
        self.is_kept = False
        # Where the socket is registered, and its number; None if it is not.
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fd = -1
        self._gen: Any = None
        self._future: asyncio.Future[tuple[Any] | None] | None = None
        # Whether it has to look at the socket from time to time: uvloop stops watching
        # a socket that the server has reset, and reports nothing.
        self._looks = False
        self._timer: asyncio.TimerHandle | None = None

    def drive(self, gen: Any) -> asyncio.Future[tuple[Any] | None]:
        """
        Run *gen*, which has begun and waits for input.

        Returns:
            A future with the result in a tuple; or with None if *gen* now waits for
            something other than input, and the caller has to drive it further.

        Never switches.
        """
        loop = self._loop
        if loop is None or not self.is_kept:
            loop = _get_running_loop()
            if self._loop is not loop:
                self._register(loop)
        if self._looks and self._timer is None:
            # One timer for all operations meanwhile.
            self._timer = loop.call_later(LOOK_INTERVAL, self._look, loop)
        self._gen = gen
        future = self._future = asyncio.Future(loop=loop)
        return future

    def _register(self, loop: asyncio.AbstractEventLoop) -> None:
        self.stop()
        self._fd = self._pgconn.socket
        # In a context of its own, because it outlives that of the running task.
        Context().run(loop.add_reader, self._fd, self.read)
        self._loop = loop
        # asyncio's own event loops report it. They have a queue of this name.
        self._looks = not hasattr(loop, "_ready") and hasattr(select, "poll")

    def read(self) -> None:
        """
        Resume the generator: there is input, or the connection is closed. Never
        switches.
        """
        gen, future = self._gen, self._future
        if future is None:
            # Nobody waits: the server has closed the session, or a thread uses it.
            self.stop()
            return
        if future.done():
            # Cancelled: its task reads the reply when it resumes, in this turn.
            return
        try:
            if gen.send(HAS_INPUT) == INPUT:
                return
            result = None
        except StopIteration as ended:
            result = (ended.value,)
        except Exception as error:
            self._end()
            future.set_exception(error)
            return
        self._end()
        future.set_result(result)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Resume the generator if the socket has input that was not reported."""
        self._timer = None
        if self._future is None or self._loop is not loop:
            return
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        if poll.poll(0):
            self.read()
        if self._future is not None and self._loop is loop:
            self._timer = loop.call_later(LOOK_INTERVAL, self._look, loop)

    def _end(self) -> None:
        self._gen = self._future = None
        # As `stop_if_lost()` if it is kept.
        if not self.is_kept or self._pgconn.status != OK:
            self.stop()

    def stop_if_lost(self) -> None:
        """
        Take the socket out of the event loop if the connection is lost. libpq closes
        it then, and a new socket of the same number would never be reported. Never
        switches.
        """
        if self._pgconn.status != OK:
            self.stop()

    def release(self) -> None:
        """Stop driving the generator; the caller continues with it. Never switches."""
        self._gen = self._future = None

    def stop(self) -> None:
        """
        Take the socket out of the event loop, before somebody else waits for it or it
        is closed. To be called in the thread of the event loop. Never switches.
        """
        if self._loop is not None:
            self._loop.remove_reader(self._fd)
            self._loop = None
