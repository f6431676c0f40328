"""
Streams: `async for album in qs.iterator()` reads a queryset a chunk at a time.

The functions here patch Django's QuerySet and RawQuerySet; vinyl.orm.dualmode.table
lists which method gets which.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from itertools import islice
from types import GeneratorType
from typing import Any, NoReturn, cast

from django.db import connections

from vinyl.bridge.greenlets import run
from vinyl.bridge.mode import runs_sync
from vinyl.exceptions import ForeignLoopError, NotAwaitedError, ScopeClosedError
from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.scopes.lease import Lease
from vinyl.orm.scopes.scope import ConnectionScope, current_scope, nearest_lease

__all__ = ["Stream"]

# Rows that are read in one run of the bridge, if they do not come in lists.
CHUNK_ROWS = 100
_ListIterator = type(iter([0]))


def patch_iterator(iterator: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `iterator()` to return a `Stream` in async mode."""

    @functools.wraps(iterator)
    def iterator_or_stream(self: Any, *args: Any, **kwargs: Any) -> Any:
        if runs_sync():
            return iterator(self, *args, **kwargs)
        # Ask a router that picks a replica only once.
        queryset = self.using(self.db) if hasattr(self, "using") else self
        rows = iterator(queryset, *args, **kwargs)
        return Stream(queryset, lambda: rows)

    return iterator_or_stream


def patch_aiterator(aiterator: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `aiterator()` to return the same `Stream`."""

    @functools.wraps(aiterator)
    def stream(self: Any, chunk_size: int = 2000) -> Stream:
        queryset = self.using(self.db)
        # Looked up in the bridge, where an overridden iterator() is plain.
        return Stream(queryset, functools.partial(queryset.iterator, chunk_size))

    return stream


def _next_rows(rows: Iterator[Any]) -> list[Any]:
    """
    Return the next objects of Django's iterator *rows*. Switches to the event loop,
    inside the bridge.
    """
    chunk: list[Any] = []
    while len(chunk) < CHUNK_ROWS:
        before = len(chunk)
        chunk += islice(rows, 1)
        if len(chunk) == before:
            break
        # Several generators yield from each other. What the innermost one yields from
        # is often a list, and reading the rest of that resumes none of them.
        inner: Any = rows
        while isinstance(inner, GeneratorType):
            inner = inner.gi_yieldfrom
        if type(inner) is _ListIterator:
            chunk += inner
        else:
            chunk += islice(rows, CHUNK_ROWS - len(chunk))
    return chunk


class Stream(AsyncGenerator[Any, None]):
    """
    The rows of a queryset, read a chunk at a time. An async generator, for `async for`,
    `anext()` and `contextlib.aclosing()`.

    The loop's body may use the database. Outside a transaction, the stream has a
    connection of its own from the first row to the last if the database can write while
    another connection reads; otherwise the rows are first copied to a temporary file.
    Leaving the loop early closes the stream.

    Args:
        queryset: The queryset to read.
        start: Returns Django's own sync iterator over it. Called in the bridge.
    """

    # The reader does not refer to it, so that a stream that is dropped is closed at
    # once.
    __slots__ = ("_reader", "_rows")

    def __init__(self, queryset: Any, start: Callable[[], Iterator[Any]]) -> None:
        self._reader = Reader(queryset, start)
        self._rows = self._reader.read()

    def __aiter__(self) -> Any:
        # A native generator, so that `async for` calls no Python function for each row.
        return self._rows

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
            f"{self._reader!r} was iterated with `for` on the event loop, which would "
            f"block it. Write `async for`."
        )

    def __repr__(self) -> str:
        return repr(self._reader)


class NotIterableError(NotAwaitedError, TypeError):
    """
    A `TypeError`, as from any async generator: Django's streaming responses try
    `iter()` first.
    """


class Reader:
    """Reads a stream with Django's iterator, on the connection that it holds."""

    def __init__(self, queryset: Any, start: Callable[[], Iterator[Any]]) -> None:
        self.queryset = queryset
        self.alias: str = queryset.db
        self.start = start
        self.rows: Iterator[Any] | None = None
        # Whether the cursor is closed, and whether it no longer needs a connection.
        self.ended = self.detached = False
        # The scope and the lease of the connection, until the cursor is detached.
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
                    # Waits for the server to close the cursor.
                    await self._run(self._close)
        finally:
            if own is not None:
                own.close()
            else:
                cast(Lease, self.lease).streams.discard(self)

    async def _run(self, fn: Callable[..., Any], *args: Any) -> Any:
        """
        Run *fn* in the bridge, in the scope of the stream's connection.

        The scope is set around each run and not once, because the caller's own code
        runs in this context between two rows, and the clean-up may run in another.
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
        Whether the running code already uses the stream's connection. In a nested
        block it has the lock, and must not wait for the lock of the outer block.
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
            # Waits if a sibling has the lock. The block may end meanwhile.
            wrapper = connections[self.alias]
            self._check()
        if self.rows is None:
            self.rows = iter(self.start())
        chunk = _next_rows(self.rows)
        if alone and not self.detached:
            self.detached = cast(BridgeMixin, wrapper).detach_cursors()
        return chunk

    def _check(self) -> None:
        if self.ended:
            raise ScopeClosedError(
                f"{self!r} on database {self.alias!r} was read after the block that it "
                f"was started in had ended, which closed its cursor. Read it to the "
                f"end inside the block, or start it outside."
            )

    def _close(self) -> None:
        if not self.detached:
            # If the block has ended meanwhile, the stream has ended, too.
            with suppress(ScopeClosedError):
                _ = connections[self.alias]
        if not self.ended:
            self.end()

    def end(self) -> None:
        """Close the cursor. Switches to the event loop in the bridge."""
        self.ended = True
        if (close := getattr(self.rows, "close", None)) is not None:
            close()

    def __repr__(self) -> str:
        return f"<Stream of {self.queryset.model.__name__}>"
