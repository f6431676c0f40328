"""The scope of a run of the bridge: what the sync code in `run()` holds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar, cast

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import Atomic

from vinyl.bridge.greenlets import current_bridge, suspend
from vinyl.orm.pools.registry import pool_for
from vinyl.orm.scopes.atomic_scope import AtomicScope
from vinyl.orm.scopes.lease import Lease
from vinyl.orm.scopes.lock import ConnectionLock
from vinyl.orm.scopes.scope import (
    ConnectionScope,
    connection_taken_away,
    current_scope,
)

__all__ = ["scope_of_run"]

T = TypeVar("T")


class RunScope(ConnectionScope):
    """
    What a run of the bridge holds, from its first use of a database to its end.

    Args:
        parent: The scope around it, None for the outermost.
    """

    def __init__(self, parent: ConnectionScope | None) -> None:
        super().__init__(parent, block="")
        # The scopes of the sync atomic() blocks that the run's code is in.
        self.blocks: list[AtomicScope] = []

    def connection(self, alias: str) -> BaseDatabaseWrapper:
        """
        Return the connection of *alias* that the run uses until its end.

        Raises: as `acquire()`.

        Switches to the event loop if it has to wait for one.
        """
        lease = self.leases.get(alias)
        if lease is None:
            outer = self.nearest(alias)
            if outer is None:
                pool = pool_for(alias)
                wrapper = pool.acquire_nowait()
                if wrapper is not None:
                    return self.hold(alias, wrapper, pool).wrapper
            elif outer.lock.acquire_nowait():
                return self.hold(alias, outer.wrapper, outer).wrapper
            lease = suspend(self.acquire(alias))
        elif lease.lock.closed:
            raise connection_taken_away(alias)
        return lease.wrapper

    async def lend_to(self, awaitable: Awaitable[T]) -> T:
        """
        Await *awaitable* and let it use, one operation at a time, the connections that
        this run holds.

        Returns:
            The result of *awaitable*.

        Switches to the event loop.
        """
        held = [lease.innermost() for lease in self.leases.values()]
        for lease in held:
            lease.lock.release()
        outer, inner = current_scope.get(), self.inner()
        if not inner.is_around(outer):
            # The run acquired its first connection in another context.
            current_scope.set(inner)
        try:
            return await awaitable
        except GeneratorExit:
            # The coroutine of this run was closed, so it cannot wait for the locks.
            held = []
            raise
        finally:
            if current_scope.get() is inner:
                current_scope.set(outer)
            cancelled = None
            for lease in held:
                try:
                    # If it is closed meanwhile, the next use of the connection raises.
                    await lease.lock.acquire_despite_cancellation()
                except asyncio.CancelledError as error:
                    cancelled = error
            if cancelled is not None:
                raise cancelled

    def inner(self) -> ConnectionScope:
        """
        Return the scope that the run's code is in: this one or that of a block. Never
        switches.
        """
        return self.blocks[-1] if self.blocks else self

    def begin_block(self, alias: str, owner: Atomic) -> None:
        """
        Make a scope for *owner*, an `atomic()` on *alias* that the run's code has
        entered, for the tasks that are started in it. The run's code keeps the lock.
        Tasks that the run has started outside of any block use this scope too.

        Never switches.
        """
        outer, inner = current_scope.get(), self.inner()
        parent = outer if inner.is_around(outer) else inner
        block = AtomicScope(parent, owner=owner)
        lease = self.leases[alias].innermost()
        lock = ConnectionLock(locked=True)
        block.leases[alias] = Lease(lease.wrapper, lease, lock)
        block.savepoints = set(lease.wrapper.savepoint_ids)
        self.leases[alias].inner = block.leases[alias]
        lease.lock.send_away()
        block.enter()
        self.blocks.append(block)

    def end_block(self, alias: str, owner: Atomic) -> None:
        """
        Close the scope that was made for *owner*, if there is one, which the run's code
        is about to leave. The run's code keeps the lock.

        Switches to the event loop to close the cursors of its streams.
        """
        for block in reversed(self.blocks):
            if block.owner is owner:
                self.blocks.remove(block)
                lease, outermost = block.leases[alias], self.leases[alias]
                around = cast(Lease, lease.source)
                outermost.inner = None if around is outermost else around
                lease.end()
                lease.source = None
                block.close()
                lease.end_streams()
                return

    def is_over(self) -> bool:
        # A run that has ended holds nothing.
        return True

    def close(self) -> None:
        """Give everything back and restore the scope around. Never switches."""
        self.closed = True
        while self.blocks:
            self.blocks.pop().close()
        super().close()


def scope_of_run() -> RunScope:
    """
    Return the scope of the run that the calling code is in, which is made at its first
    use. To be called in the bridge. Never switches.
    """
    bridge = current_bridge()
    if bridge.scope is None:
        scope = bridge.scope = RunScope(current_scope.get())
        scope.enter()
        around = scope.parent
        while around is not None:
            around.note_run_inside()
            around = around.parent
    # Set only here; a cast() would cost a call for each query.
    return bridge.scope  # type: ignore[return-value]
