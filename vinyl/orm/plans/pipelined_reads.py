"""
Reads of several tasks in one block, which share its connection, in one pipeline.

The task that gets the lock on the connection takes the reads of the tasks that wait for
it (vinyl.orm.backends.pipelines).
"""

from __future__ import annotations

import asyncio
from typing import Any

from vinyl.orm.backends.pipelines import Pipeline, Read
from vinyl.orm.backends.statements import Statement
from vinyl.orm.observe.events import is_observed
from vinyl.orm.scopes.lease import Lease
from vinyl.orm.scopes.operation import has_siblings

__all__ = ["may_join", "rows_with_others"]


async def rows_with_others(
    statement: Statement, params: tuple[Any, ...], lease: Lease
) -> Any:
    """
    Return the rows of *statement* from a pipeline with the reads of other tasks; True
    if there are none, and this task has the lock; None if the lease has to be looked
    for again.

    Args:
        statement: A statement that only reads.
        params: Its parameters.
        lease: The lease of a connection that `may_join()`.

    Raises:
        psycopg.Error: The read has failed in the pipeline.

    Switches to the event loop.
    """
    lock = lease.lock
    given: Any = True
    if not lock.acquire_nowait():
        given = await lock.acquire_for(Read(statement, params))
    elif has_siblings():
        try:
            # In this turn the others put their reads into the queue.
            await asyncio.sleep(0)
        except BaseException:
            lock.release()
            raise
        if lock.closed:
            lock.release()
            return None
    while given is True and (others := _others(lease)):
        read = Read(statement, params)
        Pipeline(lease.wrapper, lock, [read, *others])
        given = await lock.wait_for(read)
    return given


def may_join(wrapper: Any) -> bool:
    """
    Return whether a read may be sent on *wrapper* together with others. Not if it is
    observed, because a query begins for its observers when it alone has the connection.
    Never switches.
    """
    return (
        wrapper.has_pipelines()
        # Otherwise a read that loses its session is run again on another one.
        and not wrapper.may_replace_session()
        and not is_observed(wrapper)
    )


def _others(lease: Lease) -> list[Read]:
    """The reads of other tasks that can be sent together with one of this task's."""
    wrapper: Any = lease.wrapper
    if (
        not lease.lock.waiters
        or wrapper.needs_rollback
        or not may_join(wrapper)
        or not wrapper.can_fetch()
    ):
        return []
    return lease.lock.take_reads()
