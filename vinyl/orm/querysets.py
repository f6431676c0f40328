"""
Awaiting and streaming querysets.

`await qs` fills the queryset's cache and gives a list. On a queryset that has not been
awaited, everything that needs its rows raises `NotAwaitedError` on the event loop.
The functions here become methods of Django's QuerySet and RawQuerySet; see
vinyl.orm.dualmode for which.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from contextlib import aclosing
from itertools import islice
from typing import Any, NoReturn, cast

from django.db import connections

from vinyl.exceptions import NotAwaitedError, ScopeClosedError
from vinyl.orm import recording
from vinyl.orm.bridge import run, runs_sync
from vinyl.orm.connections import Lease, Scope, current_scope, nearest_lease
from vinyl.orm.loads import noticing_rows
from vinyl.orm.mode import begin

__all__ = ["Stream"]


def is_loaded(queryset: Any) -> bool:
    """Whether iterating over *queryset* needs no query."""
    return queryset._result_cache is not None and (
        not queryset._prefetch_related_lookups or queryset._prefetch_done
    )


def describe(queryset: Any) -> str:
    return f"{type(queryset).__name__} of {queryset.model.__name__}"


async def evaluate(queryset: Any) -> list[Any]:
    """Fill the cache of *queryset*; return its results. Switches to the event loop."""
    await run(queryset._fetch_all)
    return list(queryset._result_cache)


def awaited(_: None) -> Callable:
    """The `__await__` of a queryset: a list of its results."""

    def __await__(self: Any) -> Generator[Any, Any, list[Any]]:
        return evaluate(self).__await__()

    return __await__


def asynchronously_iterated(_: Any) -> Callable:
    """The `__aiter__` of a queryset: its results, fetched at once."""

    async def __aiter__(self: Any) -> AsyncIterator[Any]:
        for result in await evaluate(self):
            yield result

    return __aiter__


def refusing_to_block(fetch_all: Callable) -> Callable:
    """`_fetch_all` for both modes: never fetches on the event loop unawaited."""

    @functools.wraps(fetch_all)
    def _fetch_all(self: Any) -> None:
        if is_loaded(self):
            return
        if not runs_sync():
            raise NotAwaitedError(
                f"This {describe(self)} has not been awaited, so its rows are not "
                f"here: it cannot be iterated, counted, tested or indexed on the event "
                f"loop. Write `results = await queryset` first, or iterate with "
                f"`async for`."
            )
        if recording.notices_loads:
            noticing_rows(self, fetch_all)
        else:
            fetch_all(self)

    return _fetch_all


def telling(represent: Callable) -> Callable:
    """`__repr__` for both modes: on the event loop it fetches nothing."""

    @functools.wraps(represent)
    def __repr__(self: Any) -> str:
        if not is_loaded(self) and not runs_sync():
            return f"<{describe(self)}, not awaited>"
        return represent(self)

    return __repr__


def indexed(getitem: Callable) -> Callable:
    """`__getitem__` for both modes: what needs a query is to be awaited."""

    @functools.wraps(getitem)
    def __getitem__(self: Any, k: Any) -> Any:
        lazy = isinstance(k, slice) and k.step is None
        if lazy or is_loaded(self) or runs_sync():
            return getitem(self, k)
        name = f"{type(self).__name__}.__getitem__"
        return begin(__getitem__, name, run, getitem, self, k)

    return __getitem__


def streamed(iterator: Callable) -> Callable:
    """`iterator()` for both modes: in async mode a `Stream`."""

    @functools.wraps(iterator)
    def dual(self: Any, *args: Any, **kwargs: Any) -> Any:
        if runs_sync():
            return iterator(self, *args, **kwargs)
        # A router that picks a replica is asked once.
        queryset = self.using(self.db) if hasattr(self, "using") else self
        return Stream(queryset, iterator(queryset, *args, **kwargs))

    return dual


def streamed_natively(aiterator: Callable) -> Callable:
    """`aiterator()`: the same stream under Django's async name."""

    @functools.wraps(aiterator)
    async def native(self: Any, chunk_size: int = 2000) -> AsyncIterator[Any]:
        queryset = self.using(self.db)
        # In the bridge, where an iterator() that a user overrides is plain, too.
        stream = Stream(queryset, await run(queryset.iterator, chunk_size))
        async with aclosing(aiter(stream)) as rows:
            async for row in rows:
                yield row

    return native


class Stream:
    """
    The rows of a queryset, a chunk at a time: `async for album in qs.iterator()`.

    Outside a transaction it holds a connection of its own from the first row to the
    last, so the loop's body may use the database. Leaving the loop early closes it.

    Args:
        queryset: What is streamed.
        rows: Django's own sync generator over it, not yet started.
    """

    CHUNK_ROWS = 100

    def __init__(self, queryset: Any, rows: Generator[Any, None, None]) -> None:
        self.queryset = queryset
        self.rows = rows
        # Whether the cursor is closed; and whether that was at the end of the rows.
        self.ended = self.exhausted = False

    async def __aiter__(self) -> AsyncGenerator[Any, None]:
        if self.exhausted:
            return
        alias = self.queryset.db
        scope = current_scope.get()
        lease = nearest_lease(scope, alias)
        own = None
        if lease is None:
            own = scope = Scope(scope, block="iterator()")
        try:
            if own is not None:
                await own.acquire(alias)
            else:
                cast(Lease, lease).streams.add(self)
            try:
                while chunk := await _run_in(scope, self._chunk, alias):
                    for row in chunk:
                        yield row
                self.exhausted = True
            finally:
                if not self.ended:
                    # Closes the cursor in the server, which is a wait.
                    await _run_in(scope, self._close, alias)
        finally:
            if own is not None:
                own.close()
            else:
                cast(Lease, lease).streams.discard(self)

    def _chunk(self, alias: str) -> list[Any]:
        if self.ended:
            raise ScopeClosedError(
                f"{self!r} on database {alias!r} was read on after the block that it "
                f"was started in had ended, and its cursor with it. Read it to its end "
                f"inside the block, or start it outside."
            )
        # Waits for the turn, if a sibling has it.
        _ = connections[alias]
        return list(islice(self.rows, self.CHUNK_ROWS))

    def _close(self, alias: str) -> None:
        _ = connections[alias]
        self.end()

    def end(self) -> None:
        """Close the cursor. In the bridge; switches to the event loop."""
        self.ended = True
        self.rows.close()

    def __iter__(self) -> NoReturn:
        raise NotAwaitedError(
            f"The iterator() of a {describe(self.queryset)} was iterated with `for` "
            f"on the event loop, where it would block. Write `async for`."
        )

    def __repr__(self) -> str:
        return f"<Stream of {self.queryset.model.__name__}>"


async def _run_in(scope: Scope | None, fn: Callable, *args: Any) -> Any:
    """
    Run *fn* in the bridge with *scope* current.

    Set around each run, not once: between two rows the caller's own code runs in this
    context, and the clean-up may run in another.
    """
    token = current_scope.set(scope)
    try:
        return await run(fn, *args)
    finally:
        current_scope.reset(token)
