"""psycopg's COPY on the event loop: `async with cursor.copy(...) as copy:`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Self, cast

from vinyl.bridge.greenlets import run
from vinyl.bridge.tasks import running_task
from vinyl.exceptions import ScopeClosedError
from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.scopes.lease import Lease
from vinyl.orm.scopes.scope import is_lost

if TYPE_CHECKING:
    from vinyl.orm.dualmode.cursors import AsyncCursor

__all__ = ["AsyncCopy"]


class AsyncCopy:
    """
    psycopg's Copy on the event loop. `write()`, `write_row()`, `read()` and
    `read_row()` are awaited; `rows()` and the object itself are iterated with
    `async for`.

    Raises:
        ScopeClosedError: On entering, if the cursor's block has ended.

    Entering and leaving the block, reading and writing switch to the event loop.
    """

    def __init__(
        self, cursor: AsyncCursor, arguments: tuple[tuple[Any, ...], dict[Any, Any]]
    ) -> None:
        self._cursor = cursor
        self._arguments = arguments
        self._manager: Any = None
        self._copy: Any = None
        self._lease: Lease = None  # type: ignore[assignment]

    async def __aenter__(self) -> Self:
        args, kwargs = self._arguments
        opened = self._cursor._opened("copy")
        scope = self._cursor.scope
        if scope is not None:
            self._lease = scope.leases[self._cursor.alias]
        # Held for the whole block: during a COPY the connection can do nothing else.
        if scope is None or not await self._lease.lock.acquire():
            raise ScopeClosedError(
                f"cursor.copy() was called after the cursor's block on database "
                f"{self._cursor.alias!r} had ended, so the cursor is closed. Inside "
                f"the block, await the task that calls cursor.copy()."
            )
        self._lease.lock.holder = running_task()
        try:
            # psycopg's cursor itself, because Django's has no copy().
            self._manager = opened.cursor.copy(*args, **kwargs)
            self._copy = await self._run(self._manager.__enter__)
        except BaseException:
            self._release()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> bool | None:
        if exc_info[0] is not None:
            # Django's cursor, which would have noted the error, is not involved.
            cast(BridgeMixin, self._lease.wrapper).note_interruption()
        try:
            if is_lost(self._cursor.scope, exc_info):
                # The cursor's block drops the connection, and the COPY with it.
                return None
            return await self._run(self._manager.__exit__, *exc_info)
        finally:
            self._release()

    async def _run(self, fn: Callable[..., Any], *args: Any) -> Any:
        """Call psycopg's *fn* in the bridge, translating its errors to Django's."""
        return await run(self._lease.wrapper.wrap_database_errors(fn), *args)

    def _release(self) -> None:
        self._lease.lock.holder = None
        self._lease.lock.release()

    def set_types(self, types: Any) -> None:
        """Set the types of the columns, as in psycopg. Never switches."""
        self._copy.set_types(types)

    async def write(self, data: bytes | str) -> None:
        """Send *data*, in the format of the COPY. Switches to the event loop."""
        await self._run(self._copy.write, data)

    async def write_row(self, row: Any) -> None:
        """Send one row, a sequence of values. Switches to the event loop."""
        await self._run(self._copy.write_row, row)

    async def read(self) -> bytes:
        """
        Return the next block of data, empty at the end. Switches to the event loop.
        """
        return await self._run(self._copy.read)

    async def read_row(self) -> tuple[Any, ...] | None:
        """Return the next row, or None at the end. Switches to the event loop."""
        return await self._run(self._copy.read_row)

    async def rows(self) -> AsyncIterator[tuple[Any, ...]]:
        """Iterate over the rows. Switches to the event loop."""
        while (row := await self.read_row()) is not None:
            yield row

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while data := await self.read():
            yield data
