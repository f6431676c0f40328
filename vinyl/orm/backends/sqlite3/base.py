"""
ENGINE "vinyl.orm.backends.sqlite3": Django's backend in both modes.

SQLite's own wait for a lock cannot be interrupted. Inside the bridge it therefore waits
for a short slice at a time, and a statement that ends as busy is repeated until the
timeout has passed or the task is cancelled.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from typing import Any, TypeVar, cast

from django.db import Error
from django.db.backends.sqlite3 import base

from vinyl.bridge.mode import refuse_to_block
from vinyl.orm.backends.inline import Inline
from vinyl.orm.backends.sqlite3.converters import inline
from vinyl.orm.backends.statements import Statement
from vinyl.orm.backends.threaded import ThreadedConnection, ThreadedMixin
from vinyl.orm.backends.worker import Worker

__all__ = ["DatabaseWrapper"]

T = TypeVar("T")

# SQLite's busy timeout, in seconds: how long a wait for a lock cannot be interrupted.
SLICE = 0.05
# sqlite3's own default if OPTIONS has no "timeout", in seconds.
PATIENCE = 5.0
# How long to sleep if SQLite did not wait for a lock, in seconds.
PAUSE = 0.005
# Names of calls that commit. Setting isolation_level does if a transaction is open.
COMMITS = ("commit", "isolation_level")

_sets_patience = re.compile(r"\s*PRAGMA\s+(\w+\.)?busy_timeout\s*[=(]", re.I).match


class DatabaseWrapper(ThreadedMixin, base.DatabaseWrapper):
    """An SQLite connection, which has its own worker thread inside the bridge."""

    # How long to wait for a lock in total, in seconds.
    patience = PATIENCE
    init_commands: list[str]

    def get_new_connection(self, conn_params: Any) -> Any:
        if not self.is_guarded():
            return super().get_new_connection(conn_params)
        self.patience = conn_params.get("timeout", PATIENCE)
        # Django would execute them while it connects, which is not repeated if busy.
        commands, self.init_commands = self.init_commands, []
        try:
            connection = super().get_new_connection(
                {**conn_params, "timeout": self.slice}
            )
        finally:
            self.init_commands = commands
        try:
            for command in filter(None, map(str.strip, commands)):
                connection.worker.call(
                    self._execute_once, connection.raw, command, name="execute"
                )
        except BaseException:
            connection.worker.close(connection.closing())
            raise
        return connection

    def _execute_once(self, raw: Any, command: str) -> None:
        raw.execute(command).close()
        self.note_patience(raw, command)

    def create_cursor(self, name: str | None = None) -> Any:
        if not isinstance(self.connection, ThreadedConnection):
            return super().create_cursor(name)
        return self.connection.cursor(
            factory=partial(Cursor, worker=self.connection.worker)
        )

    @property
    def slice(self) -> float:
        """How long SQLite waits for a lock at a time, in seconds. Never switches."""
        return min(SLICE, self.patience)

    def note_patience(self, raw: Any, query: str) -> None:
        """
        In the thread: if *query* was a `PRAGMA busy_timeout`, use it for the total
        wait. Never switches.
        """
        if _sets_patience(query):
            [milliseconds] = raw.execute("PRAGMA busy_timeout").fetchone()
            self.patience = milliseconds / 1000
            _set_busy_timeout(raw, self.slice)

    @contextmanager
    def waiting_for(self, raw: Any, seconds: float) -> Iterator[None]:
        """
        In the thread: in the block, SQLite waits up to *seconds* at a time. Never
        switches.
        """
        _set_busy_timeout(raw, seconds)
        try:
            yield
        finally:
            _set_busy_timeout(raw, self.slice)

    def call_driver(self, call: Callable[[], T], name: str, worker: Worker) -> T:
        if name in ("executemany", "executescript"):
            # Must not be repeated: some of its statements may have been executed.
            with self.waiting_for(worker.raw, self.patience):
                return call()
        return self.repeat(call, worker, commits=name in COMMITS)

    def repeat(
        self,
        call: Callable[[], T],
        worker: Worker,
        *,
        commits: bool = False,
        may: Callable[[], bool] = lambda: True,
    ) -> T:
        """
        In the thread: return `call()`, repeated while SQLite is busy.

        Args:
            commits: Whether *call* commits. If a cancellation ends it, the transaction
                is rolled back: Django assumes that it has ended, and would commit it
                later.
            may: Called after a failure; returns whether *call* may be repeated.

        Never switches.
        """
        waited = 0.0
        while True:
            started = time.monotonic()
            try:
                return call()
            except sqlite3.OperationalError as error:
                if worker.interrupted and commits and worker.raw.in_transaction:
                    worker.raw.rollback()
                took = time.monotonic() - started
                busy = _is_busy(error, worker.raw)
                if busy:
                    # After a timeout SQLite may not wait at all the next time.
                    _set_busy_timeout(worker.raw, self.slice)
                # SQLite does not wait if that would end in a deadlock. If it has waited
                # once there is none, because a failed attempt changes nothing.
                has_waited = took >= self.slice * 0.9
                if (
                    not (busy and (has_waited or waited))
                    or worker.interrupted
                    or not may()
                ):
                    raise
                if not has_waited:
                    time.sleep(PAUSE)
                waited += min(self.slice, took + PAUSE)
                if waited >= self.patience:
                    raise

    def interrupt(self, raw: Any) -> None:
        raw.interrupt()

    def close_raw(self, raw: Any, cursors: list[Any]) -> None:
        # A cursor whose rows have not all been read keeps the file open and locked, as
        # long as anything, such as the traceback of a task, refers to it.
        for cursor in cursors:
            with suppress(sqlite3.Error):
                cursor.close()
        raw.close()

    def can_fetch(self) -> bool:
        try:
            # Fails if the connection is closed; Django's cursor raises the error then.
            _ = _raw(self.connection).in_transaction
        except sqlite3.ProgrammingError:
            return False
        # A subclass may have cursors of its own.
        return type(self).create_cursor is DatabaseWrapper.create_cursor

    def inline_converter(
        self, column: Any, number: int, converters: list[Callable[..., Any]]
    ) -> Inline | None:
        return inline(column, number, converters, self.ops)

    def fetch_rows(self, statement: Statement, params: tuple[Any, ...]) -> list[Any]:
        connection = self.connection
        if not isinstance(connection, ThreadedConnection):
            return _rows(connection, statement, params)
        refuse_to_block("This connection")
        return connection.worker.call(
            _rows, connection.raw, statement, params, name="execute"
        )

    async def fetch_rows_on_loop(
        self, statement: Statement, params: tuple[Any, ...]
    ) -> list[Any]:
        connection = self.connection
        if not isinstance(connection, ThreadedConnection):
            return _rows(connection, statement, params)
        worker = connection.worker
        fetch = partial(_rows, connection.raw, statement, params)
        return await worker.call_on_loop(partial(self.repeat, fetch, worker))

    def detach_cursors(self) -> bool:
        """
        See BridgeMixin. Without a WAL, an unread result prevents other connections from
        committing. An in-memory database has only one connection, which others need.
        """
        if not isinstance(self.connection, ThreadedConnection):
            return False
        worker = self.connection.worker
        unread = [cursor for cursor in self.connection.cursors if cursor.more]
        if unread and worker.call(_journal_mode, worker.raw) == "wal":
            return False
        for cursor in unread:
            cursor.detach()
        return True

    def connection_is_idle(self) -> bool:
        return not _raw(self.connection).in_transaction

    # Whether a cancelled query has rolled the transaction back. The next statement
    # begins a new one, so SQLite cannot be asked later.
    has_rolled_back = False

    def note_interruption(self) -> None:
        self.has_rolled_back &= self.query_was_cancelled
        super().note_interruption()
        if self.query_was_cancelled and self.connection is not None:
            self.has_rolled_back |= not self.connection.in_transaction

    def transaction_is_lost(self) -> bool:
        return self.has_rolled_back

    def _rollback(self) -> None:
        super()._rollback()
        self.has_rolled_back = False

    def _start_transaction_under_autocommit(self) -> None:
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except asyncio.CancelledError:
            # BEGIN may still have succeeded. The next statements of this connection
            # would become part of that transaction, and be lost with it.
            if self.connection is not None and self.connection.in_transaction:
                try:
                    self._rollback()
                except Error:
                    self.discard()
            raise

    def recover(self) -> bool:
        """See BridgeMixin. An in-memory database ends with its connection."""
        if not isinstance(self.connection, ThreadedConnection):
            return False
        worker = self.connection.worker
        worker.submit(worker.raw.rollback)
        worker.submit(partial(setattr, worker.raw, "isolation_level", None))
        self.autocommit = self.commit_on_exit = True
        self.in_atomic_block = self.closed_in_transaction = False
        self.needs_rollback = self.query_was_cancelled = self.has_rolled_back = False
        self.savepoint_ids, self.atomic_blocks, self.run_on_commit = [], [], []
        return True


class Cursor(base.SQLiteCursorWrapper):
    """
    Django's cursor, used in the worker thread.

    Args:
        worker: The worker of the cursor's connection.
    """

    def __init__(self, raw: Any, *, worker: Worker) -> None:
        super().__init__(raw)
        self.worker = worker
        self.wrapper = cast(DatabaseWrapper, worker.wrapper)

    def execute(self, query: str, params: Any = None) -> Any:
        result = super().execute(query, params)
        self.wrapper.note_patience(self.connection, query)
        return result

    def executemany(self, query: str, param_list: Iterable[Any]) -> Any:
        rows = _Rows(param_list, self._before_second, self._before_others)

        def execute() -> Any:
            _set_busy_timeout(self.connection, self.wrapper.slice)
            return super(Cursor, self).executemany(query, rows.from_the_first())

        # In a transaction the first row takes the lock.
        return self.wrapper.repeat(execute, self.worker, may=lambda: not rows.went_on)

    def _before_second(self) -> None:
        # From the second row on the call cannot be repeated, so SQLite waits in full.
        _set_busy_timeout(self.connection, self.wrapper.patience)

    def _before_others(self) -> None:
        if self.worker.interrupted:
            # The interruption came between two statements, when SQLite ignores it.
            raise sqlite3.OperationalError("interrupted")


class _Rows:
    """
    The rows of an executemany(), which can be iterated again until the second is taken.

    Args:
        before_second: Called after the first row has been written.
        before_others: Called before each row but the first.
    """

    def __init__(
        self,
        rows: Iterable[Any],
        before_second: Callable[[], None],
        before_others: Callable[[], None],
    ) -> None:
        self.rest = iter(rows)
        self.first = list(islice(self.rest, 1))
        self.before_second = before_second
        self.before_others = before_others
        self.went_on = False

    def from_the_first(self) -> Iterator[Any]:
        yield from self.first
        self.went_on = True
        self.before_second()
        for row in self.rest:
            self.before_others()
            yield row


def _raw(connection: Any) -> sqlite3.Connection:
    """The driver's connection, whose attributes may be read in any thread."""
    if isinstance(connection, ThreadedConnection):
        return cast(sqlite3.Connection, connection.raw)
    return cast(sqlite3.Connection, connection)


def _rows(
    raw: sqlite3.Connection, statement: Statement, params: tuple[Any, ...]
) -> list[Any]:
    cursor = raw.execute(statement.qmarks, params)
    return [(cursor.rowcount,)] if statement.counts else cursor.fetchall()


def _is_busy(error: sqlite3.OperationalError, raw: sqlite3.Connection) -> bool:
    """Whether *error* is caused by a lock that may be released."""
    # Errors of the sqlite3 module itself, as for text that is not UTF-8, have no code.
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_BUSY_SNAPSHOT:
        # An open transaction keeps its old snapshot, so waiting does not help.
        return not raw.in_transaction
    # The low byte of an extended code is the primary code.
    return code & 0xFF == sqlite3.SQLITE_BUSY


def _journal_mode(raw: sqlite3.Connection) -> str:
    return raw.execute("PRAGMA journal_mode").fetchone()[0]


def _set_busy_timeout(raw: sqlite3.Connection, seconds: float) -> None:
    raw.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")
