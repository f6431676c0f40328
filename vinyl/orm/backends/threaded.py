"""
Any Django backend in both modes: each connection has its own worker thread.

For drivers without async I/O. Inside the bridge the driver's connection and cursors are
created and used only in that thread, while the task waits on the event loop. The call
that executes a query also fetches the first rows, so most queries need only one call in
the thread.
"""

from __future__ import annotations

import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeVar

from vinyl.bridge.mode import refuse_to_block
from vinyl.exceptions import BridgeError
from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.backends.spool import Spool
from vinyl.orm.backends.worker import Worker

__all__ = ["ThreadedConnection", "ThreadedMixin"]

T = TypeVar("T")

# Maximum number of rows fetched by the call that executes a query: more than most pages
# show, and little memory if the query streams a table.
ROWS_PER_CALL = 1000
# Number of rows in memory at a time while the rest of a result is copied to a file.
ROWS_PER_BLOCK = 100
# In a forked process, the parent's connections, kept alive because some drivers, such
# as SQLite's, must not even close them.
_inherited: list[Any] = []


class ThreadedConnection:
    """A driver's connection whose methods are called in the worker thread."""

    raw: Any
    worker: Worker
    # Those that have not been closed.
    cursors: weakref.WeakSet[ThreadedCursor]

    def __init__(self, raw: Any, worker: Worker) -> None:
        object.__setattr__(self, "raw", raw)
        object.__setattr__(self, "worker", worker)
        object.__setattr__(self, "cursors", weakref.WeakSet())

    def cursor(self, *args: Any, **kwargs: Any) -> ThreadedCursor:
        # No driver that Django supports performs I/O to create a cursor.
        return ThreadedCursor(self.raw.cursor(*args, **kwargs), self)

    def close(self) -> None:
        refuse_to_block("This connection")
        self.worker.call(self.closing(), name="close")

    def closing(self) -> Callable[[], None]:
        """Return what the worker's thread calls to close it. Never switches."""
        wrapper: Any = self.worker.wrapper
        return partial(wrapper.close_raw, self.raw, [one.raw for one in self.cursors])

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.raw, name)
        if not callable(value):
            return value
        return partial(self._call, name, value)

    def _call(
        self, name: str, fn: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        """Call *fn* in the thread; if it returns a cursor, wrap that."""
        refuse_to_block("This connection")
        result = self.worker.call(partial(fn, *args, **kwargs), name=name)
        return ThreadedCursor(result, self) if hasattr(result, "fetchone") else result

    def __setattr__(self, name: str, value: Any) -> None:
        # Some attributes act on the database, such as sqlite3's isolation_level.
        self.worker.call(setattr, self.raw, name, value, name=name)


class ThreadedCursor:
    """A driver's cursor, used in the worker thread, and the rows fetched so far."""

    def __init__(self, raw: Any, connection: ThreadedConnection) -> None:
        self.raw = raw
        self.worker = connection.worker
        self.siblings = connection.cursors
        self.siblings.add(self)
        self.rows: deque[Any] = deque()
        # Whether there may be more than `rows`. They are in `spool` if it is set, and
        # otherwise in the driver.
        self.more = True
        self.spool: Spool | None = None

    def _run(
        self, method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[Any, Any]
    ) -> tuple[Any, list[Any]]:
        """In the thread: call *method* and fetch the first rows of its result."""
        result = method(*args, **kwargs)
        has_rows = self.raw.description is not None
        return result, self.raw.fetchmany(ROWS_PER_CALL) if has_rows else []

    def _execute(self, name: str, args: tuple[Any, ...], kwargs: dict[Any, Any]) -> Any:
        refuse_to_block("This cursor")
        self._forget_rows()
        self.more = True
        method = getattr(self.raw, name)
        result, rows = self.worker.call(self._run, method, args, kwargs, name=name)
        self.rows.extend(rows)
        self.more = len(rows) == ROWS_PER_CALL
        return self if result is self.raw else result

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        return self._execute("execute", args, kwargs)

    def executemany(self, *args: Any, **kwargs: Any) -> Any:
        return self._execute("executemany", args, kwargs)

    def executescript(self, *args: Any, **kwargs: Any) -> Any:
        return self._execute("executescript", args, kwargs)

    def callproc(self, *args: Any, **kwargs: Any) -> Any:
        return self._execute("callproc", args, kwargs)

    def _fill(self, wanted: int) -> None:
        """Fetch until `rows` has *wanted* rows, or all that are left."""
        while self.more and len(self.rows) < wanted:
            if self.spool is not None:
                rows = self.spool.read()
                self.more = bool(rows)
            else:
                size = max(ROWS_PER_CALL, wanted - len(self.rows))
                rows = self.worker.call(self.raw.fetchmany, size)
                self.more = len(rows) == size
            self.rows.extend(rows)

    def detach(self) -> None:
        """
        Move the rows that the driver still has to a temporary file. Switches to the
        event loop.
        """
        if self.more and self.spool is None:
            fetch = partial(self.raw.fetchmany, ROWS_PER_BLOCK)
            self.spool = self.worker.call(Spool, fetch)

    def fetchone(self) -> Any:
        self._fill(1)
        return self.rows.popleft() if self.rows else None

    def fetchmany(self, size: int | None = None) -> list[Any]:
        if size is None:
            size = self.raw.arraysize
        self._fill(size)
        return [self.rows.popleft() for _ in range(min(size, len(self.rows)))]

    def fetchall(self) -> list[Any]:
        if self.more and self.spool is None:
            self.rows.extend(self.worker.call(self.raw.fetchall))
            self.more = False
        self._fill(sys.maxsize)
        rows = list(self.rows)
        self.rows.clear()
        return rows

    def _forget_rows(self) -> None:
        self.rows.clear()
        if self.spool is not None:
            self.spool.close()
            self.spool = None
            self.more = False

    def close(self) -> None:
        self._forget_rows()
        self.siblings.discard(self)
        if self.worker.closed:
            # The connection is closed, and so are its cursors.
            return
        if self.more:
            # A driver may have to read the rest of the result from the server first.
            try:
                self.worker.call(self.raw.close)
            except BridgeError:
                # The run was abandoned, so nothing can wait for the call.
                self.worker.submit(self.raw.close)
        else:
            self.raw.close()

    def __iter__(self) -> Iterator[Any]:
        while (row := self.fetchone()) is not None:
            yield row

    def __enter__(self) -> ThreadedCursor:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.raw, name)


