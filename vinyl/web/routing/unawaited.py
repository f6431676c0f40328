"""
Calls that a view made and never awaited: an error, on the development server.

Python only warns of a coroutine that nobody awaited, and does so where it is thrown
away, from where no exception can reach the view. So the warning is noted, and the view
fails when it returns.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from vinyl.exceptions import NotAwaitedError
from vinyl.orm.dualmode.awaited_value import note_awaited_value

__all__ = ["refusing_unawaited", "watch"]

logger = logging.getLogger("django.request")

# Enough frames to show the line that called, below those of the dual-mode call.
FRAMES = 4

_watching = False
# What reports all else that cannot be raised.
_report_other: Callable[[Any], object] = sys.__unraisablehook__
# What Python said of each call of the running view that was thrown away.
_noted: ContextVar[list[str]] = ContextVar("vinyl_unawaited")


def watch() -> None:
    """From now on, in this process, note coroutines that nobody awaits."""
    global _watching, _report_other
    if _watching:
        return
    _watching = True
    _report_other = sys.unraisablehook
    warnings.filterwarnings("error", r"coroutine '.*' was never", RuntimeWarning)
    sys.set_coroutine_origin_tracking_depth(FRAMES)
    sys.unraisablehook = _note


def _note(unraisable: Any) -> None:
    error = unraisable.exc_value
    if not isinstance(error, RuntimeWarning) or "never awaited" not in str(error):
        _report_other(unraisable)
    elif (noted := _noted.get(None)) is not None:
        noted.append(str(error))
    else:
        logger.error("%s", error)


@contextmanager
def refusing_unawaited(describe: Callable[[], str]) -> Iterator[None]:
    """
    Raise `NotAwaitedError` at the end of the block if a call in it was not awaited, and
    explain the error of awaiting a lazy attribute that had been fetched.

    Does nothing unless `watch()` has been called.

    Args:
        describe: Gives what the error calls the code of the block.
    """
    if not _watching:
        yield
        return
    noted: list[str] = []
    token = _noted.set(noted)
    try:
        yield
    except BaseException as error:
        note_awaited_value(error)
        # The view has failed already; that it also forgot something is for the log.
        for text in noted:
            logger.error("%s", text)
        raise
    finally:
        _noted.reset(token)
    if noted:
        raise NotAwaitedError(
            f"{describe()} made a call and did not await it, so it has done nothing. "
            f"Write `await` before it. Python says: {noted[0]}"
        )
