"""ENGINE "vinyl.orm.backends.sqlite3": Django's backend in both modes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.db.backends.sqlite3 import base

from vinyl.orm.backends.threaded import ThreadedConnection, ThreadedMixin, Worker

__all__ = ["DatabaseWrapper"]

T = TypeVar("T")

# How long SQLite waits for a lock at a time, in seconds. It cannot be interrupted then.
SLICE = 0.05


class DatabaseWrapper(ThreadedMixin, base.DatabaseWrapper):
    """An SQLite connection, with a worker thread of its own inside the bridge."""

    # How long to wait for a lock in all, in seconds.
    patience = 0.0

    def prepare_in_thread(self, raw: Any) -> None:
        # From OPTIONS["timeout"], or from a PRAGMA in an "init_command".
        [milliseconds] = raw.execute("PRAGMA busy_timeout").fetchone()
        self.patience = milliseconds / 1000
        _set_busy_timeout(raw, SLICE)

    def call_driver(self, call: Callable[[], T], name: str, worker: Worker) -> T:
        if name in ("executemany", "executescript"):
            # Not to be repeated: the first of its statements may have been executed.
            raw = self.connection.raw
            _set_busy_timeout(raw, self.patience)
            try:
                return call()
            finally:
                _set_busy_timeout(raw, SLICE)
        deadline = time.monotonic() + self.patience
        while True:
            started = time.monotonic()
            try:
                return call()
            except sqlite3.OperationalError as error:
                now = time.monotonic()
                # SQLite does not wait at all where that would end in a deadlock.
                waited = now - started >= SLICE * 0.9
                busy = error.sqlite_errorcode == sqlite3.SQLITE_BUSY
                if not (busy and waited) or worker.interrupted or now >= deadline:
                    raise

    def interrupt(self) -> None:
        if isinstance(self.connection, ThreadedConnection):
            self.connection.raw.interrupt()

    def connection_is_idle(self) -> bool:
        return not self.connection.in_transaction


def _set_busy_timeout(raw: Any, seconds: float) -> None:
    raw.execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")
