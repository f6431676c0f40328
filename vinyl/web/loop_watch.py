"""
Reports of code that blocks the event loop, whatever it is: a thread asks the loop again
and again for a sign of life, and looks at the line that is running if none comes.

vinyl.bridge.blocking measures plain views and middleware by themselves. This also sees
`async def` code, libraries and callbacks, and names the line.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import sysconfig
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import Any

import vinyl

__all__ = ["report_blocking"]

logger = logging.getLogger("vinyl.bridge")

# A loop that gives no sign of life for this long is blocked, in seconds.
BLOCKS_AFTER = 0.2
# How often to ask for one, in seconds.
INTERVAL = 0.1

# The folders whose code is not the project's.
LIBRARIES = tuple(
    f"{folder}/"
    for folder in {
        *(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")),
        str(Path(vinyl.__file__).parent),
    }
)


@asynccontextmanager
async def report_blocking(app: Any = None) -> AsyncIterator[None]:
    """
    Return a context manager, in whose block code that blocks the event loop for more
    than 200 ms is logged with its view and its line, once for each line. `vinyl
    runserver` enters it; elsewhere list it as a lifespan:

        VINYL = {"LIFESPAN": ["vinyl.web.loop_watch.report_blocking"]}

    It wakes the event loop ten times a second.

    Args:
        app: The application, which a lifespan is given; not used.

    Switches to the event loop at the end of the block.
    """
    stopped = threading.Event()
    loop = asyncio.get_running_loop()
    watch = threading.Thread(
        target=_watch,
        args=(loop, threading.get_ident(), stopped),
        name="vinyl-loop-watch",
        daemon=True,
    )
    watch.start()
    try:
        yield
    finally:
        stopped.set()
        # Not join(), which would block the loop that it waits for.
        await asyncio.to_thread(watch.join)


def _watch(
    loop: asyncio.AbstractEventLoop, thread: int, stopped: threading.Event
) -> None:
    reported: set[str] = set()
    while not stopped.wait(INTERVAL):
        alive = threading.Event()
        asked = perf_counter()
        try:
            loop.call_soon_threadsafe(alive.set)
        except RuntimeError:
            # The loop has been closed.
            return
        if alive.wait(BLOCKS_AFTER):
            continue
        frame = sys._current_frames().get(thread)
        # It has ended in this moment, or there is nothing to say where it is.
        if alive.is_set() or frame is None:
            continue
        place = place_of(frame)
        # A frame keeps the local variables alive.
        del frame
        while not alive.wait(INTERVAL):
            if stopped.is_set():
                return
        if place not in reported:
            reported.add(place)
            logger.warning(
                "The event loop was blocked for %d ms, in which no other request was "
                "served, by %s. Await an async function instead, or decorate the one "
                "that blocks with in_thread (vinyl.web). Each line is reported once.",
                (perf_counter() - asked) * 1000,
                place,
            )


def place_of(frame: FrameType) -> str:
    """
    Return where *frame* is, for a message: the project's innermost line, and the
    outermost function of the project, which is the view. Never switches.
    """
    own = [each for each in _stack(frame) if _is_own(each)]
    line = own[0] if own else frame
    text = f"{_name(line)} ({line.f_code.co_filename}:{line.f_lineno})"
    if line is not frame:
        text += f" in a call of {_name(frame)}"
    if own and own[-1] is not line:
        text += f", called by {_name(own[-1])}"
    return text


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _is_own(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    # The command that serves is called by a script of the environment.
    is_main = frame.f_globals.get("__name__") == "__main__"
    return not (file.startswith((*LIBRARIES, "<")) or is_main)


def _name(frame: FrameType) -> str:
    code = frame.f_code
    module = frame.f_globals.get("__name__", "?")
    return f"{module}.{getattr(code, 'co_qualname', code.co_name)}"
