"""ENGINE "vinyl.orm.backends.sqlite3": Django's backend in both modes."""

from __future__ import annotations

from django.db.backends.sqlite3 import base

from vinyl.orm.backends.threaded import ThreadedConnection, ThreadedMixin

__all__ = ["DatabaseWrapper"]


class DatabaseWrapper(ThreadedMixin, base.DatabaseWrapper):
    """An SQLite connection, with a worker thread of its own inside the bridge."""

    def interrupt(self) -> None:
        if isinstance(self.connection, ThreadedConnection):
            self.connection.raw.interrupt()

    def connection_is_idle(self) -> bool:
        return not self.connection.in_transaction
