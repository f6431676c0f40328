"""
Scopes: which connection the running code uses.

A scope holds at most one connection per alias and stands for

- a run of the bridge, from its first use of a database to its end,
- an `async with transaction.atomic()` block, from entry to exit,
- a call of `async_to_sync`: the transactions of the thread that waits for it, or
- a call of `sync_to_async`: what the blocks around lend to the thread.

Code finds its connection by walking from its own scope outwards: the nearest scope
that holds one shares it, in turn with its siblings; if none does, the pool lends one.
So operations outside a transaction run side by side, and operations inside one
queue. The current scope is a context variable, which child tasks inherit.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any, TypeVar, cast

from asgiref.local import Local
from django.conf import settings
from django.db import InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from vinyl.bridge.greenlets import (
    current_bridge,
    frames_around,
    in_bridge,
    runs_sync,
    suspend,
)
from vinyl.bridge.tasks import running_task
from vinyl.exceptions import ForeignLoopError, ScopeClosedError
from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.pools.pool import Pool
from vinyl.orm.pools.registry import pool_for
from vinyl.orm.scopes.lease import Lease
from vinyl.orm.scopes.lock import ConnectionLock
from vinyl.orm.scopes.placeholder import has_placeholder, placeholder_for

__all__ = [
    "ConnectionScope",
    "ScopedStorage",
    "connection_of",
    "current_scope",
    "has_transaction",
    "in_transaction",
]

T = TypeVar("T")

current_scope: ContextVar[ConnectionScope | None] = ContextVar(
    "vinyl_scope", default=None
)

# The blocks that had been committed when this context was made: hooks of on_commit()
# may start tasks that go on by themselves.
_committed: ContextVar[frozenset[ConnectionScope]] = ContextVar(
    "vinyl_committed", default=frozenset()
)

# What the scope of a transaction is called.
ATOMIC = "atomic()"


class ConnectionScope:
    """
    What a run of the bridge or a block holds: at most one connection per alias.

    Args:
        parent: The scope around it, None for the outermost.
        block: What the block is called in messages, such as `atomic()`; empty for a
            run. In a run, the run's own code has the turn; in a block nobody has.
    """

    parent: ConnectionScope | None
    closed: bool

    def __init__(self, parent: ConnectionScope | None, *, block: str = "") -> None:
        # Those that have ended for good are left out, so that a task which starts a
        # task, and so on, does not pile them up.
        while parent is not None and parent.closed and parent.is_over():
            parent = parent.parent
        self.parent = parent
        self.block = block
        self.leases: dict[str, Lease] = {}
        # Of a run: the scopes of the sync atomic() blocks that its code is in. Of such
        # a scope: Django's object.
        self.blocks: list[ConnectionScope] = []
        self.owner: Any = None
        self.closed = False
        self.loop = asyncio._get_running_loop()
        task = running_task()
        self.task = None if task is None else weakref.ref(task)
        # Whether a thread uses what this scope holds; see vinyl.orm.scopes.lending.
        self.is_lent = False
        # In a transaction: the savepoints around and of this block.
        self.savepoints: set[str] | None = None
        # The scope that was current before. Not a Token, which would keep the context
        # alive, and a task that is lost with it.
        self.before: ConnectionScope | None = None
        # Of a block in an async generator: its frame; and whether the code that reads
        # from the generator has used the connection as well, between two values.
        self.generator: FrameType | None = None
        self.used_outside = False

    def enter(self) -> None:
        """Make this the current scope of the running context. Never switches."""
        self.before = current_scope.get()
        current_scope.set(self)

    def connection(self, alias: str) -> BaseDatabaseWrapper:
        """
        The connection of *alias* for the run that this scope belongs to.

        Switches to the event loop if it has to wait for one.
        """
        lease = self.leases.get(alias)
        if lease is None:
            outer = self.nearest(alias)
            if outer is None:
                pool = pool_for(alias)
                wrapper = pool.acquire_nowait()
                if wrapper is not None:
                    return self._hold(alias, wrapper, pool).wrapper
            elif outer.lock.acquire_nowait():
                return self._hold(alias, outer.wrapper, outer).wrapper
            lease = suspend(self.acquire(alias))
        elif lease.lock.closed:
            raise _taken_away(alias)
        return lease.wrapper

    async def acquire(self, alias: str) -> Lease:
        """
        Hold a connection of *alias*: the surrounding scope's, or the pool's.

        Raises:
            PoolTimeout: None became free in time.
            ScopeClosedError: The surrounding block has ended.

        Switches to the event loop.
        """
        while True:
            outer = self.nearest(alias)
            if outer is None:
                pool = pool_for(alias)
                return self._hold(alias, await pool.acquire(), pool)
            if await outer.lock.acquire():
                return self._hold(alias, outer.wrapper, outer)

    def _hold(
        self, alias: str, wrapper: BaseDatabaseWrapper, source: Lease | Pool | None
    ) -> Lease:
        lease = Lease(wrapper, source, ConnectionLock(locked=not self.block))
        self.leases[alias] = lease
        if isinstance(source, Pool):
            # What is logged in a block is to be read from `connection.queries` later.
            if self.block or settings.DEBUG or has_placeholder(alias):
                if (face := placeholder_for(alias)) is not None:
                    cast(BridgeMixin, wrapper).act_for(face)
        return lease

    def nearest(self, alias: str) -> Lease | None:
        """
        The lease of *alias* in the nearest open scope around this one, if any.

        Raises:
            ScopeClosedError: A block that held it has ended.
        """
        return nearest_lease(self.parent, alias)

    async def lending(self, awaitable: Awaitable[T]) -> T:
        """Await *awaitable* and let it use, in turn, what this run holds."""
        held = [lease.innermost() for lease in self.leases.values()]
        for lease in held:
            lease.lock.release()
        outer, inner = current_scope.get(), self.inner()
        if not inner.is_around(outer):
            # The run began to hold it in another context.
            current_scope.set(inner)
        try:
            return await awaitable
        except GeneratorExit:
            # This run is closed half-way, and cannot wait for those who have the turn.
            held = []
            raise
        finally:
            if current_scope.get() is inner:
                current_scope.set(outer)
            cancelled = None
            for lease in held:
                try:
                    # If it is closed meanwhile, the next use of the connection raises.
                    await lease.lock.acquire_shielded()
                except asyncio.CancelledError as error:
                    cancelled = error
            if cancelled is not None:
                raise cancelled

    def inner(self) -> ConnectionScope:
        """Of a run: the scope that its code is in, its own or that of a block."""
        return self.blocks[-1] if self.blocks else self

    def is_around(self, scope: ConnectionScope | None) -> bool:
        """Whether *scope* is this one or inside it. Never switches."""
        while scope is not None and scope is not self:
            scope = scope.parent
        return scope is self

    def begin_block(self, alias: str, owner: Any) -> None:
        """
        In a run, whose code has entered *owner*, an `atomic()` on *alias*: make that a
        scope of its own, for the tasks that are started in it. The run's code has the
        turn. Tasks that the run has started outside of any block take part in it.

        Never switches.
        """
        outer, inner = current_scope.get(), self.inner()
        block = ConnectionScope(
            outer if inner.is_around(outer) else inner, block=ATOMIC
        )
        block.owner = owner
        lease = self.leases[alias].innermost()
        block.leases[alias] = Lease(lease.wrapper, lease, ConnectionLock(locked=True))
        block.savepoints = set(lease.wrapper.savepoint_ids)
        self.leases[alias].inner = block.leases[alias]
        lease.lock.send_away()
        block.enter()
        self.blocks.append(block)

    def end_block(self, alias: str, owner: Any) -> None:
        """
        Close the scope that was made for *owner*, if one was, which the run's code is
        about to leave. The run's code keeps the turn.

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

    def discard(self, alias: str) -> None:
        """
        Close the connection of *alias*, if it is the pool's and can be opened anew. An
        in-memory database would go with it. Never switches.
        """
        match self.leases[alias]:
            case Lease(source=Pool(in_memory=False), wrapper=BridgeMixin() as wrapper):
                wrapper.discard()

    def is_over(self) -> bool:
        """Whether code here need not know that this scope has ended, as it has."""
        if not self.block or self in _committed.get():
            return True
        # Its own task has it in the context still: an async generator was left early.
        return self.task_is_here()

    def task_is_here(self) -> bool:
        """Whether it is the task of this scope that runs. Never switches."""
        return self.task is not None and self.task() is running_task()

    def abandon(self) -> None:
        """
        Close the scope of a block whose code is gone, with what it has begun. Soon, for
        this may be the garbage collector, in any thread. Never switches.
        """
        loop = self.loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._undo)

    def _undo(self) -> None:
        for alias, lease in self.leases.items():
            if isinstance(lease.source, Pool):
                self.discard(alias)
            elif not lease.lock.closed:
                # The transaction around cannot tell what of this it has in it.
                cast(BridgeMixin, lease.wrapper).note_interruption()
        self.close()

    def close(self) -> None:
        """Give everything back and restore the scope around. Never switches."""
        self.closed = True
        while self.blocks:
            self.blocks.pop().close()
        for lease in self.leases.values():
            lease.release()
        # Closed elsewhere, as by the garbage collector, it has never been current.
        if current_scope.get() is self:
            current_scope.set(self.before)
        self.before = self.generator = None

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return (
            f"<ConnectionScope {self.block or 'run'} {state}: {', '.join(self.leases)}>"
        )


