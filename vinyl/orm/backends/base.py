"""The base of every `DatabaseWrapper` that can wait on the event loop."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from threading import get_ident
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from django.db import InterfaceError, connections

from vinyl.bridge.greenlets import in_bridge, suspend
from vinyl.orm import backends
from vinyl.orm.backends.fetching import FetchMixin

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper as _Wrapper

    from vinyl.bridge.cancellation import Shield
    from vinyl.orm.backends.outage import Outage
else:
    _Wrapper = object

__all__ = ["BridgeMixin", "ThreadLoan"]

T = TypeVar("T")


class ThreadLoan(Protocol):
    """
    A call in a thread, to which an event loop has lent connections and for which a task
    waits.

    The backends ask it whether a wait in the thread is to be cancelled.
    """

    # The thread's identifier, 0 before the call begins.
    thread: int

    def begin(self, alias: str) -> None:
        """
        Before the connection to *alias* is used: raise a cancellation that arrived
        since the last wait, unless the code is shielded.

        Raises:
            CancelledError: The task that waits for the thread was cancelled.
            ScopeClosedError: The connection can no longer be used.

        Never switches.
        """

    def look(self) -> None:
        """
        During a wait: raise `CancelledError` if the wait is to end early. Never
        switches.
        """


class BridgeMixin(FetchMixin):
    """
    Base class of the two mixins that stand before a Django `DatabaseWrapper`.

    Subclasses define when their driver's connection is idle and how it is dropped.
    """

    # The call in a thread to which an event loop has lent this connection.
    loan: ThreadLoan | None = None

    def loan_here(self) -> ThreadLoan | None:
        """
        Return the call that this connection is lent to, None outside the thread of the
        call. Never switches.
        """
        loan = self.loan
        return loan if loan is not None and loan.thread == get_ident() else None

    def is_guarded(self) -> bool:
        """
        Whether the scopes ensure that no other code uses the connection: inside the
        bridge, and in a thread that it has been lent to. Never switches.
        """
        return in_bridge() or self.loan_here() is not None

    # The id() of this object if it belongs to a pool, which lends it to one run or
    # block at a time. A copy, as Django's tests make, does not belong to the pool.
    pooled_id = 0
    acts_for_other = False
    # Whether it has ever been connected.
    has_connected = False
    # Whether it has the methods that vinyl.orm.dualmode.notifications calls.
    can_listen = False
    # Whether it belongs to a tenant that code has set, as those of django-tenants do;
    # and the object that stands for none, once it is known.
    has_tenants = False
    no_tenant: Any = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.has_tenants = hasattr(cls, "set_schema_to_public")

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
            # A thread must not connect after its connection has been taken away.
            loan.begin(self.alias)
        pauses = backends.outage.pauses_between_connects()
        while True:
            try:
                super().connect()
                break
            except BaseException as error:
                is_away = isinstance(error, Exception) and self.server_is_away(error)
                # The connection may be open without Django's settings for the session,
                # for example if the task was cancelled. The next task cannot use it so.
                self.discard()
                if self.outage is None or not is_away or not in_bridge():
                    raise
                left = min(self.outage.time_left(), self.connect_by - time.monotonic())
                if left <= 0:
                    raise
            suspend(asyncio.sleep(min(left, next(pauses))))
        if self.outage is not None:
            self.outage.end()
        self.connect_by = math.inf
        self.has_connected = True
        self.query_was_cancelled = False

    def set_autocommit(self, autocommit: bool, *args: Any, **kwargs: Any) -> Any:
        # Django ends a block so. If its connection is lost, a block that was cancelled
        # must not wait for another one. Whoever needs one connects, which sets this.
        if (
            self.connection is None
            and autocommit == self.settings_dict["AUTOCOMMIT"]
            and (in_bridge() or self.loan_here() is not None)
        ):
            self.autocommit = autocommit
            return None
        return super().set_autocommit(autocommit, *args, **kwargs)

    # What the connections of the pool know about a server that is away; None outside of
    # pools, where connecting is tried once.
    outage: Outage | None = None
    # When the time is over that the pool may keep its user waiting, in
    # time.monotonic().
    connect_by = math.inf
    # Whether code relies on the session, with its settings, locks and temporary tables:
    # raw SQL was executed, or a block pins the connection.
    is_pinned = False
    # The number of sessions that were lost and replaced since the pool lent it.
    replaced_sessions = 0

    def may_replace_session(self) -> bool:
        """
        Whether a session that has ended may be replaced with another one, because no
        transaction is open and no code relies on the session. Never switches.
        """
        return False

    def replace_session(self) -> None:
        """
        Close the connection, whose session has ended, so that it connects again with
        its next use. Never switches.
        """
        self.discard()
        self.connect_by = math.inf
        self.replaced_sessions += 1

    def close_if_health_check_failed(self) -> None:
        # Django calls this before each statement and each transaction. Nothing of it
        # has been sent yet, so that it may as well go through another session.
        if (
            self.connection is not None
            and self.may_replace_session()
            and self.session_has_ended()
        ):
            self.replace_session()
        super().close_if_health_check_failed()

    def use(self, fn: Callable[[], T]) -> T:
        """
        In the bridge, in a run of its own: return `fn()`. This connection is
        `connection` for *fn* and all code that it calls, such as receivers of
        `connection_created` and the tasks that they wait for.

        Switches to the event loop if *fn* does.
        """
        connections[self.alias] = self
        return fn()

    def act_for(self, other: _Wrapper) -> None:
        """
        Use the query log and the execute wrappers of *other* from here on. Never
        switches.
        """
        self.execute_wrappers = other.execute_wrappers
        self.force_debug_cursor = other.force_debug_cursor
        self.queries_log = other.queries_log
        self.acts_for_other = True

    def was_observed(self) -> bool:
        """
        Whether code has observed the queries of this connection itself, by its query
        log or by execute wrappers. Never switches.
        """
        return not self.acts_for_other and bool(
            self.queries_log or self.execute_wrappers or self.force_debug_cursor
        )

    def hand_over(self, other: _Wrapper | None) -> None:
        """
        Pass the query log and the execute wrappers on to *other*, if any, for code that
        looks for them there from now on. Never switches.
        """
        if other is not None:
            other.queries_log.extend(self.queries_log)
            other.execute_wrappers.extend(self.execute_wrappers)
        # Has act_for_itself() forget them.
        self.acts_for_other = True

    def act_for_itself(self) -> None:
        """
        Forget the wrappers, the log and the errors of the last task. Never switches.
        """
        self.errors_occurred = False
        self.is_pinned = False
        if self.acts_for_other:
            self.execute_wrappers = []
            self.force_debug_cursor = False
            self.queries_log = deque(maxlen=self.queries_limit)
            self.acts_for_other = False
        else:
            self.queries_log.clear()

    def leave_tenant(self) -> bool:
        """
        Let a connection that has tenants belong to none, as when it was made. Return
        whether that was possible. Never switches.
        """
        wrapper: Any = self
        if wrapper.tenant is self.no_tenant:
            return True
        try:
            # Sends nothing: the next cursor does.
            wrapper.set_schema_to_public()
        except Exception:
            # What a project adds to it may need the database.
            return False
        self.no_tenant = wrapper.tenant
        return True

    def leave_loop(self) -> None:
        """
        On the event loop, before a thread uses the connection: leave nothing of it
        registered with the loop. Never switches.
        """

    def rejoin_loop(self) -> None:
        """On the event loop, when the thread has ended its use. Never switches."""

    def begin_nowait(self, *, is_checked: bool) -> bool:
        """
        Begin a transaction without waiting, as `set_autocommit(False)` does, if the
        driver sends BEGIN with the first statement and the connection is ready for it.
        Return whether it has begun. Never switches.

        Args:
            is_checked: Whether the caller knows that the session has not ended.
        """
        return False

    def can_commit_on_loop(self) -> bool:
        """Whether `commit_on_loop()` can be called. Never switches."""
        return False

    async def commit_on_loop(self, shield: Shield) -> None:
        """
        Commit outside the bridge, and set autocommit again.

        Args:
            shield: Counts a COMMIT that succeeds although the task is cancelled.

        Raises: as `commit()`.

        Switches to the event loop.
        """
        raise NotImplementedError

    def discard(self) -> None:
        """
        Drop the connection in any state, without waiting for the server, which rolls
        back an open transaction. Never switches.
        """
        if self.connection is not None:
            self.drop_connection()
            self.connection = None

    def disown(self) -> None:
        """
        In a forked process: forget the connection, which belongs to the parent and may
        be in use there. Never switches.
        """
        if self.connection is not None:
            self.cut_off()
            self.connection = None

    def connection_is_idle(self) -> bool:
        """
        Whether the driver's connection is open and usable, with no transaction and no
        operation in progress. Never switches.
        """
        raise NotImplementedError

    def recover(self) -> bool:
        """
        Reset a connection that must not be closed, such as the one of an in-memory
        database. Return whether it can be used again. Never switches.
        """
        return False

    def is_alive(self) -> bool:
        """
        Whether the connection seems to be open in the server, judged without a query.
        Never switches.
        """
        return True

    def session_has_ended(self) -> bool:
        """
        Whether the server has ended the session of a connection that is idle. Never
        switches.
        """
        return False

    def session_is_lost(self, error: Exception) -> bool:
        """
        Whether the session has ended with *error*, which this connection has raised.
        Never switches.
        """
        return False

    def server_is_away(self, error: Exception) -> bool:
        """
        Whether connecting failed with *error* because the server is not there, or not
        yet, so that it may succeed soon. Never switches.
        """
        return False

    def detach_cursors(self) -> bool:
        """
        In the bridge: return whether the open cursors can be read without the
        connection. If a query that is read in parts would prevent other connections
        from writing, fetch its remaining rows first. Switches to the event loop.
        """
        return False

    def drop_connection(self) -> None:
        """Close the driver's connection without waiting. Never switches."""
        raise NotImplementedError

    def cut_off(self) -> None:
        """
        In a forked process: ensure that the driver's connection is never used there.
        Never switches.
        """
        raise NotImplementedError

    def validate_thread_sharing(self) -> None:
        # See is_guarded().
        if in_bridge():
            self._validate_is_lent_here()
        elif not self.is_guarded():
            super().validate_thread_sharing()

    def validate_no_broken_transaction(self) -> None:
        # Called before each statement, also on cursors from an earlier run or block.
        if in_bridge():
            self._validate_is_lent_here()
        super().validate_no_broken_transaction()

    def _validate_is_lent_here(self) -> None:
        """
        Raise InterfaceError if this object has gone back to the pool since the code got
        it.

        Switches to the event loop if it has to wait for the lock.
        """
        if self.pooled_id == id(self) and connections[self.alias] is not self:
            raise InterfaceError(
                f"A connection object of database {self.alias!r}, or a cursor of it, "
                f"was used after its run or block had ended, when other code may be "
                f"using the connection. Get `connections[{self.alias!r}]` again and "
                f"open a new cursor in each run and block."
            )
