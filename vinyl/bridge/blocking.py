"""
Reporting sync code that blocks the event loop: in the bridge, waiting for anything
other than the database holds up all other requests.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Coroutine
from time import perf_counter
from typing import Any, TypeVar

from vinyl.bridge.greenlets import in_steps, run

__all__ = ["call_reporting", "not_counted", "run_reporting"]

T = TypeVar("T")

logger = logging.getLogger("vinyl.bridge")

# Sync code that runs for this long without waiting is reported, in seconds.
BLOCKS_AFTER = 0.2
# The names that have been reported, since once is enough.
_reported: set[str] = set()


class _Inner(threading.local):
    # How long the running step has been in the steps of code that it awaits, which are
    # measured on their own, in seconds.
    seconds = 0.0
    # Of the code that the step belongs to.
    parts: _Parts | None = None


_inner = _Inner()
Name = str | Callable[[], str]


class _Parts:
    """
    What code in the bridge is called, and functions that it has called, the innermost
    one last. Each is reported for the time that is its own.

    Args:
        name: That of the code; None to measure without a report.
    """

    def __init__(self, name: Name | None) -> None:
        self.names = [name]
        self.since = 0.0
        self.inner = 0.0

    def begin(self) -> None:
        """Measure from here on. Never switches."""
        self.since, self.inner = perf_counter(), _inner.seconds

    def turn(self) -> None:
        """Report the innermost function if it has blocked, and begin anew."""
        since, inner, name = self.since, self.inner, self.names[-1]
        self.begin()
        own = self.since - since - (self.inner - inner)
        if name is not None and own > BLOCKS_AFTER:
            _report(name if isinstance(name, str) else name(), own)


async def run_reporting(
    name: Name, fn: Callable[..., T], /, *args: Any, **kwargs: Any
) -> T:
    """
    Return `fn(*args, **kwargs)`, called in the bridge. Log a warning, once for each
    *name*, if the function blocks the event loop for more than 200 ms.

    Args:
        name: What the warning calls the function; or a function that returns it, called
            only if there is something to report.
        fn: The function.
        args, kwargs: Its arguments.

    Raises: any error of *fn*.

    Switches to the event loop.
    """
    __traceback_hide__ = True
    parts = _Parts(name)
    return await in_steps(run(fn, *args, **kwargs), functools.partial(_timed, parts))


def call_reporting(name: Name, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """
    Return `fn(*args, **kwargs)`, called by code that `run_reporting()` runs: the
    warning has *name* if this function is what blocks. Elsewhere it is only called.

    Raises: any error of *fn*.

    Never switches itself; *fn* may switch to the event loop.
    """
    __traceback_hide__ = True
    parts = _inner.parts
    if parts is None:
        return fn(*args, **kwargs)
    parts.turn()
    parts.names.append(name)
    try:
        return fn(*args, **kwargs)
    finally:
        parts.turn()
        parts.names.pop()


async def not_counted(awaitable: Coroutine[Any, Any, T]) -> T:
    """
    Return the result of *awaitable*, whose time does not count for the function around
    it that `run_reporting()` calls. Switches to the event loop.
    """
    __traceback_hide__ = True
    return await in_steps(awaitable, functools.partial(_timed, _Parts(None)))


def _timed(parts: _Parts, step: Callable[[], Any]) -> Any:
    around, _inner.seconds = _inner.seconds, 0.0
    outer, _inner.parts = _inner.parts, parts
    started = perf_counter()
    parts.begin()
    try:
        return step()
    finally:
        parts.turn()
        _inner.parts = outer
        _inner.seconds = around + parts.since - started


def _report(name: str, seconds: float) -> None:
    if name in _reported:
        return
    _reported.add(name)
    logger.warning(
        "%s blocked the event loop for %d ms, in which no other request was served: it "
        "computes, or waits for something other than the database. Decorate the view, "
        "the middleware or only the function that blocks with in_thread, from "
        "vinyl.web or vinyl.orm.asgi. This is reported once.",
        name,
        seconds * 1000,
    )
