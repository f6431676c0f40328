"""
Telling an event loop, from threads, that something it waits for has ended.

On Linux the threads write to an eventfd. `loop.call_soon_threadsafe()`, which serves
other systems, makes a handle and a copy of the context for each call, and writes to a
socket that the loop reads twice.
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
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # Not with the loop, and not at the interpreter's exit: a thread may still write
        # to it, and by then another file could have its number.
        weakref.finalize(self, os.close, self._fd).atexit = False
        # In a context of its own, because it outlives that of the running task.
        Context().run(loop.add_reader, self._fd, self._call_all)

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
