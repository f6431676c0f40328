"""
Calling functions on an event loop from threads.

On Linux the threads write to an eventfd, which costs less than
`loop.call_soon_threadsafe()`: that creates a handle and copies the context for each
call, and writes to a socket that the loop reads twice. It is used on other systems.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context
from typing import Protocol

__all__ = ["notifier_for"]

HAS_EVENTFD = hasattr(os, "eventfd")


class Notifier(Protocol):
    """Makes an event loop call functions that threads pass to it."""

    def call_soon(self, fn: Callable[[], object], /) -> None:
        """
        Make the loop call *fn*, which must not raise, after the functions passed
        before. If the loop has been closed, do nothing. May be called in any thread.
        Never switches.
        """


class _EventfdNotifier:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._calls: deque[Callable[[], object]] = deque()
        # Whether the eventfd has been written to since the loop last read it.
        self._is_signalled = False
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # Not closed with the loop or at the interpreter's exit: a thread may still
        # write to it, and another file could have its number by then.
        weakref.finalize(self, os.close, self._fd).atexit = False
        # In a context of its own, because it outlives that of the running task.
        Context().run(loop.add_reader, self._fd, self._call_all)

    def call_soon(self, fn: Callable[[], object], /) -> None:
        self._calls.append(fn)
        if not self._is_signalled:
            self._is_signalled = True
            os.eventfd_write(self._fd, 1)

    def _call_all(self) -> None:
        os.eventfd_read(self._fd)
        # Before the calls, so that functions passed during the calls are noticed.
        self._is_signalled = False
        while self._calls:
            self._calls.popleft()()


class _LoopNotifier:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        # Weak, because a WeakKeyDictionary has this object as the loop's value.
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
        # Not every loop implements add_reader().
        with suppress(NotImplementedError):
            return _EventfdNotifier(loop)
    return _LoopNotifier(loop)
