"""
Calls that a view never awaited, which are errors on the development server.

Python only warns about a coroutine that was never awaited, and only when the coroutine
is destroyed, where an exception cannot reach the view. So the warning is noted, and the
view fails when it returns.
"""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import Any

from vinyl.exceptions import NotAwaitedError
from vinyl.orm.dualmode.awaited_value import note_awaited_value

__all__ = ["is_watching", "refusing_unawaited", "watch"]

logger = logging.getLogger("django.request")

# Enough frames to reach the caller's line from inside the dual-mode call.
FRAMES = 4

_watching = False
# The hook for all other errors that cannot be raised.
_report_other: Callable[[Any], object] = sys.__unraisablehook__
# Python's warnings about calls of the running view that were never awaited.
_noted: ContextVar[list[str]] = ContextVar("vinyl_unawaited")


def watch() -> None:
    """
    Note coroutines that are never awaited, for the rest of the process. Never switches.
    """
    global _watching, _report_other
    if _watching:
        return
    _watching = True
    _report_other = sys.unraisablehook
    warnings.filterwarnings("error", r"coroutine '.*' was never", RuntimeWarning)
    sys.set_coroutine_origin_tracking_depth(FRAMES)
    sys.unraisablehook = _note


def is_watching() -> bool:
    """Return whether `watch()` has been called. Never switches."""
    return _watching


def _note(unraisable: Any) -> None:
    error = unraisable.exc_value
    if not isinstance(error, RuntimeWarning) or "never awaited" not in str(error):
        _report_other(unraisable)
    elif (noted := _noted.get(None)) is not None:
        noted.append(str(error))
    else:
        logger.error("%s", error)


class refusing_unawaited:
    """
    Return a context manager that raises an error at the end of the block if a call in
    it was never awaited, and adds an explanation to the error of awaiting a lazy
    attribute that was fetched already. Does nothing unless `watch()` has been called.

    Args:
        describe: Returns what the error calls the code of the block.
        args: Its arguments.

    Raises:
        NotAwaitedError: A call in the block was never awaited.

    Never switches.
    """

    __slots__ = ("args", "describe", "noted", "token")

    def __init__(self, describe: Callable[..., str], *args: Any) -> None:
        self.describe = describe
        self.args = args
        self.token: Token[list[str]] | None = None

    def __enter__(self) -> None:
        if _watching:
            self.noted: list[str] = []
            self.token = _noted.set(self.noted)

    def __exit__(self, cls: Any, error: BaseException | None, traceback: Any) -> None:
        if self.token is None:
            return
        _noted.reset(self.token)
        if error is not None:
            note_awaited_value(error)
            # The view has failed with another error, so these are only logged.
            for text in self.noted:
                logger.error("%s", text)
        elif self.noted:
            described = self.describe(*self.args)
            raise NotAwaitedError(
                f"{described} made a call without awaiting it, so the call did "
                f"nothing. Write `await` before it. Python's warning: {self.noted[0]}"
            )
