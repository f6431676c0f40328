"""
Single flight: of several tasks that want the same result of the same object, one does
the work and the others wait for it.

    await wait_for_flight([queryset], "rows")   # until no other task is doing it
    with in_flight([queryset], "rows"):         # other tasks wait
        ...

A task that has waited looks again: either the result is there, or the work failed or
was cancelled, and the next task tries.

The flights are kept here, by event loop, and not on the objects themselves, which are
pickled, copied and shared between loops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Iterable

from vinyl.bridge.tasks import running_task
from vinyl.orm.scopes.scope import current_scope

__all__ = ["in_flight", "is_in_flight", "wait_for_flight"]


class Flight:
    """
    Work that the running task does.

    Args:
        objects: The objects it works on. Kept alive, so that no other object gets the
            id of one of them before the work ends.
    """

    __slots__ = ("ended", "has_ended", "loop", "objects", "task")

    def __init__(self, objects: list[object]) -> None:
        self.objects = objects
        self.loop = asyncio._get_running_loop()
        self.task = running_task()
        self.has_ended = False
        # Created by the first task that waits.
        self.ended: asyncio.Event | None = None

    async def wait(self) -> None:
        """Return when it has ended. Switches to the event loop."""
        if self.ended is None:
            self.ended = asyncio.Event()
        # In this order: it may end in another thread.
        if not self.has_ended:
            await self.ended.wait()

    def end(self) -> None:
        """Wake the tasks that wait. Never switches."""
        self.has_ended = True
        if self.ended is None:
            return
        if self.loop is None or self.loop is asyncio._get_running_loop():
            self.ended.set()
        elif not self.loop.is_closed():
            # The garbage collector ends it, maybe in another thread.
            self.loop.call_soon_threadsafe(self.ended.set)


# By place, then by the id() of each object, because a prefetch has hundreds of objects.
_flights: dict[Hashable, dict[int, Flight]] = {}


def _place(what: str) -> Hashable:
    """
    Return the key under which the running code finds flights of *what*.

    It contains the scope: a task in a nested block, or a run that holds a connection,
    must not wait for work outside, which may be waiting for that connection.
    """
    return id(asyncio._get_running_loop()), current_scope.get(), what


def _flight_of_others(objects: Iterable[object], what: str) -> Flight | None:
    """The work of another task that does *what* to one of *objects*, if any."""
    flights = _flights.get(_place(what)) if _flights else None
    if not flights:
        return None
    task = running_task()
    for flight in map(flights.get, map(id, objects)):
        # A task that waited for its own work would wait for ever.
        if flight is not None and flight.task is not task:
            return flight
    return None


def is_in_flight(objects: Iterable[object], what: str) -> bool:
    """
    Whether another task, in the same scope, does *what* to one of *objects*.

    Never switches.
    """
    return _flight_of_others(objects, what) is not None


async def wait_for_flight(objects: Iterable[object], what: str) -> None:
    """
    Return when no other task in the same scope does *what* to any of *objects*.

    Switches to the event loop.
    """
    while (flight := _flight_of_others(objects, what)) is not None:
        await flight.wait()


class in_flight:
    """
    Let other tasks that want *what* of *objects* wait while the block runs.

    Never switches.
    """

    __slots__ = ("_flight", "_flights", "_keys", "_place")

    def __init__(self, objects: Iterable[object], what: str) -> None:
        self._flight = Flight(list(objects))
        self._place = _place(what)
        self._keys = [*map(id, self._flight.objects)]

    def __enter__(self) -> None:
        self._flights = _flights.setdefault(self._place, {})
        for key in self._keys:
            self._flights[key] = self._flight

    def __exit__(self, *exc_info: object) -> None:
        flights = self._flights
        for key in self._keys:
            if flights.get(key) is self._flight:
                del flights[key]
        if not flights and _flights.get(self._place) is flights:
            del _flights[self._place]
        self._flight.end()
