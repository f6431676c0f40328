"""
Scopes: which connection the running code uses.

A scope holds at most one connection per alias and belongs to

- a run of the bridge, from its first use of a database to its end (run_scope.py),
- an `atomic()` block, from entry to exit (atomic_scope.py),
- another block that holds a connection, such as `connection.pinned()`,
- a call of `async_to_sync`: the transactions of the thread that waits for it, or
- a call of `sync_to_async`: what the blocks around lend to the thread.

Code finds its connection by walking from its own scope outwards. The nearest scope
that holds one shares it with its tasks, one at a time; if no scope does, the pool lends
one. So operations outside a transaction run side by side, and operations inside one
queue. The current scope is a context variable, which child tasks inherit.
"""

from __future__ import annotations

import asyncio
import weakref
from contextvars import ContextVar
from typing import cast

from django.db import InterfaceError
from django.db.backends.base.base import BaseDatabaseWrapper

from vinyl.bridge.tasks import running_task
from vinyl.conf import django_setting
from vinyl.exceptions import ForeignLoopError, ScopeClosedError
from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.pools.pool import Pool
from vinyl.orm.pools.registry import pool_for
from vinyl.orm.scopes.lease import Lease
from vinyl.orm.scopes.lock import ConnectionLock
from vinyl.orm.scopes.placeholder import has_placeholder, placeholder_for

__all__ = [
    "ConnectionScope",
    "connection_taken_away",
    "current_scope",
    "is_lost",
    "leave_scopes",
    "nearest_lease",
]

current_scope: ContextVar[ConnectionScope | None] = ContextVar(
    "vinyl_scope", default=None
)


class ConnectionScope:
    """
    The connections of a block or of a run of the bridge, at most one per alias.

    Args:
        parent: The scope around it, None for the outermost.
        block: The name of the block in messages, such as `pinned()`; empty for a run.
            The code of a run holds the lock of each lease; the code of a block does
            not.
    """

    parent: ConnectionScope | None
    closed: bool
    # Whether a thread uses what this scope holds; see vinyl.orm.scopes.lending.
    is_lent = False

    def __init__(self, parent: ConnectionScope | None, *, block: str) -> None:
        # Without scopes that have ended, which would accumulate in a chain of tasks
        # that start tasks.
        while parent is not None and parent.closed and parent.is_over():
            parent = parent.parent
        self.parent = parent
        self.block = block
        self.leases: dict[str, Lease] = {}
        self.closed = False
        self.loop = asyncio._get_running_loop()
        task = running_task()
        self.task = None if task is None else weakref.ref(task)
        # The scope that was current before. Not a Token, which would keep the context
        # alive, and with it a task that nothing refers to any more.
        self.before: ConnectionScope | None = None

    def enter(self) -> None:
        """Make this the current scope of the running context. Never switches."""
        self.before = current_scope.get()
        current_scope.set(self)

    async def acquire(self, alias: str) -> Lease:
        """
        Return the lease of a connection to *alias*: one of the surrounding scope's, or
        of the pool's. It ends with this scope.

        Raises:
            PoolTimeout: No connection became free in time.
            ScopeClosedError: The surrounding block has ended.
            ForeignLoopError: The surrounding block belongs to another event loop.

        Switches to the event loop.
        """
        while True:
            outer = self.nearest(alias)
            if outer is None:
                pool = pool_for(alias)
                wrapper = pool.acquire_nowait() or await pool.acquire()
                return self.hold(alias, wrapper, pool)
            if await outer.lock.acquire():
                return self.hold(alias, outer.wrapper, outer)

    def hold(
        self, alias: str, wrapper: BaseDatabaseWrapper, source: Lease | Pool | None
    ) -> Lease:
        """
        Make *wrapper* the connection of *alias* in this scope.

        Args:
            source: Where the connection goes back to when the scope closes; None if the
                caller closes it.

        Returns:
            The lease of this scope.

        Never switches.
        """
        lease = Lease(wrapper, source, ConnectionLock(locked=not self.block))
        self.leases[alias] = lease
        if isinstance(source, Pool):
            if (
                has_placeholder(alias)
                or django_setting("DEBUG")
                or (self.block and wrapper.execute_wrappers)
            ):
                placeholder = cast(BaseDatabaseWrapper, placeholder_for(alias))
                cast(BridgeMixin, wrapper).act_for(placeholder)
        return lease

    def nearest(self, alias: str) -> Lease | None:
        """
        Return the lease of *alias* in the nearest open scope around this one, or None.

        Raises: as `nearest_lease()`.

        Never switches.
        """
        return nearest_lease(self.parent, alias)

    def is_around(self, scope: ConnectionScope | None) -> bool:
        """Whether *scope* is this one or inside it. Never switches."""
        while scope is not None and scope is not self:
            scope = scope.parent
        return scope is self

    def discard(self, alias: str) -> None:
        """
        Close the connection of *alias* if it belongs to the pool and can be reopened.
        An in-memory database would be lost with it. Never switches.
        """
        match self.leases[alias]:
            case Lease(source=Pool(in_memory=False), wrapper=BridgeMixin() as wrapper):
                wrapper.discard()

    def is_over(self) -> bool:
        """
        Whether the running code may ignore this scope, which has ended, and look
        further outside. Never switches.
        """
        # The block's own task may still have it in its context, after leaving an async
        # generator early.
        return self.task_is_here()

    def task_is_here(self) -> bool:
        """Whether the running task is that of this scope. Never switches."""
        return self.task is not None and self.task() is running_task()

    def note_run_inside(self) -> None:
        """Called when a run inside begins to use a database. Never switches."""

    def abandon(self) -> None:
        """
        Have the scope of a block whose code will never resume closed, and its work
        undone. Only scheduled here, because the garbage collector may call this in any
        thread. Never switches.
        """
        loop = self.loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._undo)

    def _undo(self) -> None:
        for alias, lease in self.leases.items():
            if isinstance(lease.source, Pool):
                self.discard(alias)
            elif not lease.lock.closed:
                # The outer transaction contains an unknown part of this block's work.
                cast(BridgeMixin, lease.wrapper).note_interruption()
        self.close()

    def close(self) -> None:
        """Give everything back and restore the scope around. Never switches."""
        self.closed = True
        # In another context, such as that of the garbage collector, it was never
        # current.
        is_here = current_scope.get() is self
        for alias, lease in self.leases.items():
            if self.block and isinstance(lease.source, Pool):
                wrapper = cast(BridgeMixin, lease.wrapper)
                if wrapper.was_observed():
                    # `connection.queries` shows the queries of a block after its end,
                    # too. Making a placeholder for each block would take long.
                    wrapper.hand_over(placeholder_for(alias) if is_here else None)
            lease.release()
        if is_here:
            current_scope.set(self.before)
        self.before = None

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        aliases = ", ".join(self.leases)
        return f"<{type(self).__name__} {self.block or 'run'} {state}: {aliases}>"


