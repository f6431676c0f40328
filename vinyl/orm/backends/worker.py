"""
The thread of one connection, for drivers that block.

It is a daemon thread, unlike those of concurrent.futures: the interpreter's exit waits
for those before their calls, which may never end, can be interrupted.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar, cast

from django.db import InterfaceError

from vinyl.bridge.cancellation import Shield
from vinyl.bridge.greenlets import active_shield, suspend
from vinyl.orm.backends.base import ThreadLoan
from vinyl.orm.backends.notifier import notifier_for
from vinyl.orm.backends.settling import settle, settle_in_thread

__all__ = ["Worker"]

T = TypeVar("T")

# How often a call that is to end early is interrupted, in seconds.
INTERRUPT_INTERVAL = 0.05
# How long the interpreter's exit waits for all threads together, in seconds.
EXIT_TIMEOUT = 5.0


class Employer(Protocol):
    """What a worker asks of the `DatabaseWrapper` whose connection it serves."""

    alias: str

    def is_guarded(self) -> bool: ...
    def loan_here(self) -> ThreadLoan | None: ...
    def note_interruption(self) -> None: ...
    def call_driver(self, call: Callable[[], T], name: str, worker: Worker) -> T: ...
    def interrupt(self, raw: Any) -> None: ...


class _Call(Generic[T]):
    """
    A call in a worker's thread. Subclasses with `wait()` are operations for `settle()`.

    Args:
        worker: The worker whose thread calls *fn*.
        fn: The function.
    """

    __slots__ = ("error", "fn", "has_ended", "returned", "worker")

    def __init__(self, worker: Worker, fn: Callable[[], T]) -> None:
        self.worker = worker
        self.fn = fn
        self.has_ended = False
        self.returned: T | None = None
        self.error: BaseException | None = None

    def notify(self) -> None:
        """Wake the task or thread that waits. Called in the worker's thread."""

    def ended(self) -> bool:
        return self.has_ended

    def interrupt(self) -> None:
        self.worker.interrupt()

    def outcome(self) -> tuple[T] | None:
        return None if self.error is not None else (cast(T, self.returned),)

    def result(self) -> T:
        """Return what *fn* has returned, or raise its error."""
        if self.error is None:
            return cast(T, self.returned)
        try:
            raise self.error
        finally:
            # The error's traceback leads to this frame.
            del self


class _LoopCall(_Call[T]):
    """A call that a task waits for on its event loop."""

    __slots__ = ("_loop", "_notifier", "waiter")

    def __init__(self, worker: Worker, fn: Callable[[], T]) -> None:
        super().__init__(worker, fn)
        self._loop = asyncio.get_running_loop()
        self._notifier = notifier_for(self._loop)
        # Done when the call has ended, unless the task is cancelled before.
        self.waiter = self._loop.create_future()

    def notify(self) -> None:
        self._notifier.call_soon(self._wake)

    def _wake(self) -> None:
        if not self.waiter.done():
            self.waiter.set_result(None)

    async def wait(self) -> None:
        self.waiter = self._loop.create_future()
        await asyncio.wait([self.waiter], timeout=INTERRUPT_INTERVAL)


class _ThreadCall(_Call[T]):
    """A call that another thread waits for."""

    __slots__ = ("_event",)

    def __init__(self, worker: Worker, fn: Callable[[], T]) -> None:
        super().__init__(worker, fn)
        self._event = threading.Event()

    def notify(self) -> None:
        self._event.set()

    def wait(self) -> None:
        self._event.wait(INTERRUPT_INTERVAL)


_Calls = SimpleQueue[_Call[Any] | None]


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
        # Unlike an eventfd, its put() does not release the interpreter's lock, which
        # the thread would take, and pass back and forth at each row of a result.
        self.calls: _Calls = SimpleQueue()
        self.thread = _Thread(self)
        self.thread.start()
        # Where the connection is forgotten, its thread ends all the same.
        weakref.finalize(self, self.calls.put, None)

    def submit(self, fn: Callable[[], object]) -> None:
        """
        Make the thread call *fn* after the calls submitted before, and do not wait.

        Raises:
            InterfaceError: The connection has been closed, so the thread is ending.

        Never switches.
        """
        self._put(_Call(self, fn))

    def _put(self, call: _Call[Any]) -> None:
        if self.closed:
            raise InterfaceError(
                f"This connection to database {self.wrapper.alias!r} has been closed, "
                f"so its cursors cannot be used any more. Use a cursor only inside the "
                f"block that created it, and look up `connection` again for each use."
            )
        self.calls.put(call)

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
            return suspend(self.call_on_loop(call, active_shield()))
        except asyncio.CancelledError:
            self.wrapper.note_interruption()
            raise

    async def call_on_loop(
        self,
        fn: Callable[[], T],
        shield: Shield | None = None,
    ) -> T:
        """
        Return `fn()`, called in the worker's thread.

        Args:
            shield: The result of `active_shield()` in the code that waits.

        Raises:
            InterfaceError: The connection has been closed.
            CancelledError: The task was cancelled; the call has ended. The caller has
                to note the interruption.

        Switches to the event loop.
        """
        call = _LoopCall(self, fn)
        self._put(call)
        try:
            await call.waiter
            return call.result()
        except asyncio.CancelledError as cancelled:
            # The thread has to be done before anybody uses the connection again.
            try:
                return await settle(call, cancelled, shield)
            finally:
                self.interrupted = False
        finally:
            del call

    def _call_from_thread(
        self,
        fn: Callable[[], T],
        shield: Shield | None,
        loan: ThreadLoan,
    ) -> T:
        """As `call_on_loop()`, in a thread that the connection is lent to."""
        loan.begin(self.wrapper.alias)
        call = _ThreadCall(self, fn)
        self._put(call)
        try:
            while not call.has_ended:
                call.wait()
                if not call.has_ended:
                    loan.look()
        except BaseException as error:
            try:
                return settle_in_thread(call, error, shield)
            finally:
                self.interrupted = False
        try:
            return call.result()
        finally:
            del call

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
    while (call := calls.get()) is not None:
        try:
            call.returned = call.fn()
        except BaseException as error:
            call.error = error
        call.has_ended = True
        call.notify()
        # An idle thread would keep the last result and the connection alive.
        del call


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
