"""
Batches: items that several tasks await in the same turn of the event loop, fetched
together.

The first task waits for one turn of the event loop, in which the others add their
items. Then a separate task fetches all items of the batch. A task that is alone fetches
its own item, and does not wait if no other task is ready to run.

A cancelled task leaves the batch; the last one to leave cancels the fetch. Each task
raises its own copy of an error of the fetch.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from vinyl.orm.observe.events import current_observers
from vinyl.orm.scopes.scope import current_scope

__all__ = ["fetch_together"]

# Maximum number of tasks in one batch. A longer list of keys has no plan.
MAX_SIZE = 500


class _Batch:
    """
    The items that tasks ask for in one turn of the event loop.

    Args:
        fetch_all: Returns the results for a list of items, in the same order.
    """

    __slots__ = ("asked", "fetch_all", "task")

    def __init__(self, fetch_all: Callable[[list[Any]], Awaitable[list[Any]]]) -> None:
        self.fetch_all = fetch_all
        # The items, each with the future of its result.
        self.asked: list[tuple[Any, asyncio.Future[Any]]] = []
        # Fetches the items after the turn; None before.
        self.task: asyncio.Task[None] | None = None

    def add(self, item: Any) -> asyncio.Future[Any]:
        """Return the future of the result for *item*. Never switches."""
        future = asyncio.get_running_loop().create_future()
        self.asked.append((item, future))
        return future

    def waiting(self) -> list[tuple[Any, asyncio.Future[Any]]]:
        """The items without a result whose tasks still wait. Never switches."""
        return [one for one in self.asked if not one[1].done()]

    def start(self) -> None:
        """Start the task that fetches the items. Never switches."""
        self.task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        asked = self.waiting()
        try:
            results = await self.fetch_all([item for item, _ in asked]) if asked else ()
        except Exception as error:
            for _, future in asked:
                if not future.done():
                    future.set_exception(_copied(error))
        except BaseException:
            for _, future in asked:
                future.cancel()
            raise
        else:
            for (_, future), result in zip(asked, results, strict=True):
                if not future.done():
                    future.set_result(result)

    async def wait(self, future: asyncio.Future[Any]) -> Any:
        """
        Return the result of *future*, which `add()` has returned. Switches to the event
        loop.
        """
        try:
            return await future
        except asyncio.CancelledError:
            if (task := self._abandoned()) is not None:
                task.cancel()
                # Then the connection is idle, as after any other cancelled query.
                await asyncio.wait([task])
            raise
        except GeneratorExit:
            future.cancel()
            if (task := self._abandoned()) is not None:
                task.cancel()
            raise

    def _abandoned(self) -> asyncio.Task[None] | None:
        """The task that fetches, if no task waits for its results any longer."""
        task = self.task
        if task is None or task.done() or self.waiting():
            return None
        return task


# The batches to which items can still be added.
_open: dict[Hashable, _Batch] = {}


async def fetch_together(
    key: Hashable,
    item: Any,
    fetch_one: Callable[[], Awaitable[Any]],
    fetch_all: Callable[[list[Any]], Awaitable[list[Any]]],
) -> Any:
    """
    Return the result for *item*, fetched together with those of other tasks that ask
    with an equal *key* in the same turn of the event loop, in the same scope and under
    the same observers of queries.

    Args:
        key: Identifies what can be fetched together. Calls with equal keys pass
            equivalent *fetch_all* functions.
        item: The item.
        fetch_one: Fetches the item in this task. Called if no other task asks.
        fetch_all: Fetches a list of items and returns their results in the same order.
            Called in a separate task, in the context of the first task that asked.

    Raises: errors of *fetch_one*, and copies of errors of *fetch_all*.

    Switches to the event loop.
    """
    loop = asyncio.get_running_loop()
    key = loop, current_scope.get(), current_observers(), key
    batch = _open.get(key)
    if batch is not None:
        future = batch.add(item)
        if len(batch.asked) >= MAX_SIZE:
            del _open[key]
        return await batch.wait(future)
    if not _others_are_ready(loop):
        return await fetch_one()
    batch = _open[key] = _Batch(fetch_all)
    future = batch.add(item)
    try:
        await asyncio.sleep(0)
    except BaseException:
        future.cancel()
        _close(key, batch)
        if batch.waiting():
            batch.start()
        raise
    _close(key, batch)
    if len(batch.waiting()) == 1:
        return await fetch_one()
    batch.start()
    return await batch.wait(future)


def _close(key: Hashable, batch: _Batch) -> None:
    if _open.get(key) is batch:
        del _open[key]


def _others_are_ready(loop: Any) -> bool:
    """Whether other tasks are ready to run; True if the loop does not show it."""
    # asyncio's queue of callbacks. uvloop does not show its own.
    return bool(getattr(loop, "_ready", True))


def _copied(error: Exception) -> Exception:
    """A copy of *error* for another task to raise; itself if it cannot be copied."""
    try:
        copied = copy.copy(error)
    except Exception:
        # Its class takes other arguments than it stores.
        return error
    copied.__cause__ = error.__cause__
    copied.__suppress_context__ = error.__suppress_context__
    return copied.with_traceback(error.__traceback__)
