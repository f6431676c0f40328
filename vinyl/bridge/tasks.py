"""The running task, and where a task is in its code."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any

from vinyl.bridge.calls import Call

__all__ = ["is_own", "place_of", "running_task"]

# Where code is that is not the user's.
_VINYL = os.path.dirname(os.path.dirname(__file__)) + os.sep
_LIBRARY = os.path.dirname(os.__file__) + os.sep
# What each kind of awaited object calls its frame, and what it awaits itself.
_LINKS: dict[type, tuple[str, str]] = {
    CoroutineType: ("cr_frame", "cr_await"),
    Call: ("cr_frame", "cr_await"),
    GeneratorType: ("gi_frame", "gi_yieldfrom"),
    AsyncGeneratorType: ("ag_frame", "ag_await"),
}


def running_task() -> asyncio.Task[Any] | None:
    """Return the running task, or None. Never switches."""
    loop = asyncio._get_running_loop()
    return None if loop is None else asyncio.current_task(loop)


def place_of(task: asyncio.Task[Any] | None) -> str:
    """
    Return the name of a task and the line where it waits, for messages: the innermost
    line outside of vinyl and libraries, or else the outermost. Never switches.
    """
    if task is None:
        return "no task"
    place = ""
    for frame in _frames(task.get_coro()):
        code = frame.f_code
        if not place or is_own(code.co_filename):
            place = f" in {code.co_qualname}() at {code.co_filename}:{frame.f_lineno}"
    return f"task {task.get_name()!r}{place}"


def _frames(awaited: Any) -> Iterator[FrameType]:
    """The frames of a suspended coroutine and of what it awaits, outermost first."""
    while awaited is not None:
        for kind, (name, inner) in _LINKS.items():
            if isinstance(awaited, kind):
                if (frame := getattr(awaited, name)) is not None:
                    yield frame
                awaited = getattr(awaited, inner)
                break
        else:
            return


def is_own(file: str) -> bool:
    """Whether *file* belongs neither to vinyl nor to a library. Never switches."""
    return not file.startswith((_VINYL, _LIBRARY)) and "site-packages" not in file
