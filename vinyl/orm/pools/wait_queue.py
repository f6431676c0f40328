"""A queue of tasks that wait, such as for a free connection or for a lock."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

__all__ = ["WaitQueue"]

T = TypeVar("T")


class WaitQueue(Generic[T]):
    """
    Tasks of one event loop that wait for a resource. The longest waiting task is
    served first.

    Between the moment when a task is served and the moment when it runs, it can be
    cancelled, and the queue can be closed. The resource is released then.
    """

    __slots__ = ("closed", "waiters")

    def __init__(self) -> None:
        # Whether the queue has stopped serving tasks.
        self.closed = False
        # Cancelled ones leave when their task runs next.
        self.waiters: deque[asyncio.Future[T | None]] = deque()

    async def wait(
        self,
        release: Callable[[T], object],
        after: float,
        on_timeout: Callable[[], BaseException | None],
        waiter: asyncio.Future[T | None] | None = None,
    ) -> T | None:
        """
        Return the resource that `serve()` gives to this task; None if the task is sent
        away, as it is when the queue is closed.

        Args:
            release: Called with a resource that this task was given but cannot use.
            after: How long to wait before *on_timeout* is called, in seconds.
            on_timeout: Returns the error to raise here, or None to continue waiting.
            waiter: The future to wait for, if it is not to be put into the queue.

        Raises: the error of *on_timeout* or of `serve()`.

        Switches to the event loop.
        """
        loop = asyncio.get_running_loop()
        if waiter is None:
            waiter = loop.create_future()
            self.enqueue(waiter)
        timer = loop.call_later(after, self._time_out, waiter, on_timeout)
        try:
            given = await waiter
        except BaseException:
            # A waiter that was served or refused is no longer in the queue.
            with suppress(ValueError):
                self.waiters.remove(waiter)
            if waiter.done() and not waiter.cancelled() and not waiter.exception():
                self._release(waiter.result(), release)
            raise
        finally:
            timer.cancel()
        if self.closed:
            self._release(given, release)
            return None
        return given

    def enqueue(self, waiter: asyncio.Future[T | None]) -> None:
        """
        Put *waiter* at the end of the queue; send it away if the queue is closed. Never
        switches.
        """
        if self.closed:
            waiter.set_result(None)
        else:
            self.waiters.append(waiter)

    def _release(self, given: T | None, release: Callable[[T], object]) -> None:
        if given is not None:
            release(given)

    def _time_out(
        self,
        waiter: asyncio.Future[T | None],
        on_timeout: Callable[[], BaseException | None],
    ) -> None:
        if not waiter.done() and (error := on_timeout()) is not None:
            self.waiters.remove(waiter)
            waiter.set_exception(error)

    def serve(self, supply: Callable[[], T | None]) -> bool:
        """
        Give what *supply* returns or raises to the task that waits longest.

        Args:
            supply: Called only if a task waits. If it returns None, no task is served.

        Returns: whether a task was served.

        Never switches.
        """
        while self.waiters:
            waiter = self.waiters[0]
            if not waiter.done():
                try:
                    given = supply()
                except Exception as error:
                    waiter.set_exception(error)
                else:
                    if given is None:
                        return False
                    waiter.set_result(given)
                self.waiters.popleft()
                return True
            self.waiters.popleft()
        return False

    def take(
        self,
        wanted: Callable[[asyncio.Future[T | None]], bool],
        limit: int | None = None,
    ) -> list[asyncio.Future[T | None]]:
        """
        Take what waits at the head of the queue, up to the first that is not *wanted*,
        and *limit* of them at most. The caller ends their waits. Never switches.
        """
        taken: list[asyncio.Future[T | None]] = []
        while self.waiters and len(taken) != limit:
            waiter = self.waiters[0]
            if not waiter.done():
                if not wanted(waiter):
                    break
                taken.append(waiter)
            self.waiters.popleft()
        return taken

    def close(self) -> None:
        """Send all tasks away, those too that were served but have not run yet."""
        self.closed = True
        self.send_away()

    def send_away(self) -> None:
        """Let `wait()` return None in all waiting tasks, in order. Never switches."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)

    def __len__(self) -> int:
        """The number of waiting tasks."""
        return len(self.waiters)
