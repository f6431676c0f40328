"""What every `DatabaseWrapper` that can wait on the event loop offers to the pool."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import TYPE_CHECKING, Protocol, TypeVar

from django.db import InterfaceError, connections
from django.db.transaction import TransactionManagementError

from vinyl.bridge.greenlets import current_shield, in_bridge

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper as _Wrapper
else:
    _Wrapper = object

__all__ = ["BridgeMixin", "ThreadLoan"]

T = TypeVar("T")


class ThreadLoan(Protocol):
    """
    A call in a thread that an event loop has lent connections to, and waits for.

    The backends ask it whether a wait in the thread is to be cancelled.
    """

    # The thread's identifier, 0 before the call begins.
    thread: int

    def begin(self, alias: str) -> None:
        """
        Before the connection of *alias* is used: raise the cancellation that came since
        the last wait, unless the code is shielded; or the error that tells why the
        connection cannot be used any more.
        """

    def look(self) -> None:
        """During a wait: raise `CancelledError` if the wait is to end early."""


class BridgeMixin(_Wrapper):
    """
    Base of the two mixins, placed in front of a Django `DatabaseWrapper`.

    Subclasses say when their driver's connection is idle and how it is dropped.
    """

    # The call in a thread that an event loop has lent this connection to.
    loan: ThreadLoan | None = None

    def loan_here(self) -> ThreadLoan | None:
        """The call that the connection is lent to, in its thread. Never switches."""
        loan = self.loan
        return loan if loan is not None and loan.thread == get_ident() else None

    def is_guarded(self) -> bool:
        """
        Whether the scopes see to it that nobody else uses the connection: inside the
        bridge, and in a thread that it has been lent to. Never switches.
        """
        return in_bridge() or self.loan_here() is not None

    # Its id(), if a pool lends it: then code has it for a run or a block at a time. A
    # copy of it, as Django's tests make, is not the pool's.
    pooled_id = 0
    acts_for_other = False
    # Whether it has ever had a connection.
    has_connected = False
    # Whether there are the methods that vinyl.orm.dualmode.notifications calls.
    can_listen = False

    def is_reusable(self) -> bool:
        """Whether the pool can lend this connection again. Never switches."""
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
        if (loan := self.loan_here()) is not None:
            # Not for a thread that the connection has been taken away from.
            loan.begin(self.alias)
        try:
            super().connect()
        except BaseException:
            # Half open, as when the task was cancelled: without Django's session set-up
            # the next task cannot use it.
            self.discard()
            raise
        self.has_connected = True
        self.interrupted = False

    # Whether a query of the open transaction has been cancelled.
    interrupted = False

    def note_interruption(self) -> None:
        """
        A query was cancelled: PostgreSQL refuses what follows in the transaction, and
        SQLite may have rolled it back. Django refuses it, too, from now on. Never
        switches.
        """
        if self.in_atomic_block:
            self.needs_rollback = True
        self.interrupted = self.in_atomic_block or not self.autocommit

    def is_spoilt(self) -> bool:
        """
        Whether a cancelled query has cost the open transaction what it had done: a
        commit would commit nothing, or only what came afterwards. Never switches.
        """
        return (
            self.interrupted
            and self.connection is not None
            and self.transaction_is_lost()
        )

    def _commit(self) -> None:
        if self.is_spoilt():
            raise TransactionManagementError(
                f"The transaction on database {self.alias!r} cannot be committed: one "
                f"of its queries was cancelled, for example by a timeout, and the "
                f"database has discarded its changes. Roll it back. If a query may "
                f"time out, run it in an atomic() block of its own."
            )
        super()._commit()  # type: ignore[misc]
        self.interrupted = False

    # Whether it is undoing what a transaction or a savepoint has done.
    is_undoing = False

    @contextmanager
    def _undoing(self) -> Iterator[None]:
        """
        In the block, a cancelled task waits for the end of what it has begun. A
        database that cancels a ROLLBACK leaves the transaction open.
        """
        self.is_undoing = True
        try:
            with current_shield().up():
                yield
        finally:
            self.is_undoing = False

    def _rollback(self) -> None:
        with self._undoing():
            super()._rollback()  # type: ignore[misc]
        self.interrupted = False

    def _savepoint_rollback(self, sid: str) -> None:
        with self._undoing():
            super()._savepoint_rollback(sid)  # type: ignore[misc]
        self.interrupted = self.is_spoilt()

    def use(self, fn: Callable[[], T]) -> T:
        """
        In the bridge, in a run of its own: return `fn()`, called where `connection` is
        this connection. So it is for what *fn* causes: receivers of
        `connection_created` and the tasks that they wait for.

        Switches to the event loop, if *fn* does.
        """
        connections[self.alias] = self
        return fn()

    def act_for(self, other: _Wrapper) -> None:
        """Log queries into the log of *other*, through the wrappers set on it."""
        self.execute_wrappers = other.execute_wrappers
        self.force_debug_cursor = other.force_debug_cursor
        self.queries_log = other.queries_log
        self.acts_for_other = True

    def act_for_itself(self) -> None:
        """Forget what the last task set and logged, and its errors. Never switches."""
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
        In a forked process: forget the connection, which the parent owns and may be
        using. Never switches.
        """
        if self.connection is not None:
            self.cut_off()
            self.connection = None

    def connection_is_idle(self) -> bool:
        """
        Whether the driver's connection is open and sound, with nothing going on in it.
        """
        raise NotImplementedError

    def transaction_is_lost(self) -> bool:
        """
        Whether the database has undone the open transaction, of which a query was
        cancelled.
        """
        raise NotImplementedError

    def recover(self) -> bool:
        """
        Reset a connection that must not be closed, such as that of an in-memory
        database; return whether it can be used again. Never switches.
        """
        return False

    def is_alive(self) -> bool:
        """
        Whether the server has not closed the connection, as far as is known without a
        query. Never switches.
        """
        return True

    def detach_cursors(self) -> bool:
        """
        In the bridge: tell whether what is left to read of the open cursors is here, so
        that they need the connection no more. Where a query that is read piecemeal
        would keep others from writing, it is fetched. Switches to the event loop.
        """
        return False

    def drop_connection(self) -> None:
        """Close the driver's connection at once."""
        raise NotImplementedError

    def cut_off(self) -> None:
        """Make sure that the driver's connection is never used in this process."""
        raise NotImplementedError

    def validate_thread_sharing(self) -> None:
        # The scopes guard a connection inside the bridge, and in a thread that it has
        # been lent to.
        if in_bridge():
            self._validate_is_lent_here()
        elif not self.is_guarded():
            super().validate_thread_sharing()

    def validate_no_broken_transaction(self) -> None:
        # Called before each statement, on cursors that were kept as well.
        if in_bridge():
            self._validate_is_lent_here()
        super().validate_no_broken_transaction()

    def _validate_is_lent_here(self) -> None:
        """
        Raise InterfaceError if this object was kept since it went back to the pool.

        Switches to the event loop if it has to wait for its turn.
        """
        if self.pooled_id == id(self) and connections[self.alias] is not self:
            raise InterfaceError(
                f"A connection object of database {self.alias!r}, or a cursor of it, "
                f"was used after its run or block had ended, when other code may be "
                f"using the connection. Get `connections[{self.alias!r}]` again and "
                f"open a new cursor in each run and block."
            )
