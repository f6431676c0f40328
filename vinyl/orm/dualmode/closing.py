"""
Closing connections on the event loop, with Django's own functions.

In a block that holds a connection, closing that is a dual-mode call, which waits for
its turn. Where none does, `connection.close()`, `connections.close_all()` and
`close_old_connections()` close what the calling thread has open, which sync code left
there and a forked process would inherit. The pool closes its connections by itself.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from vinyl.bridge.calls import Done
from vinyl.bridge.greenlets import here, in_bridge
from vinyl.bridge.mode import runs_sync
from vinyl.exceptions import ForeignLoopError, NotAwaitedError, ScopeClosedError
from vinyl.orm.dualmode.cursors import patch_connection_method
from vinyl.orm.scopes.placeholder import placeholder_for
from vinyl.orm.scopes.scope import current_scope, nearest_lease
from vinyl.orm.scopes.storage import connection_of_thread

__all__ = [
    "patch_all",
    "patch_close",
    "patch_close_all",
    "patch_close_if_unusable_or_obsolete",
]


@contextmanager
def _without_loop() -> Iterator[None]:
    """
    In the block, code finds no event loop running: it does what sync code of this
    thread does, and blocks where it waits. Never switches.
    """
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(loop)


def _of_thread(alias: str) -> BaseDatabaseWrapper | None:
    """The connection of *alias* that sync code of this thread has used, if any."""
    with _without_loop():
        return connection_of_thread(alias)


def _close_in_thread(alias: str) -> None:
    """Close the connection of *alias* that this thread has. Never switches."""
    if (wrapper := _of_thread(alias)) is not None:
        with _without_loop():
            wrapper.close()


def _is_held(alias: str) -> bool:
    return nearest_lease(current_scope.get(), alias) is not None


def _is_of_block(wrapper: BaseDatabaseWrapper) -> bool:
    """Whether *wrapper* is what a block around this run, or this thread, holds."""
    scope = current_scope.get() if here.waiter is None else here.waiter.scope
    while scope is not None:
        lease = scope.leases.get(wrapper.alias)
        if lease is not None and lease.wrapper is wrapper and not scope.closed:
            if scope.block and not scope.is_lent:
                return True
        scope = scope.parent
    return False


def patch_close(method: Callable[..., Any]) -> Callable[..., Any]:
    """`connection.close()` for both modes."""
    in_turn = patch_connection_method(method)

    @functools.wraps(method)
    def close(self: Any) -> Any:
        if runs_sync():
            return method(self)
        if self is _of_thread(self.alias):
            with _without_loop():
                method(self)
        elif _is_held(self.alias):
            return in_turn(self)
        else:
            _close_in_thread(self.alias)
        return Done()

    close.is_dual = close  # type: ignore[attr-defined]
    return close


def patch_close_if_unusable_or_obsolete(
    method: Callable[..., Any],
) -> Callable[..., Any]:
    """
    What `close_old_connections()` calls, as Django does at either end of a request.

    Sync code leaves alone what a block of the event loop holds: with the connection the
    transaction would be gone, or what was set in the session. On the event loop, what
    the thread has is of no more use, unless the loop runs inside a transaction of it.
    """

    @functools.wraps(method)
    def close_if_unusable_or_obsolete(self: Any) -> None:
        if runs_sync():
            if not _is_of_block(self):
                method(self)
        elif (wrapper := _of_thread(self.alias)) is not None:
            if not wrapper.in_atomic_block:
                _close_in_thread(self.alias)

    return close_if_unusable_or_obsolete


def patch_close_all(method: Callable[..., Any]) -> Callable[..., Any]:
    """`connections.close_all()` for both modes."""

    @functools.wraps(method)
    def close_all(self: Any) -> None:
        if self is not connections:
            method(self)
            return
        if in_bridge():
            # What the run uses, and then what the thread has, as a fork would want it.
            method(self)
        elif runs_sync():
            method(self)
            return
        elif held := [alias for alias in self if _is_held(alias)]:
            raise NotAwaitedError(
                f"connections.close_all() was called inside a block that holds a "
                f"connection to database {held[0]!r}, which cannot be closed without "
                f"waiting for the tasks that use it. Call it outside the block, or "
                f"write `await vinyl.orm.run(connections.close_all)`."
            )
        for alias in self:
            _close_in_thread(alias)

    return close_all


def patch_all(method: Callable[..., Any]) -> Callable[..., Any]:
    """
    `connections.all()` for both modes: on the event loop, what is there already is what
    a block holds, and what the thread has.
    """

    @functools.wraps(method)
    def all(self: Any, initialized_only: bool = False) -> list[BaseDatabaseWrapper]:
        if self is not connections or not initialized_only or runs_sync():
            return method(self, initialized_only)
        return list(filter(None, map(_there_already, self)))

    return all


def _there_already(alias: str) -> BaseDatabaseWrapper | None:
    try:
        lease = nearest_lease(current_scope.get(), alias)
    except (ForeignLoopError, ScopeClosedError):
        # It is not this task's any more.
        lease = None
    if lease is not None:
        return lease.wrapper
    of_thread = _of_thread(alias)
    return of_thread and (placeholder_for(alias) or of_thread)
