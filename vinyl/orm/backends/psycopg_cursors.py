"""Subclasses of the cursor classes of psycopg, whichever one Django chooses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from vinyl.bridge.greenlets import current_shield
from vinyl.orm.backends.collection import with_pauses
from vinyl.orm.backends.psycopg_adapters import TIMESTAMPTZ, is_in_utc
from vinyl.orm.backends.psycopg_formats import format_of

__all__ = [
    "STALE_PLAN_NOTE",
    "is_stale_plan",
    "noting_cursor_class",
    "recovering_cursor_class",
    "server_cursor_class",
]


@cache
def server_cursor_class(cls: Any) -> type:
    """
    Return a subclass of *cls*, a class of server-side cursors. A cancellation does not
    leave its cursors open in the server, closing one after its session has ended is no
    error, rows come in binary if that is faster, and the garbage collector does not run
    while they are loaded. It can be assigned to `__class__` of an object of *cls*.
    Never switches.
    """

    class ServerCursor(cls):  # type: ignore[misc]  # known at runtime only
        # The same layout as *cls*, as an assignment to __class__ requires.
        __slots__ = ()

        def execute(self, *args: Any, **kwargs: Any) -> Any:
            try:
                return super().execute(*args, **kwargs)
            except asyncio.CancelledError:
                # Django closes it after an Exception only.
                self.close()
                raise

        def _describe_gen(self) -> Any:
            yield from super()._describe_gen()
            result = self.pgresult
            oids = {result.ftype(number) for number in range(result.nfields)}
            # The session's time zone decides how psycopg reads datetimes in binary.
            if TIMESTAMPTZ not in oids or is_in_utc(self.connection):
                # A slot of psycopg's class.
                self._format = format_of(self, oids)  # type: ignore[misc]
                self._select_current_result(0, format=self._format)

        def _fetch_gen(self, num: int | None) -> Any:
            return with_pauses(super()._fetch_gen(num))

        def close(self) -> None:
            with current_shield().up():
                try:
                    self._close_in_server()
                except psycopg.Error:
                    # Any class: the timeout of an idle transaction is an InternalError.
                    if not self.connection.closed:
                        raise
                finally:
                    if self.connection.closed:
                        # The cursor ended with the session: close it without I/O.
                        psycopg.Cursor.close(self)

        def _close_in_server(self) -> None:
            try:
                super().close()
            except asyncio.CancelledError:
                # The cancellation stopped the CLOSE itself.
                if not self.connection.closed:
                    super().close()
                raise

    return ServerCursor


def is_stale_plan(error: BaseException) -> bool:
    """
    Whether *error* means that the columns of a prepared statement have changed since it
    was prepared, as after a migration. Never switches.
    """
    return isinstance(error, psycopg.errors.FeatureNotSupported) and (
        # The message is translated; other servers may not name PostgreSQL's function.
        error.diag.source_function == "RevalidateCachedQuery"
        or "cached plan must not change result type" in str(error)
    )


@cache
def recovering_cursor_class(cls: Any) -> type:
    """
    Return a subclass of *cls*, a class of cursors, that prepares statements again after
    a migration has changed their columns. psycopg would execute the stale statement
    until the session ends or rolls back.

    Outside a transaction the failed statement, which has had no effect, is repeated.
    Inside a transaction the error is raised, because the server refuses all further
    statements; all prepared statements are forgotten before the next statement that the
    server accepts. Never switches.
    """

    class RecoveringCursor(cls):  # type: ignore[misc]  # known at runtime only
        __slots__ = ()

        def execute(self, *args: Any, **kwargs: Any) -> Any:
            return self._retry_stale(partial(super().execute, *args, **kwargs))

        def executemany(self, query: Any, params_seq: Any, **kwargs: Any) -> Any:
            # Without pipelines each row is a separate transaction, and an iterator
            # cannot be read twice.
            repeatable = psycopg.Pipeline.is_supported() and isinstance(
                params_seq, Sequence
            )
            call = partial(super().executemany, query, params_seq, **kwargs)
            return self._retry_stale(call, repeatable)

        def _retry_stale(
            self, call: Callable[..., Any], repeatable: bool = True
        ) -> Any:
            connection = self.connection
            if connection.has_stale_plans:
                _forget_plans(connection)
            try:
                return call()
            except psycopg.errors.FeatureNotSupported as error:
                if not is_stale_plan(error):
                    raise
                connection.has_stale_plans = True
                if connection.info.transaction_status != TransactionStatus.IDLE:
                    error.add_note(STALE_PLAN_NOTE)
                    raise
                if not repeatable:
                    raise
            return self._retry_stale(call, repeatable=False)

    return RecoveringCursor


STALE_PLAN_NOTE = (
    "A schema change, such as a migration, made a prepared statement invalid. It will "
    "be prepared again: roll the transaction back and run it again, as "
    "transaction.retry_on_conflict() does."
)


def _forget_plans(connection: Any) -> None:
    """
    Make the server and psycopg forget all prepared statements, if the server accepts
    commands. psycopg forgets its own when it reads the reply.
    """
    if connection.info.transaction_status in (
        TransactionStatus.IDLE,
        TransactionStatus.INTRANS,
    ):
        connection.has_stale_plans = False
        # psycopg checks the reply only if it does not know the statement's text. The
        # comment makes the text differ from a user's DEALLOCATE ALL.
        connection.execute("DEALLOCATE ALL /* stale */", prepare=False)
        connection.prepared.forget()


@cache
def noting_cursor_class(cls: Any) -> type:
    """
    Return a subclass of *cls*, a class of cursors. After a command that changes the
    schema, the statements that plans have prepared are forgotten. Never switches.
    """

    class NotingCursor(cls):  # type: ignore[misc]  # known at runtime only
        __slots__ = ()

        def execute(self, *args: Any, **kwargs: Any) -> Any:
            cursor = super().execute(*args, **kwargs)
            connection = self.connection
            connection.prepared.note(connection, self.statusmessage)
            return cursor

    return NotingCursor
