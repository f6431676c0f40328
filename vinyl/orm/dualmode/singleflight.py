"""
One piece of work for several tasks that want the same result of the same object.

    await others_done([queryset], "rows")   # until no other task is at it
    with under_way([queryset], "rows"):     # others wait
        ...

Whoever has waited looks again: either the result is there, or the work has failed or
been cancelled and the next task tries it.

What is under way is kept here, per event loop, and never on the objects themselves:
those are pickled, copied and used by several loops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from vinyl.bridge.tasks import running_task
from vinyl.orm.scopes.scope import current_scope

__all__ = ["is_under_way", "others_done", "under_way"]


class Flight:
    """
    Work that the running task does.

    Args:
        objects: What it is done to. Kept, so that their ids stay theirs until its end.
    """

    __slots__ = ("ended", "loop", "objects", "task")

    def __init__(self, objects: list[Any]) -> None:
        self.objects = objects
        self.loop = asyncio._get_running_loop()
        self.task = running_task()
        self.ended = asyncio.Event()

    def end(self) -> None:
        """Let those who wait go on. Never switches."""
        if self.loop is None or self.loop is asyncio._get_running_loop():
            self.ended.set()
        elif not self.loop.is_closed():
            # The garbage collector ends it, maybe in another thread.
            self.loop.call_soon_threadsafe(self.ended.set)


_flights: dict[Hashable, Flight] = {}


def _keys(objects: Iterable[Any], what: str) -> list[Hashable]:
    """
    The keys of *what* for each of *objects*, as the running code sees them.

    The scope is one part of them. A task in a nested block, or a run that holds a
    connection, must not wait for work outside, which may wait for that connection.
    """
    place = id(asyncio._get_running_loop()), current_scope.get(), what
    return [(*place, id(one)) for one in objects]


def _others(objects: Iterable[Any], what: str) -> Flight | None:
    """The work of another task, if one does *what* to one of *objects*."""
    task = running_task()
    for key in _keys(objects, what) if _flights else ():
        flight = _flights.get(key)
        # A task that came across its own work would wait for ever.
        if flight is not None and flight.task is not task:
            return flight
    return None


def is_under_way(objects: Iterable[Any], what: str) -> bool:
    """
    Whether another task does *what* to one of *objects*, in the same scope. Never
    switches.
    """
    return _others(objects, what) is not None


async def others_done(objects: Iterable[Any], what: str) -> None:
    """
    Wait while another task does *what* to one of *objects*, in the same scope.

    Switches to the event loop.
    """
    while (flight := _others(objects, what)) is not None:
        await flight.ended.wait()


@contextmanager
def under_way(objects: Iterable[Any], what: str) -> Iterator[None]:
    """
    Have other tasks that ask for it wait while this block does *what* to *objects*.

    Never switches.
    """
    flight = Flight(list(objects))
    keys = _keys(flight.objects, what)
    _flights.update(dict.fromkeys(keys, flight))
    try:
        yield
    finally:
        for key in keys:
            if _flights.get(key) is flight:
                del _flights[key]
        flight.end()
