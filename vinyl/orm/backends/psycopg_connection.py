"""
psycopg's connection in both modes: one object, waiting by blocking or on the loop.

psycopg writes each operation once, as a generator that yields what it waits for, and
its `Connection.wait()` drives it. `BridgeConnection` is the sync connection with one
change: inside the bridge `wait()` drives the same generator on the event loop, as
`AsyncConnection.wait()` does, and cancels the query in the server when the task is
cancelled.
"""

from __future__ import annotations

import asyncio
import select
import threading
import weakref
from collections.abc import Callable, Generator
from typing import Any, Self, cast

import psycopg
from psycopg.pq.abc import PGconn
from psycopg.waiting import wait_async

from vinyl.bridge.cancellation import Shield, decide
from vinyl.bridge.greenlets import active_shield, in_bridge, suspend
from vinyl.bridge.mode import refuse_to_block
from vinyl.orm import backends
from vinyl.orm.backends.base import BridgeMixin, ThreadLoan
from vinyl.orm.backends.pipelines import Read, Replies
from vinyl.orm.backends.psycopg_prepared import Prepared
from vinyl.orm.backends.psycopg_reader import INPUT, Reader
from vinyl.orm.backends.psycopg_statements import fetch_rows
from vinyl.orm.backends.psycopg_waiting import (
    WAIT_INTERVAL,
    LoopOperation,
    ThreadOperation,
    looking,
    resumed,
)
from vinyl.orm.backends.settling import settle, settle_in_thread
from vinyl.orm.backends.statements import Statement

__all__ = ["BridgeConnection"]

# psycopg's own default, for the statements of plans.
MAX_PREPARED = 100
# Maximum number of operations in a row without a wait, before other tasks run.
MAX_UNWAITED = 100