def nearest_lease(scope: ConnectionScope | None, alias: str) -> Lease | None:
    """
    The lease of *alias* in *scope* or the nearest open scope around it, if any.

    Raises:
        ScopeClosedError: The nearest that held it is a block that has ended, or one
            that has lost it, for a block around has ended.
        ForeignLoopError: It is one of another event loop.
        InterfaceError: It is lent to a thread.
    """
    while scope is not None:
        lease = scope.leases.get(alias)
        if lease is not None:
            # The scope of async_to_sync was made where no loop was running.
            here = scope.loop is None or scope.loop is asyncio._get_running_loop()
            if not scope.closed and here:
                if lease.lock.closed:
                    raise _taken_away(alias)
                if scope.is_lent:
                    raise InterfaceError(
                        f"This task inherited the connection of database {alias!r} "
                        f"from a thread that is using it. Call async code from a "
                        f"thread with async_to_sync(), which lends it."
                    )
                # In a run, the block that its code is in just now.
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


def _taken_away(alias: str) -> ScopeClosedError:
    return ScopeClosedError(
        f"The connection to database {alias!r} that this code uses belongs to a block "
        f"or a call around it that has ended without waiting for it, as when its task "
        f"was lost. Keep a reference to the task that enters the block, and await in "
        f"the block what uses the database there."
    )


