"""
`connection` and `connections`: Django's own objects, with the types of what they return
in both modes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import django.db

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper
    from django.db.utils import ConnectionHandler

    from vinyl.orm.dualmode.cursors import AsyncCursor
    from vinyl.orm.dualmode.notifications import Notifications

    class Cursor(CursorWrapper):
        """What `connection.cursor()` returns: `with` on it, or `async with`."""

        async def __aenter__(self) -> AsyncCursor: ...
        async def __aexit__(self, *exc_info: object) -> None: ...

    class Block(AbstractContextManager[Any], AbstractAsyncContextManager[Any]):
        """What `connection.pinned()` returns: `with` on it, or `async with`."""

    class Connection(BaseDatabaseWrapper):
        """A connection whose methods return `Any` where async code awaits them."""

        def cursor(self) -> Cursor: ...
        def chunked_cursor(self) -> Cursor: ...
        def pinned(self) -> Block: ...
        def listen(
            self, *channels: str, timeout: float | None = None
        ) -> Notifications: ...
        def on_commit(self, func: Any, robust: bool = False) -> Any: ...
        def commit(self) -> Any: ...
        def rollback(self) -> Any: ...
        def close(self) -> Any: ...
        def savepoint(self) -> Any: ...
        def savepoint_commit(self, sid: str) -> Any: ...
        def savepoint_rollback(self, sid: str) -> Any: ...
        def check_constraints(self, table_names: Any = None) -> Any: ...
        def get_autocommit(self) -> Any: ...
        def set_autocommit(
            self,
            autocommit: bool,
            force_begin_transaction_with_broken_autocommit: bool = False,
        ) -> Any: ...

    class Connections(ConnectionHandler):
        """The connections by alias."""

        def __getitem__(self, alias: str) -> Connection: ...
        def all(self, initialized_only: bool = False) -> Sequence[Connection]: ...
        def close_all(self) -> Any: ...


__all__ = ["connection", "connections"]

connection: Connection = cast(Any, django.db.connection)
connections: Connections = cast(Any, django.db.connections)
