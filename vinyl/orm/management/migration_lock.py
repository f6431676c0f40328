"""
The lock on a database that `vinyl migrate` holds while it runs, so that several
processes that start at the same time migrate one after another.

On PostgreSQL it is an advisory lock, held by a transaction on a second connection: that
also works behind PgBouncer in transaction mode, and does not depend on what migrations
do with their own connection. On SQLite it is a lock on a file beside the database.
Either ends with the process that holds it, however the process ends.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from django.core.management.base import CommandError

from vinyl.bridge.greenlets import await_, in_bridge

try:
    import fcntl
except ImportError:  # pragma: no cover  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["migration_lock"]

# The number of the advisory lock; PostgreSQL has a set of locks for each database.
LOCK_NUMBER = 0x76696E796C  # "vinyl"
# How often a process that waits tries again, in seconds.
INTERVAL = 0.25


@contextmanager
def migration_lock(
    connection: Any, timeout: float | None, tell: Callable[[str], None]
) -> Iterator[None]:
    """
    Hold the lock on the database of *connection* in the block. Databases that are
    neither PostgreSQL nor SQLite files have none.

    Args:
        connection: A connection to the database; it is not used itself.
        timeout: Longest wait for the lock, in seconds. None waits for ever.
        tell: Called with a message if another process has the lock.

    Raises:
        CommandError: Another process had the lock for *timeout*.

    Switches to the event loop, inside the bridge.
    """
    if connection.vendor == "postgresql":
        lock: Any = AdvisoryLock(connection)
    elif connection.vendor == "sqlite" and fcntl is not None:
        if connection.is_in_memory_db():
            yield
            return
        lock = FileLock(connection)
    else:
        yield
        return
    try:
        _acquire(lock, connection.alias, timeout, tell)
        yield
    finally:
        lock.release()


def _acquire(
    lock: Any, alias: str, timeout: float | None, tell: Callable[[str], None]
) -> None:
    deadline = None if timeout is None else time.monotonic() + timeout
    told = False
    while not lock.acquire_nowait():
        if deadline is not None and time.monotonic() >= deadline:
            raise CommandError(
                f"Another process{lock.holder()} still migrates the database "
                f"{alias!r} after {timeout:g} s, so nothing has been migrated. Try "
                f"again when it has ended, or wait longer with --lock-timeout. If it "
                f"does not migrate at all, --no-lock goes on without waiting."
            )
        if not told:
            tell(
                f"Waiting for another process{lock.holder()} that migrates the "
                f"database {alias!r}."
            )
            told = True
        if in_bridge():
            await_(asyncio.sleep(INTERVAL))
        else:
            time.sleep(INTERVAL)


class AdvisoryLock:
    """
    The lock on a PostgreSQL database.

    Args:
        connection: A connection to the database.
    """

    def __init__(self, connection: Any) -> None:
        self.connection = connection.copy()

    def acquire_nowait(self) -> bool:
        """Try to acquire the lock. Switches to the event loop, inside the bridge."""
        # Waiting inside PostgreSQL would hold a snapshot, for which CREATE INDEX
        # CONCURRENTLY in a migration waits in turn; a level above READ COMMITTED
        # would hold one, too. A transaction that is left open between the attempts
        # would keep a server connection of PgBouncer.
        self.connection.set_autocommit(False)
        with self.connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK_NUMBER])
            acquired: bool = cursor.fetchone()[0]
        if not acquired:
            self.connection.rollback()
            self.connection.set_autocommit(True)
        return acquired

    def holder(self) -> str:
        """
        Return which session of the server has the lock, for a message. Switches to the
        event loop, inside the bridge.
        """
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = "
                "database WHERE locktype = 'advisory' AND datname = "
                "current_database() AND classid = %s AND objid = %s AND granted",
                [LOCK_NUMBER >> 32, LOCK_NUMBER & 0xFFFFFFFF],
            )
            row = cursor.fetchone()
        self.connection.close()
        return f" (session {row[0]} of the server)" if row else ""

    def release(self) -> None:
        """Release the lock. Switches to the event loop, inside the bridge."""
        self.connection.close()


class FileLock:
    """
    The lock on an SQLite database: that on a file with its name and `-migrating`. The
    file exists only while a process migrates.

    Args:
        connection: A connection to the database.
    """

    def __init__(self, connection: Any) -> None:
        name = os.fspath(connection.settings_dict["NAME"])
        if name.startswith("file:"):
            name = unquote(urlsplit(name).path)
        self.path = Path(f"{name}-migrating")
        self.file: IO[bytes] | None = None

    def acquire_nowait(self) -> bool:
        """Try to acquire the lock. Never switches."""
        try:
            file = self.path.open("ab")
        except OSError:
            # In a folder that cannot be written, SQLite cannot migrate either. It
            # reports that if there is something to migrate.
            return True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        # Its holder may have removed the file after it was opened here.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), self.path.stat()):
                self.file = file
                return True
        file.close()
        return self.acquire_nowait()

    def holder(self) -> str:
        """Return nothing: the file does not say who has it. Never switches."""
        return ""

    def release(self) -> None:
        """Release the lock, and remove the file. Never switches."""
        if self.file is not None:
            self.path.unlink(missing_ok=True)
            self.file.close()
            self.file = None
