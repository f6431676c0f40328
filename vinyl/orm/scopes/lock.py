"""Turns: one connection, several tasks, one operation at a time."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Any

from django.db import InterfaceError

from vinyl.bridge.tasks import place_of
from vinyl.orm.pools.wait_queue import WaitQueue

__all__ = ["Turn"]

logger = logging.getLogger("vinyl.orm")

# Log a warning after waiting this long, in seconds.
LONG_WAIT = 30.0


class Turn(WaitQueue[bool]):
    """
    The turn to use a connection that several tasks of an event loop share.

    Once it is closed nobody has it: neither those who wait, nor a task that has been
    given it and has not gone on yet.

    Args:
        taken: Whether somebody has the turn already.
    """

    __slots__ = ("holder", "taken")

    def __init__(self, *, taken: bool) -> None:
        super().__init__()
        self.taken = taken
        # A task that keeps the turn for a block of its own, between its operations.
        self.holder: asyncio.Task[Any] | None = None

    def take_nowait(self) -> bool:
        """Take the turn if it is free; tell whether it was. Never switches."""
        if self.taken or self.closed:
            return False
        self.taken = True
        return True

    async def take(self) -> bool:
        """
        Wait for the turn. True: it is the caller's, until `pass_on()`. False: look
        again where the turn is to be had; the scope may have been closed.

        Raises:
            InterfaceError: This task keeps the turn itself, and would wait for ever.

        Switches to the event loop if the turn is not free.
        """
        if self.take_nowait():
            return True
        task = asyncio.current_task()
        if self.holder is not None and self.holder is task:
            raise InterfaceError(
                "A query was made inside `async with cursor.copy()`, whose connection "
                "can do nothing else until the block ends. Make it before or after."
            )
        warn = partial(_warn_of_wait, task)
        return await self.wait(self.pass_on, LONG_WAIT, warn) is not None

    async def take_uncancelled(self) -> bool:
        """
        Wait for the turn as `take()` does, however often the task is cancelled; then
        raise that.
        """
        cancelled = None
        while True:
            try:
                taken = await self.take()
                break
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled
        return taken

    def pass_on(self, _: bool = True) -> None:
        """Give the turn to the task that waits longest. Never switches."""
        self.taken = self.serve(_the_turn)


def _the_turn() -> bool:
    return True


def _warn_of_wait(task: asyncio.Task[Any] | None) -> None:
    logger.warning(
        "Waiting for %g s for a turn at the connection of a block: %s. If the task "
        "that uses it is inside an atomic() of its own and awaits this one, both wait "
        "for ever: start this task inside that atomic(), or await it before.",
        LONG_WAIT,
        place_of(task),
    )
