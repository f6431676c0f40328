"""
Reads of several tasks that wait for a connection of the pool, in one pipeline.

While all connections are in use, tasks wait in the queue of the pool. The task that
gets a connection takes reads of the same statement from the head of the queue, as many
as are the share of one connection, and sends them with its own, in one round trip.

Only `get()` does so. It has few rows, and reads of one statement take about as long as
each other, so that none waits for a slow query of another task.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.backends.pipelines import Pipeline, Read
from vinyl.orm.backends.reconnection import prepare_retry
from vinyl.orm.observe.events import is_observed, needs_cursor
from vinyl.orm.plans.plan import Plan
from vinyl.orm.pools.pool import Pool

__all__ = ["can_share", "rows_or_connection"]


class _Lent:
    """A connection of the pool, as the lock that a pipeline has on it."""

    __slots__ = ("_lost", "plan", "pool", "wrapper")

    # The pool gives nobody else the connection meanwhile.
    closed = False

    def __init__(self, pool: Pool, wrapper: BridgeMixin, plan: Plan) -> None:
        self.pool = pool
        self.wrapper = wrapper
        self.plan = plan
        # The error with which the session has ended.
        self._lost: Exception | None = None

    def put_back(self, reads: Sequence[Read]) -> None:
        if self._lost is not None:
            # Not before, because the pipeline has used the connection up to here.
            prepare_retry(self._lost, self.wrapper, self.plan.query)
            # The pool counts it as discarded.
            self.wrapper.replaced_sessions = 0
        for read in reads:
            read.set_result(None)
        self.pool.release(self.wrapper)

    def runs_again(self, error: Exception) -> bool:
        wrapper = self.wrapper
        if wrapper.may_replace_session() and wrapper.session_is_lost(error):
            self._lost = self._lost or error
        return self._lost is not None


def can_share(wrapper: Any, plan: Plan) -> bool:
    """
    Whether a read of *plan* may be sent on *wrapper*, a connection of the pool,
    together with others, and may run again if the connection is lost. Never switches.
    """
    return (
        wrapper.connection is not None
        and wrapper.has_pipelines()
        and wrapper.may_replace_session()
        and not is_observed(wrapper)
        and plan.only_reads()
    )


async def rows_or_connection(plan: Plan, params: tuple[Any, ...], pool: Pool) -> Any:
    """
    Wait for a connection of *pool*, or for the rows of *plan* from a pipeline with the
    reads of other tasks.

    Returns: the rows in a list, or the connection, which the caller has to release.

    Raises: as `Pool.acquire()`.

    Raises:
        psycopg.Error: The read has failed in the pipeline.

    Switches to the event loop.
    """
    statement: Any = plan.statement
    given = await pool.acquire_for(Read(statement, params))
    if isinstance(given, BridgeMixin) and (others := _others(given, plan, pool)):
        read = Read(statement, params)
        Pipeline(given, _Lent(pool, given, plan), [read, *others], syncs_once=True)
        try:
            given = await read
        except BaseException as error:
            if read.pipeline is not None:
                await read.pipeline.leave(read, error)
            raise
    # Whatever has prevented a reply, alone it has one.
    return await pool.acquire() if given is None else given


def _others(wrapper: Any, plan: Plan, pool: Pool) -> list[Read]:
    """The reads of waiting tasks that *wrapper* sends together with one of *plan*."""
    if (
        not pool.waiters
        or not can_share(wrapper, plan)
        or needs_cursor(wrapper)
        or not wrapper.can_fetch()
    ):
        return []
    return pool.take_reads(plan.statement)
