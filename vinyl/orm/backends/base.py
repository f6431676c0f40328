"""What every `DatabaseWrapper` that can wait on the event loop offers to the pool."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from vinyl.orm.bridge import in_bridge

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper as _Wrapper
else:
    _Wrapper = object

__all__ = ["BridgeMixin"]


class BridgeMixin(_Wrapper):
    """
    Base of the two mixins, placed in front of a Django `DatabaseWrapper`.

    Subclasses say when their driver's connection is idle and how it is dropped.
    """

    acts_for_other = False
    # Whether it has ever had a connection.
    has_connected = False

    def is_reusable(self) -> bool:
        """Whether the next borrower can have this connection. Never switches."""
        return (
            self.connection is not None
            and not self.in_atomic_block
            and not self.closed_in_transaction
            and not self.needs_rollback
            and not self.run_on_commit
            and self.autocommit == self.settings_dict["AUTOCOMMIT"]
            and self.connection_is_idle()
        )

    def connect(self) -> None:
        try:
            super().connect()
        except BaseException:
            # Half-way, as when the task was cancelled: without Django's session set-up
            # it is no connection for the next borrower.
            self.discard()
            raise
        self.has_connected = True

    # Whether a cancelled query has spoilt the transaction that is open: until Django
    # takes its own note back, as it rolls back to a savepoint or altogether.
    interrupted = False
    _needs_rollback = False

    @property
    def needs_rollback(self) -> bool:
        """Django's note that the open transaction cannot go on. Never switches."""
        return self._needs_rollback

    @needs_rollback.setter
    def needs_rollback(self, value: bool) -> None:
        self._needs_rollback = value
        if not value:
            self.interrupted = False

    def note_interruption(self) -> None:
        """
        A query was cancelled: PostgreSQL refuses what follows in the transaction, and
        SQLite has rolled it back. Django refuses it, too, from now on. Never switches.
        """
        if self.in_atomic_block:
            self.needs_rollback = self.interrupted = True

    def act_for(self, other: _Wrapper) -> None:
        """Log queries into the log of *other*, through the wrappers set on it."""
        self.execute_wrappers = other.execute_wrappers
        self.force_debug_cursor = other.force_debug_cursor
        self.queries_log = other.queries_log
        self.acts_for_other = True

    def act_for_itself(self) -> None:
        """Forget what the last borrower set and logged, and its errors."""
        self.errors_occurred = False
        if self.acts_for_other:
            self.execute_wrappers = []
            self.force_debug_cursor = False
            self.queries_log = deque(maxlen=self.queries_limit)
            self.acts_for_other = False
        else:
            self.queries_log.clear()

    def discard(self) -> None:
        """
        Drop the connection, in whatever state it is, without waiting for the server.
        The server rolls an open transaction back. Never switches.
        """
        if self.connection is not None:
            self.drop_connection()
            self.connection = None

    def disown(self) -> None:
        """
        In a forked process: leave the connection to the parent, whose it is. Never
        switches.
        """
        if self.connection is not None:
            self.cut_off()
            self.connection = None

    def connection_is_idle(self) -> bool:
        """
        Whether the driver's connection is open and sound, with nothing going on in it.
        """
        raise NotImplementedError

    def is_alive(self) -> bool:
        """
        Whether the other side has not hung up, as far as can be told without asking it.
        Never switches.
        """
        return True

    def drop_connection(self) -> None:
        """Close the driver's connection at once."""
        raise NotImplementedError

    def cut_off(self) -> None:
        """Make sure that the driver's connection is never used in this process."""
        raise NotImplementedError

    def validate_thread_sharing(self) -> None:
        # Inside the bridge the scopes guard a connection, and its thread is the
        # event loop's.
        if not in_bridge():
            super().validate_thread_sharing()
