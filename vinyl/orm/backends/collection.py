"""
How often Python's garbage collector runs, and pausing it while rows become objects.

All objects of a result stay alive for a while, so the collector would scan them in
vain, and trigger scans of older generations, which contain all that the process has
imported.
"""

from __future__ import annotations

import gc
from collections.abc import Generator
from typing import Any, TypeVar

__all__ = ["MANY", "Pause", "raise_threshold", "with_pauses"]

T = TypeVar("T")

# From this number of rows on, the collector would run while they become objects.
MANY = 50


# What Python's versions begin with.
DEFAULT_THRESHOLDS = (700, 2000)


def raise_threshold(threshold: int | None) -> None:
    """
    Have the collector scan new objects each time *threshold* of them have not been
    freed, unless code or None leaves that to others. Never switches.
    """
    first, *others = gc.get_threshold()
    if threshold is not None and first in DEFAULT_THRESHOLDS:
        gc.set_threshold(threshold, *others)


class Pause:
    """
    The garbage collector does not run in the block, unless it makes few objects. The
    block must not wait for anything: other tasks would run in it.

    Args:
        rows: The number of rows that become objects.
    """

    __slots__ = ("_pauses",)

    def __init__(self, rows: int) -> None:
        self._pauses = rows >= MANY

    def __enter__(self) -> None:
        # It may be off already, in the whole process.
        self._pauses = self._pauses and gc.isenabled()
        if self._pauses:
            gc.disable()

    def __exit__(self, *exc_info: object) -> None:
        if self._pauses:
            gc.enable()


def with_pauses(gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
    """
    *gen*, one of psycopg's generators that fetches many rows, without the garbage
    collector between two of its waits.
    """
    try:
        ready = yield next(gen)
        while True:
            with Pause(MANY):
                waits_for = gen.send(ready)
            ready = yield waits_for
    except StopIteration as ended:
        found: T = ended.value
        return found
