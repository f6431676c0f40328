"""Turns: one connection, several tasks, one operation at a time."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import Any

from django.db import InterfaceError

from vinyl.orm.tasks import place_of

__all__ = ["Turn"]

logger = logging.getLogger("vinyl.orm")

# A wait that is worth a word in the log, in seconds.
LONG_WAIT = 30.0


class Turn:
    """
    Whose turn it is to use a shared connection. Served in order, within one loop.
    """

    __slots__ = ("closed", "holder", "taken", "waiters")

    def __init__(self, *, taken: bool) -> None:
        self.taken = taken
        self.closed = False
        # A task that keeps the turn for a block of its own, between its operations.
        self.holder: asyncio.Task[Any] | None = None
        self.waiters: deque[asyncio.Future[bool]] = deque()

    def take_nowait(self) -> bool:
        """Take the turn if it is free; tell whether it was. Never switches."""
        if self.taken or self.closed:
            return False
        self.taken = True
        return True

    async def take(self) -> bool:
        """
        Wait for the turn. True: it is the caller's, until `pass_on()`. False: the
        scope has been closed, and there is nothing to use here any more.

        Raises:
            InterfaceError: This task keeps the turn itself, and would wait for ever.

        Switches to the event loop if the turn is not free.
        """
        if self.take_nowait():
            return True
        if self.closed:
            return False
        if self.holder is not None and self.holder is asyncio.current_task():
            raise InterfaceError(
                "A query was made inside `async with cursor.copy()`, whose connection "
                "can do nothing else until the block ends. Make it before or after."
            )
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self.waiters.append(waiter)
        timer = loop.call_later(LONG_WAIT, _tell_of_wait, asyncio.current_task())
        try:
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():
                if waiter.result():
                    self.pass_on()
            elif waiter in self.waiters:
                self.waiters.remove(waiter)
            raise
        finally:
            timer.cancel()

    async def take_uncancelled(self) -> None:
        """Wait for the turn, however often the task is cancelled; then raise that."""
        cancelled = None
        while True:
            try:
                await self.take()
                break
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    def pass_on(self) -> None:
        """Give the turn to whoever waits longest. Never switches."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(True)
                return
        self.taken = False

    def close(self) -> None:
        """Send everybody who waits away. Never switches."""
        self.closed = True
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(False)


def _tell_of_wait(task: asyncio.Task[Any] | None) -> None:
    logger.warning(
        "Waiting for %g s for a turn at the connection of a block: %s. If the task "
        "that uses it is inside an atomic() of its own and awaits this one, both wait "
        "for ever: start this task inside that atomic(), or await it before.",
        LONG_WAIT,
        place_of(task),
    )
