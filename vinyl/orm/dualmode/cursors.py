"""
`connection` on the event loop: raw cursors, savepoints and autocommit.

In a block that holds a connection (`atomic()`, `cursor()`, `pinned()`), `connection` is
that connection. Outside such a block each operation borrows one, and `connection` is a
placeholder that never connects: its `execute_wrapper()`, `queries` and
`force_debug_cursor` apply to every connection that the task, or a task started from it,
borrows.

The functions here become methods of Django's BaseDatabaseWrapper; see
vinyl.orm.dualmode.table for which.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, Self, cast

from django.db import InterfaceError, connections
from django.db.transaction import TransactionManagementError

from vinyl.bridge.greenlets import run
from vinyl.bridge.mode import dual, runs_sync
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import dualmode, scopes
from vinyl.orm.backends.base import BridgeMixin

if TYPE_CHECKING:
    from vinyl.orm.dualmode.copy import AsyncCopy
    from vinyl.orm.scopes.lease import Lease
    from vinyl.orm.scopes.scope import ConnectionScope

__all__ = [
    "AsyncCursor",
    "patch_connection_method",
    "patch_cursor",
    "patch_ensure_connection",
    "patch_pinned",
    "patch_set_autocommit",
]


class Pinned:
    """
    `async with connection.pinned():` holds one connection, without a transaction.

    For state that belongs to a session: `SET`, advisory locks, temporary tables.
    All queries in the block use the connection, one at a time, including those of child
    tasks.

    Args:
        alias: The alias of the database.

    Raises:
        InterfaceError: On entering, if this object's block has not ended.
        NotAwaitedError: It was used with `with`.

    Entering and leaving the block switch to the event loop.
    """

    block = "pinned()"
    # The next borrower of the connection must not see what was set in the session.
    keeps_session_apart = True

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.scope: ConnectionScope | None = None

    async def __aenter__(self) -> Self:
        if self.scope is not None:
            raise InterfaceError(
                f"This connection.{self.block} has already been entered, and its block "
                f"has not ended. Call connection.{self.block} again for each block."
            )
        scope = scopes.scope.ConnectionScope(
            scopes.scope.current_scope.get(), block=self.block
        )
        try:
            await scope.acquire(self.alias)
        except BaseException:
            scope.close()
            raise
        scope.enter()
        self.scope = scope
        try:
            await run(self._connect)
        except BaseException:
            await Pinned.__aexit__(self)
            raise
        return self

    def _connect(self) -> None:
        wrapper = connections[self.alias]
        wrapper.ensure_connection()
        cast(BridgeMixin, wrapper).is_pinned = True

    async def __aexit__(self, *exc_info: object) -> None:
        scope, self.scope = self.scope, None
        if scope is None:
            return
        if scopes.scope.is_lost(scope, exc_info):
            scope.abandon()
            return
        lease = scope.leases[self.alias]
        try:
            # A task that was started in the block may still be executing a query.
            await lease.lock.acquire_despite_cancellation()
        finally:
            try:
                await self._clean_up(lease)
            finally:
                if self.keeps_session_apart:
                    scope.discard(self.alias)
                scope.close()

    async def _clean_up(self, lease: Lease) -> None:
        """Finish what uses the connection. The caller has the lock."""
        if lease.streams:
            await run(lease.end_streams)

    def __enter__(self) -> NoReturn:
        raise NotAwaitedError(
            f"`with connection.{self.block}` was used on the event loop, where it "
            f"would block. Write `async with connection.{self.block}`, or run the "
            f"sync code in the bridge: `await vinyl.orm.run(function, ...)`."
        )

    def __exit__(self, *exc_info: object) -> None:
        """Never called: `with` requires the method, but `__enter__` raises."""


class AsyncCursor(Pinned):
    """
    A cursor on the event loop:

        async with connection.cursor() as cursor:
            await cursor.execute("SELECT ...", [...])
            rows = await cursor.fetchall()

    `async for row in cursor` reads row by row. All other methods of Django's cursor and
    of the driver's are awaited; attributes such as `description` and `rowcount` are
    read as usual. The block holds one connection; see `Pinned`.

    Args:
        alias: The alias of the database.
        method: The method of Django's connection that makes the cursor.

    Raises:
        InterfaceError: The cursor was used outside its block, or on entering, if this
            object's block has not ended.
        NotAwaitedError: It was used with `with` or `for`, or a method that returns a
            generator was called.

    Entering and leaving the block switch to the event loop.
    """

    keeps_session_apart = False

    def __init__(self, alias: str, method: str = "cursor") -> None:
        super().__init__(alias)
        self.method = method
        self.block = f"{method}()"
        self._cursor: Any = None

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        try:
            self._cursor = await run(self._open)
        except BaseException:
            await super().__aexit__()
            raise
        return self

    def _open(self) -> Any:
        return getattr(connections[self.alias], self.method)()

    async def _clean_up(self, lease: Lease) -> None:
        cursor, self._cursor = self._cursor, None
        try:
            if cursor is not None:
                await run(cursor.close)
        finally:
            await super()._clean_up(lease)

    def _locked(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """In the bridge: call *fn* once this run has the lock on the connection."""
        # The lookup waits for the lock.
        connections[self.alias]
        return fn(*args, **kwargs)

    def _opened(self, name: str) -> Any:
        """Return Django's cursor, whose attribute *name* is about to be used."""
        if self._cursor is None:
            raise InterfaceError(
                f"cursor.{name} was used on a cursor of database {self.alias!r} that "
                f"is not open. Use it inside `async with connection.{self.block} as "
                f"cursor:`."
            )
        return self._cursor

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = getattr(self._opened(name), name)
        if not callable(value):
            return value
        if inspect.isgeneratorfunction(value):
            raise NotAwaitedError(
                f"cursor.{name}() returns a generator, which would block the event "
                f"loop at each step. Write `await cursor.execute(...)` and `async for "
                f"row in cursor`, with `connection.chunked_cursor()` for a large "
                f"result and `await cursor.nextset()` for the next result set. Or run "
                f"the code in the bridge: `await vinyl.orm.run(function, ...)`."
            )

        return dual(
            value,
            in_async=functools.partial(run, self._locked, value),
            name=f"cursor.{name}",
            is_sync=_never,
        )

    def copy(self, *args: Any, **kwargs: Any) -> AsyncCopy:
        """
        Return psycopg's COPY, for `async with cursor.copy("COPY ...") as copy`. Takes
        the arguments of `psycopg.Cursor.copy`. Never switches.
        """
        return dualmode.copy.AsyncCopy(self, (args, kwargs))

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (row := await self.fetchone()) is not None:
            yield row

    def __iter__(self) -> NoReturn:
        raise NotAwaitedError(
            "A cursor was iterated with `for` on the event loop, where it would block. "
            "Write `async for row in cursor`, or `for row in await cursor.fetchall()`."
        )


