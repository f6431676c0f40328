"""The connection of one operation that runs on the event loop, outside the bridge."""

from __future__ import annotations

import asyncio
from typing import Any

from vinyl.orm.pools.pool import Pool
from vinyl.orm.pools.registry import pool_for
from vinyl.orm.scopes.atomic_scope import AtomicScope
from vinyl.orm.scopes.lease import Lease
from vinyl.orm.scopes.placeholder import placeholder_observes
from vinyl.orm.scopes.scope import current_scope, nearest_lease

__all__ = [
    "acquire",
    "acquire_nowait",
    "has_siblings",
    "lease_here",
    "may_share",
    "needs_run",
    "release",
]


def needs_run(alias: str) -> bool:
    """
    Whether the running code has to use *alias* in the bridge: because a placeholder
    observes its queries, or because a generator has opened a block around, which has to
    know whose code uses it. Never switches.
    """
    if placeholder_observes(alias):
        return True
    scope = current_scope.get()
    while scope is not None:
        if isinstance(scope, AtomicScope) and scope.generator is not None:
            return True
        scope = scope.parent
    return False


def may_share(alias: str) -> bool:
    """
    Whether a task that the running code starts may use *alias* in its place, while the
    running code waits for it. Never switches.
    """
    scope = current_scope.get()
    while scope is not None:
        if scope.closed or (
            isinstance(scope, AtomicScope) and scope.generator is not None
        ):
            return False
        lease = scope.leases.get(alias)
        # It would wait for a task that keeps the lock, which may be this one.
        if lease is not None and lease.lock.holder is not None:
            return False
        scope = scope.parent
    return True


def lease_here(alias: str) -> Lease | None:
    """
    Return the lease of *alias* in the nearest block; None if it is in no block.

    Raises: as `nearest_lease()`.

    Never switches.
    """
    scope = current_scope.get()
    return None if scope is None else nearest_lease(scope, alias)


def has_siblings() -> bool:
    """
    Whether other tasks may be about to use the connection of the block that the running
    code is in: its task is not that of the block, and there are tasks ready to run.
    Never switches.
    """
    scope = current_scope.get()
    if scope is None or scope.task_is_here():
        return False
    # asyncio's queue of callbacks. uvloop does not show its own.
    return bool(getattr(asyncio.get_running_loop(), "_ready", True))


def acquire_nowait(
    alias: str, pool: Pool | None = None
) -> tuple[Any, Lease | Pool] | None:
    """
    As `acquire()`; None if it has to wait.

    Args:
        pool: The pool of *alias*, if the caller has just asked for it.

    Raises: as `acquire()`.

    Never switches.
    """
    lease = lease_here(alias)
    if lease is None:
        pool = pool or pool_for(alias)
        wrapper = pool.acquire_nowait()
        return None if wrapper is None else (wrapper, pool)
    return (lease.wrapper, lease) if lease.lock.acquire_nowait() else None


async def acquire(alias: str) -> tuple[Any, Lease | Pool]:
    """
    Acquire a connection to *alias*: that of the nearest block, or one from the pool.

    Returns:
        The connection, and the owner to pass to `release()` with it.

    Raises: as `ConnectionScope.acquire()`.

    Switches to the event loop if it has to wait for one.
    """
    while True:
        lease = lease_here(alias)
        if lease is None:
            pool = pool_for(alias)
            return pool.acquire_nowait() or await pool.acquire(), pool
        if lease.lock.acquire_nowait() or await lease.lock.acquire():
            return lease.wrapper, lease


def release(wrapper: Any, source: Lease | Pool) -> None:
    """Give back what `acquire()` returned. Never switches."""
    if isinstance(source, Pool):
        source.release_briefly(wrapper)
    else:
        source.lock.release()
