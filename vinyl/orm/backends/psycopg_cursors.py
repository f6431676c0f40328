"""What vinyl adds to the cursor classes of psycopg, whichever one Django chooses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

from vinyl.bridge.greenlets import current_shield

__all__ = ["is_stale_plan", "recovering_cursor_class", "server_cursor_class"]


@cache
def server_cursor_class(cls: Any) -> type:
    """
    A subclass of *cls*, a class of server-side cursors, for one that no cancellation
    leaves open in the server, and that is closed without complaint where its session
    has ended. Objects of *cls* can take it on.
    """

    class ServerCursor(cls):  # type: ignore[misc]  # known at runtime only
        # Of the same layout as *cls*.
        __slots__ = ()

        def execute(self, *args: Any, **kwargs: Any) -> Any:
            try:
                return super().execute(*args, **kwargs)
            except asyncio.CancelledError:
                # Django closes it after an Exception, which this is not.
                self.close()
                raise

        def close(self) -> None:
            with current_shield().up():
                try:
                    self._close_in_server()
                except psycopg.Error:
                    # Of any class: an idle transaction ends in an InternalError.
                    if not self.connection.closed:
                        raise
                finally:
                    if self.connection.closed:
                        # The session's end was the cursor's; here, no I/O is needed.
                        psycopg.Cursor.close(self)

        def _close_in_server(self) -> None:
            try:
                super().close()
            except asyncio.CancelledError:
                # It was the CLOSE that the cancellation hit.
                if not self.connection.closed:
                    super().close()
                raise

    return ServerCursor


def is_stale_plan(error: BaseException) -> bool:
    """
    Whether *error* says that a prepared statement gives other columns than when it was
    prepared, as after a migration. Never switches.
    """
    return isinstance(error, psycopg.errors.FeatureNotSupported) and (
        # The message is translated; other servers may not name PostgreSQL's function.
        error.diag.source_function == "RevalidateCachedQuery"
        or "cached plan must not change result type" in str(error)
    )


@cache
def recovering_cursor_class(cls: Any) -> type:
    """
    A subclass of *cls*, a class of cursors, that prepares its statements anew where a
    migration has changed what they return. psycopg would execute the stale statement
    again and again, until the session ends or rolls back.

    Outside a transaction the failed statement is repeated: nothing of it has remained.
    Inside one the error is raised, for the server refuses whatever follows; the next
    statement that it accepts is preceded by forgetting all prepared ones.
    """

    class RecoveringCursor(cls):  # type: ignore[misc]  # known at runtime only
        __slots__ = ()

        def execute(self, *args: Any, **kwargs: Any) -> Any:
            return self._retry_stale(partial(super().execute, *args, **kwargs))

        def executemany(self, query: Any, params_seq: Any, **kwargs: Any) -> Any:
            # Without pipelines each row is a transaction of its own, and an iterator
            # cannot be read again.
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
                    error.add_note(_NOTE)
                    raise
                if not repeatable:
                    raise
            return self._retry_stale(call, repeatable=False)

    return RecoveringCursor


_NOTE = (
    "A schema change, such as a migration, made a prepared statement invalid. It will "
    "be prepared again: roll the transaction back and run it again, as "
    "transaction.retry_on_conflict() does."
)


def _forget_plans(connection: Any) -> None:
    """
    Have the server and psycopg forget all prepared statements, where the server
    accepts commands. psycopg forgets when it sees the reply.
    """
    if connection.info.transaction_status in (
        TransactionStatus.IDLE,
        TransactionStatus.INTRANS,
    ):
        connection.has_stale_plans = False
        # psycopg looks at replies to texts that are new to it: not the user's own.
        connection.execute("DEALLOCATE ALL /* stale */", prepare=False)
