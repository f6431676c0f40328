"""
Streaming: reading a queryset row by row, `async for album in qs.iterator()`.

The functions here become methods of Django's QuerySet and RawQuerySet; see
vinyl.orm.dualmode.table for which.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, NoReturn, cast

from django.db import connections

from vinyl.bridge.greenlets import run, runs_sync
from vinyl.exceptions import ForeignLoopError, NotAwaitedError, ScopeClosedError
from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.scopes.lease import Lease
from vinyl.orm.scopes.scope import ConnectionScope, current_scope, nearest_lease

__all__ = ["Stream"]

# How many rows are read in one run of the bridge.
CHUNK_ROWS = 100


def patch_iterator(iterator: Callable[..., Any]) -> Callable[..., Any]:
    """`iterator()` for both modes: in async mode a `Stream`."""

    @functools.wraps(iterator)
    def dual(self: Any, *args: Any, **kwargs: Any) -> Any:
        if runs_sync():
            return iterator(self, *args, **kwargs)
        # A router that picks a replica is asked once.
        queryset = self.using(self.db) if hasattr(self, "using") else self
        rows = iterator(queryset, *args, **kwargs)
        return Stream(queryset, lambda: rows)

    return dual


def patch_aiterator(aiterator: Callable[..., Any]) -> Callable[..., Any]:
    """`aiterator()`: the same stream under Django's async name."""

    @functools.wraps(aiterator)
    def native(self: Any, chunk_size: int = 2000) -> Stream:
        queryset = self.using(self.db)
        # One that a user overrides is plain in the bridge.
        return Stream(queryset, functools.partial(queryset.iterator, chunk_size))

    return native


class Stream(AsyncGenerator[Any, None]):
    """
    The rows of a queryset, a chunk at a time. An async generator: `async for`,
    `anext()` and `contextlib.aclosing()` take it.

    The loop's body may use the database. Outside a transaction, a database that can
    write while another connection reads lends the stream a connection of its own, from
    the first row to the last; from any other the rows are copied to a temporary file
    first. Leaving the loop early closes the stream.

    Args:
        queryset: What is streamed.
        start: Gives Django's own sync iterator over it. Called in the bridge.
    """

    # Not referred to by the reader: a stream that is dropped must be closed at once.
    __slots__ = ("_reader", "_rows")

    def __init__(self, queryset: Any, start: Callable[[], Iterator[Any]]) -> None:
        self._reader = Reader(queryset, start)
        self._rows = self._reader.read()

    def __anext__(self) -> Any:
        return self._rows.__anext__()

    def asend(self, value: None) -> Any:
        return self._rows.asend(value)

    def athrow(self, *error: Any) -> Any:
        return self._rows.athrow(*error)

    def aclose(self) -> Any:
        return self._rows.aclose()

    def __iter__(self) -> NoReturn:
        raise NotIterableError(
            f"The {self._reader!r} was iterated with `for` on the event loop, where it "
            f"would block. Write `async for`."
        )

    def __repr__(self) -> str:
        return repr(self._reader)


class NotIterableError(NotAwaitedError, TypeError):
    """As from any async generator: Django's streaming responses try `iter()` first."""


class Reader:
    """What a stream reads with: Django's iterator, and the connection under it."""

    def __init__(self, queryset: Any, start: Callable[[], Iterator[Any]]) -> None:
        self.queryset = queryset
        self.alias: str = queryset.db
        self.start = start
        self.rows: Iterator[Any] | None = None
        # Whether the cursor is closed, and whether it needs a connection no more.
        self.ended = self.detached = False
        # Where the connection is, until it is detached.
        self.scope: ConnectionScope | None = None
        self.lease: Lease | None = None

    async def read(self) -> AsyncGenerator[Any, None]:
        self.scope = current_scope.get()
        self.lease = nearest_lease(self.scope, self.alias)
        own = None
        if self.lease is None:
            self.scope = own = ConnectionScope(self.scope, block="iterator()")
        try:
            if own is not None:
                self.lease = await own.acquire(self.alias)
            else:
                cast(Lease, self.lease).streams.add(self)
            try:
                while chunk := await self._run(self._chunk, own is not None):
                    if own is not None and self.detached:
                        own.close()
                        own = self.scope = None
                    for row in chunk:
                        yield row
            finally:
                if not self.ended:
                    # Closes the cursor in the server, which is a wait.
                    await self._run(self._close)
        finally:
            if own is not None:
                own.close()
            else:
                cast(Lease, self.lease).streams.discard(self)

    async def _run(self, fn: Callable[..., Any], *args: Any) -> Any:
        """
        Run *fn* in the bridge, where the stream's connection is.

        The scope is set around each run, not once: between two rows the caller's own
        code runs in this context, and the clean-up may run in another.
        """
        if self.detached or self._is_here():
            return await run(fn, *args)
        token = current_scope.set(self.scope)
        try:
            return await run(fn, *args)
        finally:
            current_scope.reset(token)

    def _is_here(self) -> bool:
        """
        Whether code here uses the stream's connection anyway. In a nested block it has
        the lock, and must not wait for it in the block around.
        """
        with suppress(ScopeClosedError, ForeignLoopError):
            here = nearest_lease(current_scope.get(), self.alias)
            return here is not None and here.wrapper is cast(Lease, self.lease).wrapper
        return False

    def _chunk(self, alone: bool) -> list[Any]:
        """
        Read the next rows.

        Args:
            alone: Whether no block holds the connection, so that it may be detached.
        """
        self._check()
        if not self.detached:
            # Waits for the lock, if a sibling has it. Meanwhile the block may end.
            wrapper = connections[self.alias]
            self._check()
        if self.rows is None:
            self.rows = iter(self.start())
        chunk = list(islice(self.rows, CHUNK_ROWS))
        if alone and not self.detached:
            self.detached = cast(BridgeMixin, wrapper).detach_cursors()
        return chunk

    def _check(self) -> None:
        if self.ended:
            raise ScopeClosedError(
                f"{self!r} on database {self.alias!r} was read on after the block that "
                f"it was started in had ended, and its cursor with it. Read it to its "
                f"end inside the block, or start it outside."
            )

    def _close(self) -> None:
        if not self.detached:
            # Where the block has ended meanwhile, so has this.
            with suppress(ScopeClosedError):
                _ = connections[self.alias]
        if not self.ended:
            self.end()

    def end(self) -> None:
        """Close the cursor. In the bridge; switches to the event loop."""
        self.ended = True
        if (close := getattr(self.rows, "close", None)) is not None:
            close()

    def __repr__(self) -> str:
        return f"<Stream of {self.queryset.model.__name__}>"
