"""The lock on a connection that tasks share: one operation at a time, in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db import InterfaceError

from vinyl.bridge.tasks import place_of
from vinyl.orm.backends.pipelines import Read
from vinyl.orm.pools.wait_queue import WaitQueue

__all__ = ["ConnectionLock"]

logger = logging.getLogger("vinyl.orm")

# Log a warning after waiting this long, in seconds.
LONG_WAIT = 30.0


class ConnectionLock(WaitQueue[Any]):
    """
    The lock on a connection that several tasks of one event loop share. It is acquired
    in the order in which tasks ask for it.

    Once it is closed nobody can acquire it: neither a waiting task, nor one that has
    been given the lock and has not resumed yet.

    Args:
        locked: Whether it is acquired from the start.
    """

    __slots__ = ("holder", "locked")

    def __init__(self, *, locked: bool) -> None:
        super().__init__()
        self.locked = locked
        # A task that keeps the lock between the operations of a block of its own.
        self.holder: asyncio.Task[Any] | None = None

    def acquire_nowait(self) -> bool:
        """
        Acquire the lock if it is free.

        Returns:
            Whether it was free.

        Never switches.
        """
        if self.locked or self.closed:
            return False
        self.locked = True
        return True

    async def acquire(self) -> bool:
        """
        Wait for the lock.

        Returns:
            True if the caller has it, until `release()`. False if the lock has been
            closed, or the connection is now held by a scope further inside: the caller
            has to find the lock to acquire again.

        Raises:
            InterfaceError: This task itself keeps the lock, and would wait for ever.

        Switches to the event loop if the lock is not free.
        """
        if self.acquire_nowait():
            return True
        task = self._waiting_task()
        warn = partial(_warn_of_wait, task)
        return await self.wait(self.release, LONG_WAIT, warn) is not None

    def _waiting_task(self) -> asyncio.Task[Any] | None:
        task = asyncio.current_task()
        if self.holder is not None and self.holder is task:
            raise InterfaceError(
                "A query was made inside `async with cursor.copy()`, whose connection "
                "can do nothing else until the block ends. Make the query before or "
                "after the block."
            )
        return task

    async def acquire_for(self, read: Read) -> Any:
        """
        Wait for the lock, or for the rows of *read* from a pipeline that another task,
        which has the lock, takes it into.

        Returns, raises: as `wait_for()`.

        Raises:
            InterfaceError: as `acquire()`.

        Switches to the event loop.
        """
        self._waiting_task()
        self.enqueue(read)
        return await self.wait_for(read)

    async def wait_for(self, read: Read) -> Any:
        """
        Wait for the result of *read*, which is in the queue or in a pipeline.

        Returns:
            The rows; True if the caller has the lock, until `release()`; None if
            `acquire()` would return False.

        Raises:
            psycopg.Error: The read has failed in a pipeline.

        Switches to the event loop.
        """
        task = asyncio.current_task()

        def warn() -> None:
            if read.pipeline is None:
                _warn_of_wait(task)

        try:
            given = await self.wait(self._release_if_given, LONG_WAIT, warn, read)
        except BaseException as error:
            if read.pipeline is not None:
                await read.pipeline.leave(read, error)
            raise
        result = read.result()
        # Closing the lock takes back the lock, but not rows.
        return given if result is True else result

    def _release_if_given(self, given: Any) -> None:
        if given is True:
            self.release()

    def take_reads(self) -> list[Read]:
        """
        Take the reads at the head of the queue, up to the first task that needs the
        lock. The caller, who has the lock, passes them to a pipeline. Never switches.
        """
        reads: list[Any] = self.take(lambda waiter: isinstance(waiter, Read))
        return reads

    def runs_again(self, error: Exception) -> bool:
        # Code in the block may rely on the session that is lost.
        return False

    def put_back(self, reads: Sequence[Read]) -> None:
        """Release the lock, with *reads* at the head of the queue. Never switches."""
        self.waiters.extendleft(reversed(reads))
        if self.closed:
            self.send_away()
        self.release()

    async def acquire_despite_cancellation(self) -> bool:
        """
        Wait for the lock as `acquire()` does, even if the task is cancelled meanwhile.

        Raises:
            CancelledError: The task was cancelled. If the lock is not closed, the
                caller has it all the same.

        Switches to the event loop if the lock is not free.
        """
        cancelled = None
        while True:
            try:
                acquired = await self.acquire()
                break
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        return acquired

    def release(self, _: bool = True) -> None:
        """Pass the lock to the task that has waited longest. Never switches."""
        self.locked = self.serve(_grant)


def _grant() -> bool:
    return True


def _warn_of_wait(task: asyncio.Task[Any] | None) -> None:
    logger.warning(
        "Still waiting after %g s for the connection of a block: %s. If the task "
        "that uses it is inside an atomic() of its own and awaits this one, both wait "
        "for ever: start this task inside that atomic(), or await it before.",
        LONG_WAIT,
        place_of(task),
    )
