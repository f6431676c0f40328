"""
Settling a database operation whose task has been cancelled.

The operation is interrupted and waited for until it has ended, so that the connection
is in a known state when the cancellation goes on. Then its outcome is known: where the
code is shielded, an operation that succeeded before the interruption reached it counts,
as a COMMIT must, and the cancellation is raised later. Where the code undoes something,
the operation is not interrupted.

The algorithm is one flow. It runs on the event loop or in a thread that an event loop
waits for; the drivers say how to interrupt, and how to wait.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Protocol, TypeVar

from vinyl.bridge.cancellation import Shield, State, decide, outlast
from vinyl.bridge.flows import drive, drive_async

__all__ = ["Operation", "settle", "settle_in_thread"]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Operation(Protocol[T_co]):
    """
    An operation that a driver has begun, to be settled.

    On the event loop `interrupt()` and `wait()` return awaitables; in a thread they
    block.
    """

    def ended(self) -> bool:
        """Whether there is nothing left to wait for. Never switches."""

    def interrupt(self) -> Any:
        """Ask for an early end. It may come too early or too late to have an effect."""

    def wait(self) -> Any:
        """Wait for the end, until it is time for another interruption."""

    def outcome(self) -> tuple[T_co] | None:
        """
        Return, in a tuple, the result of an operation that has succeeded; None if it
        has failed. Called once, after the end. Never switches.
        """


async def settle(
    operation: Operation[T],
    error: BaseException,
    shield: Shield | None,
) -> T:
    """
    Interrupt *operation* and wait for its end on the event loop, however often the
    task is cancelled meanwhile.

    Args:
        error: What ended the task's own wait: its cancellation.
        shield: What `active_shield()` returned in the code that waits.

    Returns: the result of the operation, if it succeeded and the code is shielded.

    Raises:
        CancelledError: In all other cases, *error*.

    Switches to the event loop.
    """
    await outlast(drive_async(_settle_flow(operation, shield)))
    return decide(operation.outcome(), error, shield)


def settle_in_thread(
    operation: Operation[T],
    error: BaseException,
    shield: Shield | None,
) -> T:
    """
    Settle *operation* as `settle()` does, in a thread that an event loop waits for.

    Args: as for `settle()`; *error* may be a KeyboardInterrupt, too.

    Raises: *error*, unless the operation succeeded and the code is shielded.

    Never switches.
    """
    drive(_settle_flow(operation, shield))
    return decide(operation.outcome(), error, shield)


def _settle_flow(
    operation: Operation[Any], shield: Shield | None
) -> Generator[Any, Any, None]:
    is_undoing = shield is not None and shield.state is State.UNDOING
    while not operation.ended():
        # Repeatedly: an interruption that comes before the database has begun with the
        # operation is lost.
        if not is_undoing:
            yield operation.interrupt, ()
        yield operation.wait, ()
