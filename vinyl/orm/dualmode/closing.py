"""
Closing connections on the event loop, with Django's own functions.

In a block that holds a connection, closing it is a dual-mode call, which waits for the
lock on the connection. Outside such a block, `connection.close()`,
`connections.close_all()` and `close_old_connections()` close the connections that sync
code has opened in the calling thread and that a forked process would inherit. The pool
closes its own connections.
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
from vinyl.bridge.mode import DUAL, runs_sync
from vinyl.exceptions import ForeignLoopError, NotAwaitedError, ScopeClosedError
from vinyl.orm import scopes
from vinyl.orm.dualmode.cursors import patch_connection_method
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
    In the block no event loop appears to be running: code behaves as sync code of this
    thread, and blocks while it waits. Never switches.
    """
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(loop)


def _of_thread(alias: str) -> BaseDatabaseWrapper | None:
    """Return the connection to *alias* that sync code of this thread used, if any."""
    with _without_loop():
        return connection_of_thread(alias)


def _close_in_thread(alias: str) -> None:
    """Close this thread's connection to *alias*. Never switches."""
    if (wrapper := _of_thread(alias)) is not None:
        with _without_loop():
            wrapper.close()


def _is_held(alias: str) -> bool:
    return (
        scopes.scope.nearest_lease(scopes.scope.current_scope.get(), alias) is not None
    )


def _is_of_block(wrapper: BaseDatabaseWrapper) -> bool:
    """Whether a block around this run, or this thread's call, holds *wrapper*."""
    scope = (
        scopes.scope.current_scope.get() if here.waiter is None else here.waiter.scope
    )
    while scope is not None:
        lease = scope.leases.get(wrapper.alias)
        if lease is not None and lease.wrapper is wrapper and not scope.closed:
            if scope.block and not scope.is_lent:
                return True
        scope = scope.parent
    return False


def patch_close(method: Callable[..., Any]) -> Callable[..., Any]:
    """`connection.close()` for both modes."""
    close_held = patch_connection_method(method)

    @functools.wraps(method)
    def close(self: Any) -> Any:
        if runs_sync():
            return method(self)
        if self is _of_thread(self.alias):
            with _without_loop():
                method(self)
        elif _is_held(self.alias):
            return close_held(self)
        else:
            _close_in_thread(self.alias)
        return Done()

    return DUAL.put_on(close)


def patch_close_if_unusable_or_obsolete(
    method: Callable[..., Any],
) -> Callable[..., Any]:
    """
    `close_if_unusable_or_obsolete()`, which `close_old_connections()` calls and Django
    calls at the start and end of each request, for both modes.

    Sync code does not close a connection that a block of the event loop holds: that
    would lose the transaction, or the settings of the session. On the event loop the
    thread's connection is no longer needed, unless the loop runs inside its
    transaction.
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
            # Those of the run here, those of the thread below: a fork inherits both.
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
    `connections.all()` for both modes. On the event loop the initialized connections
    are those that a block holds and those of the thread.
    """

    @functools.wraps(method)
    def all(self: Any, initialized_only: bool = False) -> list[BaseDatabaseWrapper]:
        if self is not connections or not initialized_only or runs_sync():
            return method(self, initialized_only)
        return list(filter(None, map(_initialized, self)))

    return all


def _initialized(alias: str) -> BaseDatabaseWrapper | None:
    try:
        lease = scopes.scope.nearest_lease(scopes.scope.current_scope.get(), alias)
    except (ForeignLoopError, ScopeClosedError):
        # The block does not belong to this task, or has ended.
        lease = None
    if lease is not None:
        return lease.wrapper
    of_thread = _of_thread(alias)
    return of_thread and (scopes.placeholder.placeholder_for(alias) or of_thread)