def nearest_lease(scope: ConnectionScope | None, alias: str) -> Lease | None:
    """
    Return the lease of *alias* in *scope* or the nearest open scope around it, or None.

    Raises:
        ScopeClosedError: The nearest scope that held one is a block that has ended, or
            one that has lost it because a block around has ended.
        ForeignLoopError: That scope belongs to another event loop.
        InterfaceError: The connection is lent to a thread.

    Never switches.
    """
    while scope is not None:
        lease = scope.leases.get(alias)
        if lease is not None:
            # The scope of async_to_sync() was created without a running loop.
            here = scope.loop is None or scope.loop is asyncio._get_running_loop()
            if not scope.closed and here:
                if lease.lock.closed:
                    raise connection_taken_away(alias)
                if scope.is_lent:
                    raise InterfaceError(
                        f"This task inherited the connection of database {alias!r} "
                        f"from a thread that is using it. Call async code from a "
                        f"thread with async_to_sync(), which lends it."
                    )
                # In a run: the block that its code is in now.
                return lease.inner or lease
            if scope.block and not here:
                raise ForeignLoopError(
                    f"This code inherited {scope.block} on database {alias!r} from "
                    f"another event loop, whose connection it cannot use. Run it in "
                    f"the same loop, or start its thread outside the block."
                )
            if not scope.is_over():
                raise ScopeClosedError(
                    f"This task inherited {scope.block} on database {alias!r} from "
                    f"the task that started it, and the block has ended since. Await "
                    f"the task before the block ends, or start it outside the block."
                )
        scope = scope.parent
    return None


def leave_scopes() -> None:
    """In a forked process: leave the scopes of the parent. Never switches."""
    current_scope.set(None)


def connection_taken_away(alias: str) -> ScopeClosedError:
    """
    Return the error for code whose connection went back with a block around it that did
    not wait for it. Never switches.
    """
    return ScopeClosedError(
        f"The connection to database {alias!r} that this code uses belongs to a block "
        f"or call around it that ended without waiting for it; its task may "
        f"have been garbage-collected. Keep a reference to the task that enters the "
        f"block, and await inside the block everything that uses its connection."
    )


def is_lost(scope: ConnectionScope | None, exc_info: tuple[object, ...]) -> bool:
    """
    Whether the block is left because its task was garbage-collected, which happens in
    the context of whatever code is running.
    """
    return exc_info[:1] == (GeneratorExit,) and current_scope.get() is not scope