class ThreadedMixin(BridgeMixin):
    """
    Makes any Django backend dual-mode:

        class DatabaseWrapper(ThreadedMixin, mysql.DatabaseWrapper): ...
    """

    def get_connection_params(self) -> dict[str, Any]:
        params = super().get_connection_params()
        # OPTIONS["pool"] configures vinyl's pool, not the driver.
        params.pop("pool", None)
        return params

    def get_new_connection(self, conn_params: Any) -> Any:
        if not self.is_guarded():
            return super().get_new_connection(conn_params)
        worker = Worker(self)
        connect = super().get_new_connection
        opened: list[Any] = []
        try:
            worker.call(lambda: opened.append(connect(conn_params)))
        except BaseException:
            # The task may have been cancelled after the connection was opened.
            worker.close(lambda: [raw.close() for raw in opened])
            raise
        [worker.raw] = opened
        return ThreadedConnection(worker.raw, worker)

    def call_driver(self, call: Callable[[], T], name: str, worker: Worker) -> T:
        """
        In the worker's thread: return `call()`, of the driver's method *name*.

        Override it for a driver that cannot be interrupted while it waits for a lock,
        to wait for short periods until `worker.interrupted` is set.

        Never switches.
        """
        return call()

    def interrupt(self, raw: Any) -> None:
        """
        Make the running call of the driver's connection *raw* end early, if the driver
        can. Called repeatedly from another thread until the call ends; errors of the
        driver are ignored. Never switches.
        """

    def close_raw(self, raw: Any, cursors: list[Any]) -> None:
        """
        In the worker's thread: close the driver's connection *raw*.

        Override it for a driver whose *cursors*, those of this connection that have not
        been closed, keep the connection open.

        Never switches.
        """
        raw.close()

    def connection_is_idle(self) -> bool:
        # The driver is unknown, and so is its state after an error.
        return not self.errors_occurred

    def transaction_is_lost(self) -> bool:
        # It is unknown how the driver handles a cancelled query.
        return True

    def drop_connection(self) -> None:
        connection = self.connection
        if isinstance(connection, ThreadedConnection):
            connection.worker.close(connection.closing())
        else:
            connection.close()

    def cut_off(self) -> None:
        _inherited.append(self.connection)
