"""
Passing calls between an event loop and a thread.

On Linux both sides write to an eventfd. Writing releases the interpreter's lock, so
that the thread begins at once, and is often done before the loop polls. A lock or a
socket, as in `SimpleQueue.put()` and `loop.call_soon_threadsafe()`, makes each side
wake the other twice. Other systems use those.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar

__all__ = ["Notifier", "Queue", "new_queue", "notifier_for"]

T = TypeVar("T")

HAS_EVENTFD = hasattr(os, "eventfd")


def _new_eventfd(owner: object, flags: int = 0) -> int:
    """An eventfd that is open as long as *owner* exists."""
    fd = os.eventfd(0, os.EFD_CLOEXEC | flags)
    # Threads may use it until the interpreter has ended.
    weakref.finalize(owner, os.close, fd).atexit = False
    return fd


class Queue(Protocol[T]):
    """A queue that one thread reads."""

    def put(self, item: T, /) -> None:
        """Append *item*. Never switches."""

    def get(self) -> T:
        """Remove and return the first item; block the thread until there is one."""


class _EventfdQueue(Generic[T]):
    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._fd = _new_eventfd(self)

    def put(self, item: T, /) -> None:
        self._items.append(item)
        os.eventfd_write(self._fd, 1)

    def get(self) -> T:
        while not self._items:
            # Unlike os.eventfd_read(), it goes on after a signal.
            os.read(self._fd, 8)
        return self._items.popleft()


def new_queue() -> Queue[T]:
    """Return an empty queue. Never switches."""
    return _EventfdQueue() if HAS_EVENTFD else SimpleQueue()


class Notifier(Protocol):
    """Has an event loop call functions for threads."""

    def call_soon(self, fn: Callable[[], object], /) -> None:
        """
        In any thread: have the loop call *fn*, which must not raise, after those that
        came before. If the loop has been closed, do nothing. Never switches.
        """


class _EventfdNotifier:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._calls: deque[Callable[[], object]] = deque()
        # Whether the loop has been told of the calls and has not made them yet.
        self._is_told = False
        # Not closed with the loop: a thread may still write to it, and by then another
        # file could have its number.
        self._fd = _new_eventfd(self, os.EFD_NONBLOCK)
        loop.add_reader(self._fd, self._call_all)

    def call_soon(self, fn: Callable[[], object], /) -> None:
        self._calls.append(fn)
        if not self._is_told:
            self._is_told = True
            os.eventfd_write(self._fd, 1)

    def _call_all(self) -> None:
        os.eventfd_read(self._fd)
        # Before the calls, so that the loop is told of those that come meanwhile.
        self._is_told = False
        while self._calls:
            self._calls.popleft()()


class _LoopNotifier:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # Weak, because it is the value of a key that is weak.
        self._loop = weakref.ref(loop)

    def call_soon(self, fn: Callable[[], object], /) -> None:
        if (loop := self._loop()) is not None:
            # Raised if the loop has been closed.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(fn)


_notifiers: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Notifier]
_notifiers = weakref.WeakKeyDictionary()


def notifier_for(loop: asyncio.AbstractEventLoop) -> Notifier:
    """Return the notifier of *loop*, which is the running one. Never switches."""
    if (found := _notifiers.get(loop)) is None:
        found = _notifiers[loop] = _new_notifier(loop)
    return found


def _new_notifier(loop: asyncio.AbstractEventLoop) -> Notifier:
    if HAS_EVENTFD:
        # Not every loop has readers.
        with suppress(NotImplementedError):
            return _EventfdNotifier(loop)
    return _LoopNotifier(loop)
