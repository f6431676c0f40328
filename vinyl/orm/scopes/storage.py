"""
Where `django.db.connections` finds its connections: in the scopes, and beside them in
Django's own storage, which has those of each thread.
"""

from __future__ import annotations

from typing import Any, cast

from asgiref.local import Local
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from vinyl.bridge.greenlets import in_bridge
from vinyl.bridge.mode import runs_sync
from vinyl.orm import scopes

__all__ = [
    "connection_of",
    "connection_of_thread",
    "has_transaction",
    "in_transaction",
    "install",
]


class ScopedStorage:
    """
    The storage of `django.db.connections`: the scopes inside the bridge, and the
    thread's own connections elsewhere.

    It has the interface of `asgiref.local.Local`: an attribute per alias.

    Args:
        local: Django's storage, which has the connections of each thread.
    """

    def __init__(self, local: Local) -> None:
        object.__setattr__(self, "_local", local)

    def __getattr__(self, alias: str) -> Any:
        if in_bridge():
            # `all(initialized_only=True)` only asks what exists, so do not acquire
            # anything.
            scope = scopes.run_scope.scope_of_run()
            if alias in scope.leases or scope.nearest(alias) is not None:
                return scope.connection(alias)
            raise AttributeError(alias)
        return getattr(self._local, alias)

    def __setattr__(self, alias: str, wrapper: BaseDatabaseWrapper) -> None:
        if in_bridge():
            scopes.run_scope.scope_of_run().hold(alias, wrapper, None)
        else:
            setattr(self._local, alias, wrapper)

    def __delattr__(self, alias: str) -> None:
        if in_bridge():
            scopes.run_scope.scope_of_run().leases.pop(alias).release()
        else:
            delattr(self._local, alias)


def install() -> None:
    """Put the scopes in front of Django's own storage, once. Never switches."""
    handler = cast(Any, connections)
    if not isinstance(handler._connections, ScopedStorage):
        handler._connections = ScopedStorage(handler._connections)


def connection_of(alias: str) -> BaseDatabaseWrapper | None:
    """
    Return the connection that the calling code uses for *alias*.

    On the event loop outside the bridge, and outside a block that holds one, that is a
    placeholder, which never connects. None in sync mode, where Django decides.

    Switches to the event loop, inside the bridge, if it has to wait for one.
    """
    if in_bridge():
        return scopes.run_scope.scope_of_run().connection(alias)
    if runs_sync():
        return None
    lease = scopes.scope.nearest_lease(scopes.scope.current_scope.get(), alias)
    return scopes.placeholder.placeholder_for(alias) if lease is None else lease.wrapper


def connection_of_thread(alias: str) -> BaseDatabaseWrapper | None:
    """
    Return the connection of *alias* that sync code of this thread has used, or None.
    To be called where no event loop is running. Never switches.
    """
    return getattr(cast(Any, connections)._connections._local, alias, None)


def in_transaction(alias: str) -> bool:
    """
    Whether the calling code is inside a transaction on *alias*, either `atomic()` or
    one begun with `set_autocommit(False)`.

    Raises:
        ScopeClosedError: The calling task has outlived its block.
        ForeignLoopError: The block belongs to another event loop.
        InterfaceError: The connection is lent to a thread.

    Never switches, and neither borrows a connection nor connects.
    """
    if runs_sync() and not in_bridge():
        # Not through the handler, which would make a connection for the thread.
        wrapper = getattr(cast(Any, connections)._connections, alias, None)
    else:
        lease = scopes.scope.nearest_lease(scopes.scope.current_scope.get(), alias)
        wrapper = None if lease is None else lease.wrapper
    return wrapper is not None and has_transaction(wrapper)


def has_transaction(wrapper: BaseDatabaseWrapper) -> bool:
    """
    Whether *wrapper* has a transaction open, either by `atomic()` or by
    `set_autocommit(False)`. Never switches.
    """
    by_hand = wrapper.connection is not None and not wrapper.autocommit
    return wrapper.in_atomic_block or by_hand
