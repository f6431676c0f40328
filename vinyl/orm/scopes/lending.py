"""
Lending connections between an event loop and the threads that it works with.

Async code that a thread waits for (`async_to_sync`) takes part in the transactions of
the thread. Conversely, a thread that a task waits for (`sync_to_async`, and therefore
sync middleware and sync views in Django's ASGI handler) uses the connections that the
blocks around the task hold:

    the task        acquires the lock on each of them, as it would for a query
      the thread    uses them instead of its own, and no other code does
        its waits   block the thread, and end early if the task is cancelled: see look()
    the task        releases the locks after the call has ended, even if cancelled
"""

from __future__ import annotations

import asyncio
import copy
import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn, Self, cast

from django.db import InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from vinyl.bridge.cancellation import Waiter
from vinyl.bridge.greenlets import await_, here, in_bridge
from vinyl.exceptions import ForeignLoopError, ScopeClosedError
from vinyl.orm import scopes
from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.scopes.storage import has_transaction

if TYPE_CHECKING:
    from vinyl.orm.scopes.scope import ConnectionScope

__all__ = [
    "Loan",
    "leave_loans",
    "lent_by_thread",
    "patch_async_to_sync",
    "patch_sync_to_async",
]


def patch_async_to_sync(call: Callable[..., Any]) -> Callable[..., Any]:
    """
    `async_to_sync(fn)(...)`: the awaited code takes part in the transaction of the code
    that waits. Inside the bridge, where asgiref would refuse to block the loop, the
    call waits on the event loop.
    """

    @functools.wraps(call)
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        if in_bridge():
            return await_(self.awaitable(*args, **kwargs))
        with lent_by_thread():
            return call(self, *args, **kwargs)

    return __call__


@contextmanager
def lent_by_thread() -> Iterator[None]:
    """
    In the block, async code that the calling thread waits for uses the thread's
    connections that have an open transaction or have been lent to the thread.

    Never switches.
    """
    scope = scopes.scope.ConnectionScope(None, block="async_to_sync()")
    for wrapper in connections.all(initialized_only=True):
        if isinstance(wrapper, BridgeMixin):
            if wrapper.loan is not None or has_transaction(wrapper):
                scope.hold(wrapper.alias, wrapper, None)
    before = scopes.scope.current_scope.get()
    scope.enter()
    # asgiref copies the context variables of the async code back.
    with scopes.placeholder.restoring_placeholders():
        try:
            yield
        finally:
            scope.close()
            scopes.scope.current_scope.set(before)


def patch_sync_to_async(call: Callable[..., Any]) -> Callable[..., Any]:
    """
    `sync_to_async(fn)(...)`: inside a block that holds a connection, the thread uses
    that connection. With `thread_sensitive=False` it uses its own.
    """

    @functools.wraps(call)
    async def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        __traceback_hide__ = True
        around = scopes.scope.current_scope.get()
        try:
            if around is None or not self._thread_sensitive:
                result = await call(self, *args, **kwargs)
            else:
                result = await _call_with_loan(call, self, around, args, kwargs)
        except GeneratorExit:
            # The garbage collector may run this in any context. Leave its scope
            # unchanged.
            raise
        except BaseException:
            scopes.scope.current_scope.set(around)
            raise
        # asgiref copies the thread's context variables back, even while the thread is
        # still running if the task was cancelled.
        scopes.scope.current_scope.set(around)
        return result

    return __call__


async def _call_with_loan(
    call: Callable[..., Any],
    sync_to_async: Any,
    around: ConnectionScope,
    args: Any,
    kwargs: Any,
) -> Any:
    __traceback_hide__ = True
    async with Loan(around) as loan:
        if not loan.is_empty():
            # asgiref chooses the thread; the function that it calls there is ours.
            function = functools.partial(loan.call, sync_to_async.func)
            sync_to_async = copy.copy(sync_to_async)
            sync_to_async.func = function
        return await call(sync_to_async, *args, **kwargs)


