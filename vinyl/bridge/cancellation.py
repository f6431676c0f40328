"""
Cancellation: whether a cancelled operation counts, and waiting in spite of it.

A COMMIT may succeed although its task is cancelled. In a block of `Shield.up()` such an
operation counts as successful, and the cancellation is raised by the next wait after
the block, or at the end of the run. Drivers interrupt an operation and wait until it
ends (vinyl.orm.backends.settling); in a block of `Shield.undoing()` they only wait.
`decide()` decides what the outcome means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from enum import Enum, auto
from typing import Any, TypeVar

__all__ = ["Shield", "State", "Waiter", "decide", "outlast"]

T = TypeVar("T")


class State(Enum):
    """What happens to an operation of sync code when its task is cancelled."""

    # It is interrupted, and its result is discarded.
    DOWN = auto()
    # It is interrupted, and counts if it succeeds nevertheless.
    UP = auto()
    # It is not interrupted, and counts if it succeeds.
    UNDOING = auto()


class Shield:
    """
    Protects operations of some sync code from the cancellation of its task.

    Each run and each call in a thread that an event loop waits for has its own:
    `current_shield()` in vinyl.bridge.greenlets returns it. What depends on the
    connection and not on the running code is kept elsewhere: whether a query of its
    transaction was cancelled (vinyl.orm.backends.interruptions), and whether a run was
    closed, so that nothing can wait any more (`Bridge.abandoned`).
    """

    def __init__(self) -> None:
        # Set by the innermost block of up(), undoing() or down().
        self.state = State.DOWN
        # The cancellation of an operation that succeeded, to be raised later.
        self.postponed: asyncio.CancelledError | None = None
        # The cancellation of an operation that failed, raised in a block of up().
        self.raised: asyncio.CancelledError | None = None

    def up(self) -> AbstractContextManager[None]:
        """
        In the block, an operation counts if it succeeds although the task is cancelled.

        The cancellation is raised by the next wait after the block, or at the end of
        `run()`. If the operation fails, the cancellation is raised immediately, and
        errors that the block raises because of it do not replace it.

        Never switches.
        """
        return _Raised(self, State.UP)

    def undoing(self) -> AbstractContextManager[None]:
        """
        In the block, operations are not interrupted if the task is cancelled. A
        ROLLBACK that is interrupted would leave the transaction open.

        In all other respects it is a block of `up()`. Never switches.
        """
        return _Raised(self, State.UNDOING)

    @contextmanager
    def down(self) -> Iterator[None]:
        """
        In the block, inside a block of `up()`, cancellations are raised immediately.

        A cancellation that was postponed before stays postponed until the block ends.

        Never switches.
        """
        before, self.state = self.state, State.DOWN
        held, self.postponed = self.postponed, None
        try:
            yield
        finally:
            self.state = before
            self.postponed = held or self.postponed

    def is_up(self) -> bool:
        """
        Whether an operation that succeeds counts although the task is cancelled. Never
        switches.
        """
        return self.state is not State.DOWN

    def take_postponed(self) -> asyncio.CancelledError | None:
        """
        Return the postponed cancellation, for the caller to raise, and forget it.

        None if there is none, or if the shield is up. Never switches.
        """
        if self.is_up():
            return None
        cancelled, self.postponed = self.postponed, None
        return cancelled


class _Raised(AbstractContextManager[None]):
    """A block in which *shield* is up, or undoing."""

    __slots__ = ("_before", "_shield", "_state")

    def __init__(self, shield: Shield, state: State) -> None:
        self._shield = shield
        self._state = state

    def __enter__(self) -> None:
        shield = self._shield
        self._before, shield.state = shield.state, self._state

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        shield = self._shield
        raised, shield.raised, shield.state = shield.raised, None, self._before
        try:
            if raised is not None and error is not None:
                if not isinstance(error, asyncio.CancelledError):
                    raise raised from error
        finally:
            # The errors would keep this frame alive, and it them.
            del raised, error


class Waiter:
    """Sync code that an event loop waits for: a run, or a call in a thread."""

    # Made when the code first asks for it: most code never does.
    shield: Shield | None = None


def decide(outcome: tuple[T] | None, error: BaseException, shield: Shield | None) -> T:
    """
    Return the result of an operation that counts although *error* interrupted it.

    Args:
        outcome: The result in a tuple if the operation succeeded, None if it failed.
        error: The task's cancellation, or another error that ended the wait.
        shield: The shield of the waiting code, if it was up when the operation began;
            otherwise None.

    Raises: *error*, unless it is a cancellation of an operation that succeeded, and
    there is a shield. The shield then postpones it.

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
    Return the result of *awaitable*, even if this task is cancelled while it waits.

    For clean-up, where the caller already has a cancellation to raise.

    Raises: any error of *awaitable*.

    Switches to the event loop.
    """
    work = asyncio.ensure_future(awaitable)
    while not work.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([work])
    return work.result()
