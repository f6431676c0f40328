"""
The mixin that makes a backend built on Django's PostgreSQL backend dual-mode.

Its connection is a `BridgeConnection` (psycopg_connection.py).
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import weakref
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any, LiteralString, cast

import psycopg
from django.db.utils import DatabaseErrorWrapper
from psycopg import sql
from psycopg.pq import ConnStatus, Format, PipelineStatus, TransactionStatus

from vinyl.bridge.mode import runs_sync
from vinyl.orm import backends
from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.backends.psycopg_adapters import (
    TIMESTAMPTZ,
    OwnAdapters,
    adapters_from,
)
from vinyl.orm.observe.events import driver_error

if TYPE_CHECKING:
    from vinyl.bridge.cancellation import Shield
    from vinyl.orm.backends.pipelines import Read, Replies
    from vinyl.orm.backends.psycopg_connection import BridgeConnection
    from vinyl.orm.backends.statements import Statement

__all__ = ["PsycopgMixin"]

# psycopg's own default, for the statements of plans.
PREPARE_THRESHOLD = 5


class _Database(ModuleType):
    """The module `psycopg` as Django's backend sees it, with our connection class."""

    @staticmethod
    def connect(*args: Any, **kwargs: Any) -> BridgeConnection:
        # Imported with the first connection: it takes as long as five modules.
        return backends.psycopg_connection.BridgeConnection.connect(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(psycopg, name)


def _ends_session(error: BaseException) -> bool:
    """Whether *error* is one with which the server ends the session."""
    return isinstance(error, psycopg.Error) and (
        error.diag.severity_nonlocalized in ("FATAL", "PANIC")
    )


def _is_away(message: str) -> bool:
    """
    Whether *message*, of a connect that failed, means that no server listens, that it
    is starting or stopping, or that none has the role that `target_session_attrs` asks
    for, as before a standby is promoted. libpq gives the text only, and no code.
    """
    return (
        os.strerror(errno.ECONNREFUSED) in message
        or os.strerror(errno.ECONNRESET) in message
        # The folder of a Unix socket exists, and the socket does not.
        or (".s.PGSQL." in message and os.strerror(errno.ENOENT) in message)
        or any(text in message for text in _AWAY)
    )


# The errors that PostgreSQL calls `cannot_connect_now`, and what libpq says if the
# server ends while it connects, or has another role.
_AWAY = (
    "the database system is starting up",
    "the database system is shutting down",
    "the database system is in recovery mode",
    "the database system is not yet accepting connections",
    "server closed the connection unexpectedly",
    "session is read-only",
    "session is not read-only",
    "server is in hot standby mode",
    "server is not in hot standby mode",
)


class _ErrorWrapper(DatabaseErrorWrapper):
    """
    Translates psycopg's errors into Django's. On the event loop every error that ends
    the session becomes an `OperationalError`; in some cases, such as
    `idle_in_transaction_session_timeout`, psycopg's class is `InternalError`.
    """

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        if exc_type is None:
            return
        if isinstance(exc_value, psycopg.Error) and _ends_session(exc_value):
            # Outside the bridge, a plan has run on the event loop itself.
            if cast(Any, self).wrapper.is_guarded() or not runs_sync():
                exc_type = psycopg.OperationalError
        super().__exit__(exc_type, exc_value, traceback)


class PsycopgMixin(BridgeMixin):
    """
    Makes a backend based on Django's PostgreSQL backend dual-mode:

        class DatabaseWrapper(PsycopgMixin, postgis.DatabaseWrapper): ...
    """

    Database: Any = _Database("psycopg")
    # OPTIONS["pool"] configures vinyl's pool, which serves event loops. Each thread has
    # its own connection, as without a pool.
    pool: Any = None
    can_listen = True

    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super().get_connection_params()
        params["context"] = adapters_from(params["context"])
        return params

    def get_new_connection(self, conn_params: Any) -> Any:
        connection = super().get_new_connection(conn_params)
        connection.wrapper = weakref.ref(self)
        connection._adapters = OwnAdapters(connection.adapters)
        # Others may be used by one event loop after another, or by threads.
        connection.reader.is_kept = self.loan is None and self.pooled_id == id(self)
        connection.prepared.threshold = self._prepare_threshold()
        loader = connection.adapters.get_loader(TIMESTAMPTZ, Format.TEXT)
        # The loader that Django has registered has it, psycopg's own has not.
        connection.timezone_of_loader = getattr(loader, "timezone", object())
        return connection

    def _prepare_threshold(self) -> int | None:
        """How often the statement of a plan runs before it is prepared."""
        options = self.settings_dict["OPTIONS"]
        if "prepare_threshold" in options:
            threshold: int | None = options["prepare_threshold"]
            return threshold
        # Set for a pooler that gives each transaction another session.
        pooled = self.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
        return None if pooled else PREPARE_THRESHOLD

    @cached_property
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        return _ErrorWrapper(self)

    def create_cursor(self, name: str | None = None) -> Any:
        cursor = super().create_cursor(name)
        classes = backends.psycopg_cursors
        # Django chooses the class by its settings, and no other can be passed in.
        if name is not None:
            cursor.__class__ = classes.server_cursor_class(cursor.__class__)
        else:
            cls = classes.noting_cursor_class(cursor.__class__)
            # A ClientCursor binds parameters in the client and never prepares.
            is_client = isinstance(cursor, psycopg.ClientCursor)
            cursor.__class__ = (
                cls if is_client else classes.recovering_cursor_class(cls)
            )
        return cursor

    def leave_loop(self) -> None:
        if self.connection is not None:
            self.connection.reader.is_kept = False
            self.connection.reader.stop()

    def rejoin_loop(self) -> None:
        if self.connection is not None:
            self.connection.reader.is_kept = self.pooled_id == id(self)

    def can_fetch(self) -> bool:
        connection = self.connection
        return (
            # Or Django's cursor says that it is closed.
            connection.pgconn.status == ConnStatus.OK
            and connection.pgconn.pipeline_status == PipelineStatus.OFF
            # Cursors that Django makes have loaders of their own if it is not so.
            and self.timezone is connection.timezone_of_loader
        )

    def fetch_rows(self, statement: Statement, params: tuple[Any, ...]) -> list[Any]:
        rows: list[Any] = self.connection.fetch(statement, params)
        return rows

    def fetch_rows_on_loop(
        self, statement: Statement, params: tuple[Any, ...]
    ) -> Coroutine[Any, Any, list[Any]]:
        # Not a coroutine around a coroutine.
        rows: Coroutine[Any, Any, list[Any]]
        rows = self.connection.fetch_on_loop(statement, params)
        return rows

    def has_arrays_of(self, db_types: Sequence[str]) -> bool:
        return all(map(backends.psycopg_arrays.has_arrays_of, db_types))

    def arrays_of(
        self, db_types: Sequence[str], columns: Sequence[Sequence[Any]]
    ) -> tuple[Any, ...] | None:
        return backends.psycopg_arrays.arrays_of(self.connection, db_types, columns)

    def has_pipelines(self) -> bool:
        return (
            backends.psycopg_statements.CAN_PIPELINE
            and self.connection is not None
            # Set for a pooler, which may not follow several statements at once.
            and not self.settings_dict.get("DISABLE_SERVER_SIDE_CURSORS")
        )

    async def fetch_together_on_loop(
        self, reads: list[Read], replies: Replies, syncs_once: bool = False
    ) -> None:
        await self.connection.fetch_together_on_loop(reads, replies, syncs_once)

    def begin_nowait(self, *, is_checked: bool) -> bool:
        connection = self.connection
        if (
            connection is None
            or not self.autocommit
            or not connection.autocommit
            or not self.can_fetch()
            or not self.connection_is_idle()
            # Then it is replaced with another one.
            or (not is_checked and connection.has_ended())
        ):
            return False
        connection.set_autocommit_nowait(False)
        self.autocommit = False
        return True

    def can_commit_on_loop(self) -> bool:
        return self.connection is not None and self.can_fetch()

    async def commit_on_loop(self, shield: Shield) -> None:
        try:
            await self.connection.commit_on_loop(shield)
        except self.Database.Error:
            with self.wrap_database_errors:
                raise
        self.connection.set_autocommit_nowait(True)
        self.autocommit = True

    def listen_to(
        self,
        channels: Sequence[str],
        handle: Callable[[psycopg.Notify], None] | None = None,
    ) -> None:
        """
        Connect and listen to *channels*. Switches to the event loop in the bridge.

        Args:
            handle: Called with each notification, in place of `received()`.
        """
        self.ensure_connection()
        # No notification arrives inside a transaction, so the setting is overridden.
        self.set_autocommit(True)
        if handle is not None:
            # Before LISTEN, whose reply may come with notifications.
            self.connection.add_notify_handler(handle)
        self._change_channels("LISTEN {}", channels)

    def change_channels(self, listen: Sequence[str], unlisten: Sequence[str]) -> None:
        """
        Listen to *listen* as well, and no longer to *unlisten*. Switches to the event
        loop in the bridge.
        """
        if listen:
            self._change_channels("LISTEN {}", listen)
        if unlisten:
            self._change_channels("UNLISTEN {}", unlisten)

    def _change_channels(self, command: LiteralString, channels: Sequence[str]) -> None:
        # In one command, so that no notification arrives between two of them.
        commands = sql.SQL("; ").join(
            sql.SQL(command).format(sql.Identifier(name)) for name in channels
        )
        with self.wrap_database_errors:
            self.connection.execute(commands)

    def receive(self) -> asyncio.Future[Any]:
        """See `BridgeConnection.receive()`. Never switches."""
        future: asyncio.Future[Any] = self.connection.receive()
        return future

    def stop_receiving(self) -> None:
        """End what `receive()` has begun. Never switches."""
        if self.connection is not None:
            self.connection.reader.release()

    def received(self, timeout: float | None) -> list[psycopg.Notify]:
        """
        Wait for notifications and return those that have arrived. The list is empty
        after *timeout* seconds without one. Switches to the event loop in the bridge.
        """
        with self.wrap_database_errors:
            return list(self.connection.notifies(timeout=timeout, stop_after=1))

    def hang_up(self) -> None:
        """
        End the session while other code waits for the server: its wait ends with an
        `OperationalError`. Never switches.
        """
        with suppress(OSError, psycopg.Error):
            with socket.socket(fileno=os.dup(self.connection.fileno())) as copy:
                copy.shutdown(socket.SHUT_RDWR)

    def close_pool(self) -> None:
        """Do nothing: the pool of an event loop closes with the loop."""

    def connection_is_idle(self) -> bool:
        pgconn = self.connection.pgconn
        return (
            pgconn.status == ConnStatus.OK
            and pgconn.transaction_status == TransactionStatus.IDLE
        )

    def transaction_is_lost(self) -> bool:
        # The status is another one after a rollback to a savepoint.
        status = self.connection.pgconn.transaction_status
        return status == TransactionStatus.INERROR

    def is_alive(self) -> bool:
        # An idle session receives only the error that ends it.
        return not self.connection.has_input()

    def may_replace_session(self) -> bool:
        return (
            self.pooled_id == id(self)
            and not self.is_pinned
            and not self.in_atomic_block
            and self.autocommit
        )

    def session_has_ended(self) -> bool:
        return self.connection.has_ended()

    def session_is_lost(self, error: Exception) -> bool:
        if self.connection is None:
            return False
        return self.connection.closed or _ends_session(driver_error(error))

    def server_is_away(self, error: Exception) -> bool:
        cause = driver_error(error)
        return self.session_is_lost(error) or (
            isinstance(cause, psycopg.OperationalError) and _is_away(str(cause))
        )

    def drop_connection(self) -> None:
        # This sends the Terminate message and closes the socket without waiting.
        self.connection.close()

    def cut_off(self) -> None:
        # The Terminate message must not be sent over the parent's socket.
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, self.connection.pgconn.socket, inheritable=False)
        os.close(nowhere)
        self.connection.close()