class Loan(Waiter):
    """
    The connections that an event loop lends to a thread for one call: all connections
    of the blocks around the call, with their locks.

    The locks are acquired before asgiref is asked for the thread. asgiref uses one
    thread for all calls, so a call that waited for a lock in the thread would block the
    call of the task that has the lock.

    Args:
        around: The scope of the code that makes the call.
    """

    def __init__(self, around: ConnectionScope) -> None:
        self.scope = scopes.scope.ConnectionScope(around, block="sync_to_async()")
        self.scope.is_lent = True
        # By alias, why the thread cannot use the connection.
        self.refused: dict[str, Exception] = {}
        # The call in the thread: pending until it begins, done when it has ended.
        self.use: Future[None] = Future()
        # The identifier of the thread; 0 before the call begins.
        self.thread = 0
        # Restores the thread's own connections.
        self.borrowed = ExitStack()
        # Whether to cancel the thread's current or next wait for the database.
        self.interrupted = False

    async def __aenter__(self) -> Self:
        try:
            await self._acquire()
        except BaseException:
            self.scope.close()
            raise
        for lease in self.scope.leases.values():
            cast(BridgeMixin, lease.wrapper).leave_loop()
        self.scope.enter()
        return self

    async def _acquire(self) -> None:
        """Acquire the lock on each connection, in the same order in all tasks."""
        aliases: set[str] = set()
        scope = self.scope.parent
        while scope is not None:
            aliases.update(scope.leases)
            scope = scope.parent
        for alias in sorted(aliases):
            try:
                lease = self.scope.nearest(alias)
                if lease is not None and isinstance(lease.wrapper, BridgeMixin):
                    await self.scope.acquire(alias)
            except (ForeignLoopError, InterfaceError, ScopeClosedError) as error:
                # The function may not use the database at all.
                self.refused[alias] = error

    def is_empty(self) -> bool:
        """Whether there is no connection to lend or refuse. Never switches."""
        return not self.scope.leases and not self.refused

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is GeneratorExit:
            # The task was garbage-collected, so nothing can be awaited here.
            if scopes.scope.current_scope.get() is self.scope:
                scopes.scope.current_scope.set(self.scope.before)
            self.interrupted = not self.use.cancel()
            self.use.add_done_callback(lambda _: self.scope.abandon())
            return
        try:
            # asgiref does not wait for its thread if the task is cancelled.
            if not self.use.done() and not self.use.cancel():
                await self._end()
        finally:
            for lease in self.scope.leases.values():
                cast(BridgeMixin, lease.wrapper).rejoin_loop()
            self.scope.close()

    async def _end(self) -> None:
        """Wait for the end of the call; interrupt it for each cancellation."""
        over = asyncio.wrap_future(self.use)
        cancelled = None
        while not self.use.done():
            self.interrupted = True
            try:
                await asyncio.wait([over])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None:
            raise cancelled

    def call(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """In the thread: call *fn*, which uses the lent connections."""
        __traceback_hide__ = True
        if not self.use.set_running_or_notify_cancel():
            # The task was cancelled before the call began, and its scope is closed.
            raise asyncio.CancelledError
        try:
            with self.borrowed:
                self._borrow()
                return fn(*args, **kwargs)
        finally:
            self.use.set_result(None)

    def _borrow(self) -> None:
        """In the thread: replace the thread's own connections with the lent ones."""
        self.thread = threading.get_ident()
        self._set(here, "waiter", self)
        for alias, lease in self.scope.leases.items():
            self._put(alias, lease.wrapper)
        for alias, error in self.refused.items():
            self._put(alias, _refusing(alias, error))

    def _put(self, alias: str, wrapper: Any) -> None:
        self._set(wrapper, "loan", self)
        before = getattr(cast(Any, connections)._connections, alias, None)
        connections[alias] = wrapper

        def put_back() -> None:
            if before is not None:
                connections[alias] = before
            else:
                with suppress(AttributeError):
                    del connections[alias]

        self.borrowed.callback(put_back)

    def _set(self, owner: Any, name: str, value: Any) -> None:
        self.borrowed.callback(setattr, owner, name, getattr(owner, name))
        setattr(owner, name, value)

    def begin(self, alias: str) -> None:
        """
        In the thread, before it uses the connection to *alias*: raise a cancellation
        that arrived since the last wait, unless the code is shielded.

        Raises:
            ScopeClosedError: A block around the call has ended and has given the
                connection back.
            CancelledError: The task that waits for the thread was cancelled.

        Never switches.
        """
        lease = self.scope.leases.get(alias)
        if lease is not None and lease.lock.closed:
            raise scopes.scope.connection_taken_away(alias)
        if (shield := self.shield) is not None:
            if shield.is_up():
                return
            if (cancelled := shield.take_postponed()) is not None:
                raise cancelled
        self.look()

    def look(self) -> None:
        """
        In the thread, during a wait: raise `CancelledError` if the task was cancelled.
        Never switches.
        """
        if self.interrupted:
            self.interrupted = False
            raise asyncio.CancelledError


def _refusing(alias: str, error: Exception) -> BaseDatabaseWrapper:
    """Return a connection to *alias* that raises *error* when it is used."""
    wrapper = connections.create_connection(alias)

    def ensure_connection() -> NoReturn:
        raise error

    wrapper.ensure_connection = ensure_connection  # type: ignore[method-assign]
    return wrapper


def leave_loans() -> None:
    """In a forked process: restore the thread's own connections. Never switches."""
    while here.waiter is not None:
        here.waiter.borrowed.close()
