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

__all__ = ["not_counted", "run_reporting"]

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


_inner = _Inner()


async def run_reporting(
    name: str | Callable[[], str], fn: Callable[..., T], /, *args: Any, **kwargs: Any
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
    return await in_steps(run(fn, *args, **kwargs), functools.partial(_timed, name))


async def not_counted(awaitable: Coroutine[Any, Any, T]) -> T:
    """
    Return the result of *awaitable*, whose time does not count for the function around
    it that `run_reporting()` calls. Switches to the event loop.
    """
    __traceback_hide__ = True
    return await in_steps(awaitable, functools.partial(_timed, None))


def _timed(name: str | Callable[[], str] | None, step: Callable[[], Any]) -> Any:
    around, _inner.seconds = _inner.seconds, 0.0
    started = perf_counter()
    try:
        return step()
    finally:
        took = perf_counter() - started
        own = took - _inner.seconds
        _inner.seconds = around + took
        if name is not None and own > BLOCKS_AFTER:
            _report(name if isinstance(name, str) else name(), own)


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