class BridgeConnection(psycopg.Connection[Any]):
    """A sync psycopg connection that waits on the event loop inside the bridge."""

    def __init__(self, pgconn: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(pgconn, *args, **kwargs)
        self.lock = cast(Any, _Lock(self))
        # An AsyncConnection over the same libpq connection; created when first needed.
        self._twin: psycopg.AsyncConnection[Any] | None = None
        # Waits on the event loop.
        self.reader = Reader(pgconn)
        # The statements that plans have prepared.
        self.prepared = Prepared(None, MAX_PREPARED)
        # The time zone in which `timestamptz` is loaded without a cursor of Django's.
        self.timezone_of_loader: Any = None
        # Polls the socket; created when first needed.
        self._poll: Callable[[int], list[Any]] | None = None
        # Whether a prepared statement may have become invalid; see psycopg_cursors.
        self.has_stale_plans = False
        # The number of operations in a row, such as those of COPY, that did not wait.
        self._unwaited = 0
        # Returns the DatabaseWrapper that has this connection, or None.
        self.wrapper: Callable[[], BridgeMixin | None] = _nothing

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        """
        Return a new connection. Takes the arguments of `psycopg.Connection.connect`.

        Switches to the event loop in the bridge.
        """
        if not in_bridge():
            return super().connect(conninfo, **kwargs)
        # psycopg sets these after connecting; here they are for sync connections.
        cursor_factory = kwargs.pop("cursor_factory", None)
        row_factory = kwargs.pop("row_factory", None)
        twin = suspend(psycopg.AsyncConnection.connect(conninfo, **kwargs))
        # Not kept, which would double the size of a connection. It must not complain
        # that it is deleted while open, as it does unless it belongs to a pool.
        twin._pool = None
        self = cls(twin.pgconn)
        self._autocommit = twin._autocommit
        self._adapters = twin._adapters
        self.prepare_threshold = twin.prepare_threshold
        if cursor_factory is not None:
            self.cursor_factory = cursor_factory
        if row_factory is not None:
            self.row_factory = row_factory
        return self

    def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """
        Drive *gen*, one of psycopg's operations, to its end and return its result.

        Cancelling the task cancels the query in the server and leaves the connection
        either idle or closed.

        Switches to the event loop in the bridge.
        """
        wrapper = self.wrapper()
        loan = None if wrapper is None else wrapper.loan_here()
        try:
            if in_bridge():
                return suspend(self._wait(active_shield(), gen, *args, **kwargs))
            if wrapper is not None and loan is not None:
                loan.begin(wrapper.alias)
                return self._wait_in_thread(loan, gen, *args, **kwargs)
        except asyncio.CancelledError:
            if wrapper is not None:
                wrapper.note_interruption()
            raise
        refuse_to_block("This psycopg connection")
        return super().wait(gen, *args, **kwargs)

    async def _wait(
        self,
        shield: Shield | None,
        gen: Any,
        interval: float = WAIT_INTERVAL,
        **kwargs: Any,
    ) -> Any:
        if shield is None and self._unwaited >= MAX_UNWAITED:
            self._unwaited = 0
            await asyncio.sleep(0)
        try:
            waits_for = next(gen)
        except StopIteration as ended:
            # No sleep(0) here, as psycopg would do: a cancellation at this point would
            # hide that the operation has succeeded.
            self._unwaited += 1
            return ended.value
        except BaseException:
            self.reader.stop_if_lost()
            raise
        self._unwaited = 0
        if waits_for == INPUT and interval == WAIT_INTERVAL and not kwargs:
            future = self.reader.drive(gen)
            try:
                result = await future
            except asyncio.CancelledError as cancelled:
                self.reader.release()
                if not future.cancelled():
                    # The operation has ended, unless it waits for something else.
                    failed = future.exception() is not None
                    if failed or future.result() is not None:
                        outcome = None if failed else future.result()
                        return decide(outcome, cancelled, shield)
                return await self._settle(gen, cancelled, shield)
            except GeneratorExit:
                self.reader.release()
                raise
            if result is not None:
                return result[0]
        self.reader.stop()
        try:
            return await wait_async(
                resumed(gen), self.pgconn.socket, interval, **kwargs
            )
        except asyncio.CancelledError as cancelled:
            return await self._settle(gen, cancelled, shield)

    async def _settle(
        self, gen: Any, cancelled: asyncio.CancelledError, shield: Shield | None
    ) -> Any:
        self.reader.stop()
        operation = LoopOperation(self.twin, gen)
        return await settle(operation, cancelled, shield)

    def close(self) -> None:
        """Close the connection. Never switches."""
        self.reader.stop()
        super().close()
        # An operation that waits finds out, and raises an error.
        self.reader.read()

    def _wait_in_thread(
        self, loan: ThreadLoan, gen: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Like `wait()`, in a thread that the connection is lent to."""
        wait = super().wait
        try:
            return wait(looking(gen, loan.look), *args, **kwargs)
        except asyncio.CancelledError as cancelled:
            operation = ThreadOperation(self, gen, wait)
            return settle_in_thread(operation, cancelled, active_shield())

    def fetch(self, statement: Statement, params: tuple[Any, ...]) -> list[Any]:
        """
        Run *statement* without a cursor and return its rows. Switches to the event loop
        in the bridge.
        """
        with self.lock:
            rows: list[Any] = self.wait(fetch_rows(self, statement, params))
        return rows

    async def fetch_on_loop(
        self, statement: Statement, params: tuple[Any, ...]
    ) -> list[Any]:
        """
        Run *statement* without a cursor and return its rows, outside the bridge.
        Switches to the event loop.
        """
        with self.lock:
            rows: list[Any] = await self._wait(
                None, fetch_rows(self, statement, params)
            )
        return rows

    async def fetch_together_on_loop(
        self, reads: list[Read], replies: Replies, syncs_once: bool = False
    ) -> None:
        """
        Send *reads* in one pipeline and pass on their replies, outside the bridge.
        Switches to the event loop.
        """
        with self.lock:
            await self._wait(
                None,
                backends.psycopg_pipeline.fetch_together(
                    self, reads, replies, syncs_once
                ),
            )

    def set_autocommit_nowait(self, value: bool) -> None:
        """
        Set `autocommit` of a connection that is in no transaction. Never switches.
        """
        self._autocommit = value

    async def commit_on_loop(self, shield: Shield) -> None:
        """
        Commit outside the bridge.

        Args:
            shield: Counts a COMMIT that succeeds although the task is cancelled.

        Raises: what `commit()` raises.

        Switches to the event loop.
        """
        with self.lock:
            await self._wait(shield, self._commit_gen())

    def receive(self) -> asyncio.Future[Any]:
        """
        Have the notify handlers of this connection called as notifications arrive,
        until `reader.release()` ends that or the session ends.

        Returns:
            A future, which fails when the session ends.

        Never switches.
        """
        notifications = receive_notifications(self.pgconn)
        next(notifications)
        return self.reader.drive(notifications)

    def has_input(self) -> bool:
        """Whether the server has sent data or closed the socket. Never switches."""
        if self.closed:
            return True
        if self._poll is None:
            if not hasattr(select, "poll"):
                # On Windows, where select() accepts a socket of any number.
                return bool(select.select([self.pgconn.socket], [], [], 0)[0])
            poll = select.poll()
            poll.register(self.pgconn.socket, select.POLLIN)
            self._poll = poll.poll
        return bool(self._poll(0))

    def has_ended(self) -> bool:
        """Whether the server has ended this idle session. Never switches."""
        while self.has_input():
            # A notice or a notification, or the error that ends the session.
            try:
                self.pgconn.consume_input()
            except psycopg.Error:
                self.reader.stop_if_lost()
                return True
        return False

    @property
    def twin(self) -> psycopg.AsyncConnection[Any]:
        """An `AsyncConnection` over the same libpq connection. Never switches."""
        if self._twin is None:
            # Its constructor replaces the handlers; keep those of this object.
            pgconn = self.pgconn
            handlers = pgconn.notice_handler, pgconn.notify_handler
            self._twin = psycopg.AsyncConnection(pgconn)
            pgconn.notice_handler, pgconn.notify_handler = handlers
        return self._twin


def receive_notifications(pgconn: PGconn) -> Generator[int, int, None]:
    """Pass each notification to the handler of *pgconn* while driven by a `Reader`."""
    while True:
        yield INPUT
        pgconn.consume_input()
        while notification := pgconn.notifies():
            if (handle := pgconn.notify_handler) is not None:
                handle(notification)


class _Lock:
    """
    psycopg's lock around each operation, which must never block an event loop.

    The scopes ensure that tasks use a connection one at a time. If a user shares one
    between tasks by hand, waiting here would block the loop for ever, so it is an
    error. Waiting for a thread that shares one with the loop (`async_to_sync`) is safe:
    the thread finishes its query without the loop.
    """

    def __init__(self, connection: BridgeConnection) -> None:
        self._lock = threading.Lock()
        # Weak, because without a cycle an unreferenced connection is closed at once.
        self._connection = weakref.ref(connection)
        # The thread that has the lock; 0 while none has.
        self._thread = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        thread = threading.get_ident()
        if self._lock.acquire(blocking=False):
            self._thread = thread
            return True
        if not blocking:
            return False
        if asyncio._get_running_loop() is not None and self._thread == thread:
            raise psycopg.InterfaceError(
                f"{self._connection()!r} is in use by another task of this event loop, "
                f"and waiting for it here would block the loop. Use a connection from "
                f"vinyl.orm.connections in each task, or start the tasks inside "
                f"transaction.atomic(), where they use one connection in turn."
            )
        if taken := self._lock.acquire(timeout=timeout):
            self._thread = thread
        return taken

    def release(self) -> None:
        self._thread = 0
        self._lock.release()

    def locked(self) -> bool:
        return self._lock.locked()

    def __enter__(self) -> bool:
        if self._lock.acquire(blocking=False):
            self._thread = threading.get_ident()
            return True
        return self.acquire()

    def __exit__(self, *exc_info: object) -> None:
        self._thread = 0
        self._lock.release()


def _nothing() -> None:
    """The value of `wrapper` while no DatabaseWrapper has the connection."""
