"""
The thread of one connection, for drivers that block.

It is a daemon thread, unlike those of concurrent.futures: the interpreter's exit waits
for those before their calls, which may never end, can be interrupted.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from django.db import InterfaceError

from vinyl.bridge.cancellation import Shield
from vinyl.bridge.greenlets import active_shield, suspend
from vinyl.orm.backends.base import ThreadLoan
from vinyl.orm.backends.settling import settle, settle_in_thread

__all__ = ["Worker"]

T = TypeVar("T")

# How often a call that is to end early is interrupted, in seconds.
INTERRUPT_INTERVAL = 0.05
# How long the interpreter's exit waits for all threads together, in seconds.
EXIT_TIMEOUT = 5.0

_Calls = SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]


class Employer(Protocol):
    """What a worker asks of the `DatabaseWrapper` whose connection it serves."""

    alias: str
    is_undoing: bool

    def is_guarded(self) -> bool: ...
    def loan_here(self) -> ThreadLoan | None: ...
    def note_interruption(self) -> None: ...
    def call_driver(self, call: Callable[[], T], name: str, worker: Worker) -> T: ...
    def interrupt(self, raw: Any) -> None: ...


class Worker:
    """
    The thread of one connection.

    Args:
        wrapper: The DatabaseWrapper of the connection; it knows how to call and how to
            interrupt the driver.
    """

    def __init__(self, wrapper: Employer) -> None:
        self.wrapper = wrapper
        # The driver's connection, once it is open.
        self.raw: Any = None
        # Whether the running call is to end early; and whether there is a last one.
        self.interrupted = self.closed = False
        self.calls: _Calls = SimpleQueue()
        self.thread = _Thread(self)
        self.thread.start()
        # Where the connection is forgotten, its thread ends all the same.
        weakref.finalize(self, self.calls.put, None)

    def submit(self, fn: Callable[[], T]) -> Future[T]:
        """
        Have the thread call *fn*, after the calls submitted before.

        Raises:
            InterfaceError: The connection has been closed, so the thread is ending.

        Never switches.
        """
        if self.closed:
            raise InterfaceError(
                f"This connection to database {self.wrapper.alias!r} has been closed, "
                f"so its cursors cannot be used any more. Use a cursor only inside the "
                f"block that created it, and look up `connection` again for each use."
            )
        future: Future[T] = Future()
        self.calls.put((future, fn))
        return future

    def call(self, fn: Callable[..., T], *args: Any, name: str = "") -> T:
        """
        Return `fn(*args)`, called in the worker's thread.

        Outside the bridge, and outside threads that the connection is lent to, *fn* is
        called directly: that is clean-up.

        Args:
            name: The driver's method or attribute, if it may wait for a lock.

        Raises:
            InterfaceError: The connection has been closed.
            CancelledError: The task was cancelled; the call has ended.

        Switches to the event loop in the bridge.
        """
        call = partial(fn, *args)
        if not self.wrapper.is_guarded():
            return call()
        if name:
            call = partial(self.wrapper.call_driver, call, name, self)
        try:
            if (loan := self.wrapper.loan_here()) is not None:
                return self._call_from_thread(call, active_shield(), loan)
            return suspend(self._call(call, active_shield()))
        except asyncio.CancelledError:
            self.wrapper.note_interruption()
            raise

    async def _call(
        self,
        fn: Callable[[], T],
        shield: Shield | None,
    ) -> T:
        future = asyncio.wrap_future(self.submit(fn))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError as cancelled:
            # The thread has to be done before anybody uses the connection again.
            wait = partial(asyncio.wait, [future], timeout=INTERRUPT_INTERVAL)
            operation = _Operation(self, future, wait)
            undoing = self.wrapper.is_undoing
            try:
                return await settle(operation, cancelled, shield, is_undoing=undoing)
            finally:
                self.interrupted = False

    def _call_from_thread(
        self,
        fn: Callable[[], T],
        shield: Shield | None,
        loan: ThreadLoan,
    ) -> T:
        """As `_call()`, in a thread that the connection is lent to."""
        loan.begin(self.wrapper.alias)
        future = self.submit(fn)
        wait = partial(concurrent.futures.wait, [future], timeout=INTERRUPT_INTERVAL)
        try:
            while not wait().done:
                loan.look()
        except BaseException as error:
            operation = _Operation(self, future, wait)
            undoing = self.wrapper.is_undoing
            try:
                return settle_in_thread(operation, error, shield, is_undoing=undoing)
            finally:
                self.interrupted = False
        return future.result()

    def interrupt(self) -> None:
        """Ask the driver to end the running call early. Never switches."""
        self.interrupted = True
        # Without an open connection there is nothing to interrupt, and a driver that is
        # being closed may refuse.
        if self.raw is not None:
            with contextlib.suppress(Exception):
                self.wrapper.interrupt(self.raw)

    def close(self, fn: Callable[[], Any]) -> None:
        """Have the thread call *fn* and then end. Never switches."""
        if not self.closed:
            self.submit(fn)
            self.closed = True
            self.calls.put(None)

    def end(self, deadline: float) -> None:
        """At exit: interrupt the thread until it ends or *deadline* has passed."""
        self.closed = True
        self.calls.put(None)
        while self.thread.is_alive() and time.monotonic() < deadline:
            self.interrupt()
            self.thread.join(INTERRUPT_INTERVAL)


class _Operation(Generic[T]):
    """
    A call in a worker's thread. An `Operation` for `settle()`.

    Args:
        future: What the call gives.
        wait: Waits for that for INTERRUPT_INTERVAL, as the caller does: on the event
            loop or in a thread.
    """

    def __init__(
        self,
        worker: Worker,
        future: Future[T] | asyncio.Future[T],
        wait: Callable[[], Any],
    ) -> None:
        self.future = future
        self.ended = future.done
        self.interrupt = worker.interrupt
        self.wait = wait

    def outcome(self) -> tuple[T] | None:
        if self.future.cancelled() or self.future.exception() is not None:
            return None
        return (self.future.result(),)


class _Thread(threading.Thread):
    def __init__(self, worker: Worker) -> None:
        super().__init__(
            target=_serve,
            args=(worker.calls,),
            name=f"vinyl-{worker.wrapper.alias}",
            daemon=True,
        )
        # Weak, so that a connection can be forgotten while its thread is idle.
        self.worker = weakref.ref(worker)


def _serve(calls: _Calls) -> None:
    """In the thread: do what comes until None does."""
    while (item := calls.get()) is not None:
        future, fn = item
        if future.set_running_or_notify_cancel():
            try:
                result = fn()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
                del result
        # An idle thread would keep the last result and the connection alive.
        del item, future, fn


@atexit.register
def _end_threads() -> None:
    """Let no connection be cut off in the middle of a call, or of being closed."""
    deadline = time.monotonic() + EXIT_TIMEOUT
    for thread in threading.enumerate():
        if isinstance(thread, _Thread):
            if (worker := thread.worker()) is not None:
                worker.end(deadline)
            else:
                thread.join(max(0.0, deadline - time.monotonic()))
