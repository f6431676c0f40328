"""
Cancellation: deciding whether a cancelled operation counts, and outlasting it.

A COMMIT may succeed although its task is cancelled. In a block of `Shield.up()` the
operation then counts, and the cancellation is raised by the next wait after the block
or at the end of the run. The drivers interrupt an operation and wait for its end
(vinyl.orm.backends.settling); what follows from its outcome is decided here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

__all__ = ["Shield", "Waiter", "decide", "outlast"]

T = TypeVar("T")


class Shield:
    """
    Whether cancelled operations of some sync code count if they succeed.

    Each run and each call in a thread that an event loop waits for has its own:
    `current_shield()` in vinyl.bridge.greenlets returns it.
    """

    def __init__(self) -> None:
        # Whether the code is in a block of up(), and in no block of down() inside it.
        self.is_up = False
        # The cancellation of an operation that succeeded, to be raised later.
        self.postponed: asyncio.CancelledError | None = None
        # The cancellation of an operation that failed, raised in a block of up().
        self.raised: asyncio.CancelledError | None = None

    @contextmanager
    def up(self) -> Iterator[None]:
        """
        In the block, let an operation count that succeeds although the task is
        cancelled.

        The cancellation is raised by the next wait after the block, or by `run()` at
        its end. If the operation fails, the cancellation is raised at once, and no
        error that the block raises because of it takes its place.

        Never switches.
        """
        before, self.is_up = self.is_up, True
        try:
            yield
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if self.raised is not None:
                raise self.raised from error
            raise
        finally:
            self.is_up = before
            self.raised = None

    @contextmanager
    def down(self) -> Iterator[None]:
        """
        In the block, which is inside one of `up()`, raise cancellations at once.

        One that was postponed before stays postponed until the block ends.

        Never switches.
        """
        before, self.is_up = self.is_up, False
        held, self.postponed = self.postponed, None
        try:
            yield
        finally:
            self.is_up = before
            self.postponed = held or self.postponed

    def take_postponed(self) -> asyncio.CancelledError | None:
        """
        Return the postponed cancellation, for the caller to raise, and forget it.

        None if there is none, or if the shield is up. Never switches.
        """
        if self.is_up:
            return None
        cancelled, self.postponed = self.postponed, None
        return cancelled


class Waiter:
    """Sync code that an event loop waits for: a run, or a call in a thread."""

    # Made when the code first asks for it: most code never does.
    shield: Shield | None = None


def decide(outcome: tuple[T] | None, error: BaseException, shield: Shield | None) -> T:
    """
    Return the result of an operation that counts although *error* ended its wait.

    Args:
        outcome: The result in a tuple if the operation succeeded, None if it failed.
        error: The task's cancellation, or another error that ended the wait.
        shield: The shield of the code that waits if it was up when the operation
            began; None if not.

    Raises: *error*, unless it is a cancellation, the operation succeeded and there is a
    shield, which then postpones it.

    Never switches.
    """
    if shield is not None and isinstance(error, asyncio.CancelledError):
        if outcome is not None:
            shield.postponed = error
            return outcome[0]
        shield.raised = error
    raise error


async def outlast(awaitable: Awaitable[T]) -> T:
    """
    Return the result of *awaitable*, however often this task is cancelled meanwhile.

    For cleaning up, where the caller has a cancellation to raise already.

    Raises: what *awaitable* raises.

    Switches to the event loop.
    """
    work = asyncio.ensure_future(awaitable)
    while not work.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([work])
    return work.result()
