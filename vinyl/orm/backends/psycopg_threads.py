"""
psycopg's waits in a thread that an event loop has lent a connection to.

They block the thread, and end early when the task that waits for the thread is
cancelled: as on the event loop, the query is cancelled in the server, and the
connection is left either idle or closed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.pq import TransactionStatus

from vinyl.bridge.greenlets import postponing
from vinyl.orm.backends.base import ThreadLoan

if TYPE_CHECKING:
    from vinyl.orm.backends.psycopg import BridgeConnection

__all__ = ["wait_in_thread"]

# How long the server may take to answer that a query is cancelled, in seconds.
CANCEL_TIMEOUT = 5.0
# The server ignores a request that comes before it has begun with the query, so it is
# asked again: how often, in seconds.
CANCEL_INTERVAL = 0.5


def wait_in_thread(
    connection: BridgeConnection,
    wait: Callable[..., Any],
    loan: ThreadLoan,
    gen: Any,
    *args: Any,
    **kwargs: Any,
) -> Any:
    """
    Drive *gen*, one of psycopg's operations on *connection*, to its end.

    Args:
        wait: psycopg's own method, to be called with further arguments as they are.
        loan: What the connection has been lent for.

    Raises:
        CancelledError: The task that waits for the thread has been cancelled.

    Never switches.
    """
    loan.begin()
    try:
        return wait(_looking(gen, loan.look), *args, **kwargs)
    except asyncio.CancelledError as cancelled:
        outcome = _cancel(connection, wait, gen)
        if (postpone := postponing()) is not None:
            postpone(cancelled, outcome is not None)
            if outcome is not None:
                return outcome[0]
        raise


def _cancel(
    connection: BridgeConnection, wait: Callable[..., Any], gen: Any
) -> tuple[Any] | None:
    """
    Cancel what the server is doing, and read its reply; or close the connection.

    Returns: in a tuple, what *gen* gives if it succeeded first; None if not.
    """
    wrapper = connection.wrapper()
    deadline = time.monotonic() + CANCEL_TIMEOUT
    ask_again = 0.0

    def look() -> None:
        nonlocal ask_again
        now = time.monotonic()
        if now >= deadline:
            raise TimeoutError
        # A rollback is not cancelled: it ends what has been.
        undoes = wrapper is not None and wrapper.is_undoing
        if now >= ask_again and not undoes:
            connection.cancel_safe(timeout=CANCEL_TIMEOUT)
            ask_again = now + CANCEL_INTERVAL

    pgconn = connection.pgconn
    outcome = None
    try:
        if pgconn.transaction_status == TransactionStatus.ACTIVE:
            with suppress(psycopg.Error, TimeoutError):
                look()
                outcome = (wait(_looking(gen, look)),)
    finally:
        if pgconn.transaction_status == TransactionStatus.ACTIVE:
            pgconn.finish()
    return outcome


def _looking(gen: Any, look: Callable[[], None]) -> Generator[Any, Any, Any]:
    """*gen*, with *look* called whenever a wait ends, be it for news or for none."""
    try:
        ready = yield next(gen)
        while True:
            look()
            ready = yield gen.send(ready)
    except StopIteration as stop:
        return stop.value
