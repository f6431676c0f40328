"""Tasks that ask in the same turn of the event loop, and one that fetches for them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest

from vinyl.exceptions import PoolTimeout
from vinyl.orm.dualmode import batches
from vinyl.orm.dualmode.batches import fetch_together

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    gc.collect()
    assert batches._open == {}


class Source:
    """Gives for each item its negative, and notes what it was asked for."""

    def __init__(self) -> None:
        self.alone: list[int] = []
        self.together: list[list[int]] = []
        self.opened = asyncio.Event()
        self.opened.set()
        self.error: Exception | None = None
        self.cancelled = 0

    async def fetch_all(self, items: list[int]) -> list[int]:
        self.together.append(items)
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            # As a query that has to be cancelled in the server.
            await asyncio.sleep(0)
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return [-item for item in items]

    async def get(self, item: int) -> int:
        async def fetch_one() -> int:
            self.alone.append(item)
            return -item

        found: int = await fetch_together(self, item, fetch_one, self.fetch_all)
        return found

    def ask(self, *items: int) -> list[asyncio.Task[int]]:
        return [asyncio.create_task(self.get(item)) for item in items]

    async def begun(self) -> None:
        while not self.together:
            await asyncio.sleep(0)


async def test_a_task_alone_fetches_without_waiting_for_a_turn() -> None:
    source = Source()
    turns: list[int] = []
    asyncio.get_running_loop().call_later(0, turns.append, 1)
    assert await source.get(1) == -1
    assert (source.alone, source.together, turns) == ([1], [], [])


async def test_a_task_beside_unrelated_ones_fetches_alone() -> None:
    source = Source()
    other = asyncio.create_task(asyncio.sleep(0))
    assert await source.get(1) == -1
    assert (source.alone, source.together) == ([1], [])
    await other


async def test_items_of_one_turn_are_fetched_together() -> None:
    source = Source()
    assert await asyncio.gather(*map(source.get, range(5))) == [0, -1, -2, -3, -4]
    assert (source.alone, source.together) == ([], [[0, 1, 2, 3, 4]])
    assert await asyncio.gather(*map(source.get, range(2))) == [0, -1]
    assert source.together[1:] == [[0, 1]]


async def test_items_with_other_keys_are_fetched_apart() -> None:
    one, other = Source(), Source()
    await asyncio.gather(one.get(1), other.get(1), one.get(2), other.get(2))
    assert (one.together, other.together) == ([[1, 2]], [[1, 2]])


async def test_items_beyond_the_maximum_form_another_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batches, "MAX_SIZE", 2)
    source = Source()
    assert await asyncio.gather(*map(source.get, range(5))) == [0, -1, -2, -3, -4]
    assert (source.alone, source.together) == ([4], [[0, 1], [2, 3]])


async def test_each_task_raises_its_own_copy_of_an_error() -> None:
    source = Source()
    source.error = PoolTimeout("default", 10, 30.0, 3, ())
    source.error.__cause__ = cause = LookupError()
    source.error.add_note("a note")
    found: list[Any] = await asyncio.gather(*source.ask(1, 2), return_exceptions=True)
    assert [type(one) for one in found] == [PoolTimeout] * 2
    assert {str(one) for one in found} == {str(source.error)}
    assert [one.__notes__ for one in found] == [source.error.__notes__] * 2
    assert "a note" in source.error.__notes__
    assert all(one.__cause__ is cause for one in found)
    assert found[0] is not found[1]


async def test_an_error_that_cannot_be_copied_is_raised_itself() -> None:
    class Odd(Exception):
        def __init__(self, *, reason: str, code: int) -> None:
            super().__init__(reason)

    source = Source()
    source.error = Odd(reason="why", code=1)
    found = await asyncio.gather(*source.ask(1, 2), return_exceptions=True)
    assert found == [source.error] * 2


@pytest.mark.parametrize("turns", range(5))
@pytest.mark.parametrize("who", range(3))
async def test_the_others_keep_their_results_if_a_task_is_cancelled(
    who: int, turns: int
) -> None:
    source = Source()
    source.opened.clear()
    tasks = source.ask(1, 2, 3)
    for _ in range(turns):
        await asyncio.sleep(0)
    task = tasks.pop(who)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    source.opened.set()
    expected = [-1, -2, -3]
    del expected[who]
    assert await asyncio.gather(*tasks) == expected
    assert source.cancelled == 0


async def test_the_last_cancelled_task_waits_for_the_fetch_to_end() -> None:
    source = Source()
    source.opened.clear()
    tasks = source.ask(1, 2, 3)
    await source.begun()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    assert source.cancelled == 1


async def test_nothing_is_fetched_if_all_are_cancelled_before() -> None:
    source = Source()
    tasks = source.ask(1, 2, 3)
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    await asyncio.sleep(0)
    assert (source.alone, source.together) == ([], [])


async def test_the_others_keep_their_results_if_the_first_is_closed() -> None:
    source = Source()
    tasks = source.ask(2, 3)
    first = source.get(1)
    first.send(None)
    await asyncio.sleep(0)
    first.close()
    assert await asyncio.gather(*tasks) == [-2, -3]
    assert (source.alone, source.together) == ([], [[2, 3]])


async def test_closing_the_last_one_cancels_the_fetch() -> None:
    source = Source()
    source.opened.clear()
    tasks = source.ask(1)
    last = source.get(2)
    await asyncio.sleep(0)
    last.send(None)
    await source.begun()
    tasks[0].cancel()
    await asyncio.wait(tasks)
    assert source.cancelled == 0
    last.close()
    while not source.cancelled:
        await asyncio.sleep(0)


async def test_cancelling_the_fetch_cancels_all_tasks() -> None:
    source = Source()
    source.opened.clear()
    before = asyncio.all_tasks()
    tasks = source.ask(1, 2)
    await source.begun()
    (fetching,) = asyncio.all_tasks() - before - {*tasks}
    fetching.cancel()
    await asyncio.wait(tasks, timeout=5)
    assert all(task.cancelled() for task in tasks)