@contextmanager
def after_commit(wrapper: BaseDatabaseWrapper) -> Iterator[None]:
    """
    In the block, which runs the hooks of *wrapper*'s transaction, tasks may be started
    that outlive the scopes of that transaction.
    """
    around = set()
    ended = set()
    scope = current_scope.get()
    while scope is not None:
        around.add(scope)
        lease = scope.leases.get(wrapper.alias)
        if lease is not None and lease.wrapper is wrapper and scope.block == ATOMIC:
            ended.add(scope)
        scope = scope.parent
    # What is not around any more cannot be asked for.
    token = _committed.set((_committed.get() & around) | ended)
    try:
        yield
    finally:
        _committed.reset(token)


def scope_of_run() -> ConnectionScope:
    """The scope of the run that the calling code is in, made at its first use."""
    bridge = current_bridge()
    if bridge.scope is None:
        bridge.scope = scope = ConnectionScope(current_scope.get())
        scope.enter()
        around = scope.parent
        while around is not None:
            if around.generator is not None and around.task_is_here():
                around.used_outside |= around.generator not in frames_around()
            around = around.parent
    # Set only here; a cast() would cost a call for each query.
    return bridge.scope  # type: ignore[return-value]


def connection_of(alias: str) -> BaseDatabaseWrapper | None:
    """
    The connection that code running here uses for *alias*.

    On the loop outside the bridge and outside a block that holds one, a stand-in that
    never connects. None where vinyl has no say: in sync mode.

    Switches to the event loop, inside the bridge, if it has to wait for one.
    """
    if in_bridge():
        return scope_of_run().connection(alias)
    if runs_sync():
        return None
    lease = nearest_lease(current_scope.get(), alias)
    return placeholder_for(alias) if lease is None else lease.wrapper


def in_transaction(alias: str) -> bool:
    """
    Whether the calling code is inside a transaction on *alias*, be it `atomic()` or one
    by hand (`set_autocommit(False)`).

    Raises:
        ScopeClosedError: It is in a task that outlived its block; see nearest_lease().
        ForeignLoopError: The block is one of another event loop.

    Never switches, and neither lends a connection nor connects.
    """
    if runs_sync() and not in_bridge():
        # Past the handler, which would make a connection for the thread.
        wrapper = getattr(cast(Any, connections)._connections, alias, None)
    else:
        lease = nearest_lease(current_scope.get(), alias)
        wrapper = None if lease is None else lease.wrapper
    return wrapper is not None and has_transaction(wrapper)


def has_transaction(wrapper: BaseDatabaseWrapper) -> bool:
    """Whether *wrapper* has a transaction open, be it by hand. Never switches."""
    by_hand = wrapper.connection is not None and not wrapper.autocommit
    return wrapper.in_atomic_block or by_hand


class ScopedStorage:
    """
    The storage of `django.db.connections`, with scopes in front of the thread's own.

    Has the interface of `asgiref.local.Local`: an attribute per alias.
    """

    def __init__(self, local: Local) -> None:
        object.__setattr__(self, "_local", local)

    def __getattr__(self, alias: str) -> Any:
        if in_bridge():
            # Asks what is there (`all(initialized_only=True)`): nothing is lent.
            scope = scope_of_run()
            if alias in scope.leases or scope.nearest(alias) is not None:
                return scope.connection(alias)
            raise AttributeError(alias)
        return getattr(self._local, alias)

    def __setattr__(self, alias: str, wrapper: BaseDatabaseWrapper) -> None:
        if in_bridge():
            scope_of_run()._hold(alias, wrapper, None)
        else:
            setattr(self._local, alias, wrapper)

    def __delattr__(self, alias: str) -> None:
        if in_bridge():
            scope_of_run().leases.pop(alias).release()
        else:
            delattr(self._local, alias)


def install() -> None:
    """Put the scopes in front of Django's own storage of connections. Once."""
    handler = cast(Any, connections)
    if not isinstance(handler._connections, ScopedStorage):
        handler._connections = ScopedStorage(handler._connections)
