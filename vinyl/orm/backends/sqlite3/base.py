"""
ENGINE "vinyl.orm.backends.sqlite3": Django's backend in both modes.

SQLite's own wait for a lock cannot be interrupted. So inside the bridge it waits a
slice at a time, and what has ended as busy is repeated until the patience is over or
the task has been cancelled.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any, TypeVar, cast

from django.db.backends.sqlite3 import base

from vinyl.orm.backends.threaded import ThreadedConnection, ThreadedMixin
from vinyl.orm.backends.worker import Worker

__all__ = ["DatabaseWrapper"]

T = TypeVar("T")

# How long SQLite waits for a lock at a time, in seconds. It cannot be interrupted then.
SLICE = 0.05
# sqlite3's own patience where OPTIONS has no "timeout", in seconds.
PATIENCE = 5.0
# The pause after a wait for a lock that SQLite has cut short, in seconds.
PAUSE = 0.005
# What commits: isolation_level does, if a transaction is open.
COMMITS = ("commit", "isolation_level")

_sets_patience = re.compile(r"\s*PRAGMA\s+(\w+\.)?busy_timeout\s*[=(]", re.I).match


class DatabaseWrapper(ThreadedMixin, base.DatabaseWrapper):
    """An SQLite connection, with a worker thread of its own inside the bridge."""

    # How long to wait for a lock in all, in seconds.
    patience = PATIENCE
    init_commands: list[str]

    def get_new_connection(self, conn_params: Any) -> Any:
        if not self.is_guarded():
            return super().get_new_connection(conn_params)
        self.patience = conn_params.get("timeout", PATIENCE)
        # Django would run them while it opens the connection, which is not repeated.
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
            connection.worker.close(connection.raw.close)
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
        """In the thread: honour a `PRAGMA busy_timeout`, if that was *query*."""
        if _sets_patience(query):
            [milliseconds] = raw.execute("PRAGMA busy_timeout").fetchone()
            self.patience = milliseconds / 1000
            _set_busy_timeout(raw, self.slice)

    @contextmanager
    def waiting_for(self, raw: Any, seconds: float) -> Iterator[None]:
        """In the thread: in the block SQLite waits *seconds* at a time."""
        _set_busy_timeout(raw, seconds)
        try:
            yield
        finally:
            _set_busy_timeout(raw, self.slice)

    def call_driver(self, call: Callable[[], T], name: str, worker: Worker) -> T:
        if name in ("executemany", "executescript"):
            # Not to be repeated: the first of its statements may have been executed.
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
            commits: Where it is given up because of a cancellation, the transaction is
                rolled back. Else Django, which takes it for ended, would commit it yet.
            may: Whether it may be repeated, asked when it has failed.
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
                    # Having given up once, SQLite may not wait at all the next time.
                    _set_busy_timeout(worker.raw, self.slice)
                # Nor does it wait where that would end in a deadlock. Once it has
                # waited there is none, for a failed attempt changes nothing.
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

    def detach_cursors(self) -> bool:
        """
        See BridgeMixin. Without a WAL, whoever reads keeps all others from committing;
        and there are no others where the database lives in its one connection.
        """
        if not isinstance(self.connection, ThreadedConnection):
            return False
        worker = self.connection.worker
        unread = [cursor for cursor in self.connection.unread if cursor.more]
        if unread and worker.call(_journal_mode, worker.raw) == "wal":
            return False
        for cursor in unread:
            cursor.detach()
        return True

    def connection_is_idle(self) -> bool:
        return not self.connection.in_transaction

    # Whether a cancelled query has rolled the transaction back. What follows begins a
    # new one, so this cannot be asked later.
    has_rolled_back = False

    def note_interruption(self) -> None:
        self.has_rolled_back &= self.interrupted
        super().note_interruption()
        if self.interrupted and self.connection is not None:
            self.has_rolled_back |= not self.connection.in_transaction

    def transaction_is_lost(self) -> bool:
        return self.has_rolled_back

    def _rollback(self) -> None:
        super()._rollback()
        self.has_rolled_back = False

    def recover(self) -> bool:
        """For an in-memory database, which lives in its connection."""
        if not isinstance(self.connection, ThreadedConnection):
            return False
        worker = self.connection.worker
        worker.submit(worker.raw.rollback)
        worker.submit(partial(setattr, worker.raw, "isolation_level", None))
        self.autocommit = self.commit_on_exit = True
        self.in_atomic_block = self.closed_in_transaction = False
        self.needs_rollback = self.interrupted = self.has_rolled_back = False
        self.savepoint_ids, self.atomic_blocks, self.run_on_commit = [], [], []
        return True


class Cursor(base.SQLiteCursorWrapper):
    """
    Django's cursor, used in the worker thread.

    Args:
        worker: Of the connection that it belongs to.
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

        # In a transaction it is the first row that takes the lock.
        return self.wrapper.repeat(execute, self.worker, may=lambda: not rows.went_on)

    def _before_second(self) -> None:
        # What is written cannot be repeated any more, nor given up after a slice.
        _set_busy_timeout(self.connection, self.wrapper.patience)

    def _before_others(self) -> None:
        if self.worker.interrupted:
            # No statement was running that could have been interrupted.
            raise sqlite3.OperationalError("interrupted")


class _Rows:
    """
    Parameters of an executemany(), which can be had again until the second was taken.

    Args:
        before_second: Called when the first has been written.
        before_others: Called before each one but the first.
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


def _is_busy(error: sqlite3.OperationalError, raw: sqlite3.Connection) -> bool:
    """Whether *error* tells of a lock that may go away."""
    # Errors of the module itself, as of text that is not UTF-8, have no code.
    code = getattr(error, "sqlite_errorcode", 0)
    if code == sqlite3.SQLITE_BUSY_SNAPSHOT:
        # The transaction will see the same old state for ever.
        return not raw.in_transaction
    # The low byte is what the extended codes have in common.
    return code & 0xFF == sqlite3.SQLITE_BUSY


def _journal_mode(raw: sqlite3.Connection) -> str:
    return raw.execute("PRAGMA journal_mode").fetchone()[0]


def _set_busy_timeout(raw: sqlite3.Connection, seconds: float) -> None:
    raw.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")