def _never(*_: Any, **__: Any) -> bool:
    return False


def patch_cursor(make: Callable[..., Any]) -> Callable[..., Any]:
    """`cursor()` and `chunked_cursor()` for both modes."""

    @functools.wraps(make)
    def make_cursor(self: Any, *args: Any, **kwargs: Any) -> Any:
        if runs_sync():
            if isinstance(self, BridgeMixin) and not _is_orm(sys._getframe(1)):
                self.is_pinned = True
            return make(self, *args, **kwargs)
        return AsyncCursor(self.alias, make.__name__)

    return make_cursor


# Where the ORM opens cursors, for statements that leave nothing in the session.
_ORM = ("django.db.backends.base.base", "django.db.models.sql.compiler")


def _is_orm(caller: FrameType) -> bool:
    """Whether *caller*, which opens a cursor, is the ORM rather than code with SQL."""
    module = caller.f_globals.get("__name__", "")
    return module in _ORM or module.startswith("vinyl.orm.plans.")


def patch_ensure_connection(ensure: Callable[..., Any]) -> Callable[..., Any]:
    """`ensure_connection()` for both modes: on the event loop it never connects."""

    @functools.wraps(ensure)
    def ensure_connection(self: Any) -> None:
        if self.connection is None or runs_sync():
            ensure(self)

    return ensure_connection


def patch_pinned(_: None) -> Callable[..., Any]:
    """`pinned()` for both modes."""

    def pinned(self: Any) -> Any:
        if not runs_sync():
            return Pinned(self.alias)
        # The connection belongs to the thread, or to the run of the bridge, already.
        self.is_pinned = True
        return contextlib.nullcontext(self)

    return pinned


def patch_connection_method(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of the connection that waits for the server, for both modes."""
    name = method.__name__

    def on_own(alias: str, *args: Any, **kwargs: Any) -> Any:
        return getattr(connections[alias], name)(*args, **kwargs)

    def in_async(self: Any, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        return run(on_own, self.alias, *args, **kwargs)

    return dual(method, None, in_async, name=f"connection.{name}")


def patch_set_autocommit(set_autocommit: Callable[..., Any]) -> Callable[..., Any]:
    """
    `set_autocommit()` for both modes. Outside a block that holds a connection it is
    refused, because the connection that it changes would go straight back to the pool.
    """
    set_on_own = patch_connection_method(set_autocommit)

    @functools.wraps(set_autocommit)
    def checked(self: Any, *args: Any, **kwargs: Any) -> Any:
        if (
            not runs_sync()
            and scopes.scope.nearest_lease(scopes.scope.current_scope.get(), self.alias)
            is None
        ):
            raise TransactionManagementError(
                f"set_autocommit() was called on the event loop outside any block that "
                f"holds a connection to database {self.alias!r}, so it would have no "
                f"effect. Call it inside `async with connection.pinned():`."
            )
        return set_on_own(self, *args, **kwargs)

    return checked
