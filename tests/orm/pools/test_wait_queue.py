"""The queue serves in order, loses nothing, and gives nothing that is over."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="comparison-overlap"

from __future__ import annotations

import asyncio

import pytest

from vinyl.orm.pools.wait_queue import WaitQueue
from vinyl.orm.scopes.lock import ConnectionLock

pytestmark = pytest.mark.anyio


class Tray:
    """Some things, for which tasks wait."""

    def __init__(self) -> None:
        self.things: list[str] = []
        self.queue: WaitQueue[str] = WaitQueue()
        self.asked = 0

    def put(self, thing: str) -> None:
        self.things.append(thing)
        self.queue.serve(self.next)

    def next(self) -> str | None:
        self.asked += 1
        return self.things.pop(0) if self.things else None

    async def wait(self, seconds: float = 60) -> str | None:
        return await self.queue.wait(self.put, seconds, TimeoutError)

    async def waiting(self, number: int) -> list[asyncio.Task[str | None]]:
        tasks = [asyncio.create_task(self.wait()) for _ in range(number)]
        await asyncio.sleep(0)
        assert len(self.queue) == number
        return tasks


async def test_the_longest_waiting_task_is_served_first() -> None:
    tray = Tray()
    tasks = await tray.waiting(3)
    for thing in "abc":
        tray.put(thing)
    assert await asyncio.gather(*tasks) == ["a", "b", "c"]
    assert len(tray.queue) == 0


async def test_nothing_is_supplied_if_no_task_waits() -> None:
    tray = Tray()
    tray.put("a")
    assert (tray.things, tray.asked) == (["a"], 0)
    [task] = await tray.waiting(1)
    task.cancel()
    # It is in the queue until it runs.
    assert not tray.queue.serve(tray.next)
    assert (tray.things, tray.asked) == (["a"], 0)
    assert await asyncio.gather(task, return_exceptions=True) != ["a"]


async def test_tasks_keep_waiting_if_nothing_is_supplied() -> None:
    tray = Tray()
    [task] = await tray.waiting(1)
    assert not tray.queue.serve(tray.next)
    assert len(tray.queue) == 1
    tray.put("a")
    assert await task == "a"


async def test_an_error_of_the_supply_is_raised_in_the_waiting_task() -> None:
    tray = Tray()
    first, second = await tray.waiting(2)
    assert tray.queue.serve({}.popitem)  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        await first
    tray.put("a")
    assert await second == "a"


async def test_a_wait_that_is_too_long_leaves_the_queue() -> None:
    tray = Tray()
    with pytest.raises(TimeoutError):
        await tray.wait(0.01)
    assert len(tray.queue) == 0


async def test_a_time_out_without_an_error_is_a_warning() -> None:
    tray = Tray()
    warned = asyncio.Event()
    wait = tray.queue.wait(tray.put, 0.01, warned.set)
    task = asyncio.create_task(wait)
    await warned.wait()
    tray.put("a")
    assert await task == "a"


async def test_what_a_cancelled_task_was_given_goes_to_the_next() -> None:
    tray = Tray()
    first, second = await tray.waiting(2)
    tray.put("a")
    first.cancel()
    assert await second == "a"
    assert first.cancelled()
    assert tray.things == []


class TestClosed:
    async def test_closing_sends_waiting_tasks_away(self) -> None:
        tray = Tray()
        tasks = await tray.waiting(2)
        tray.queue.close()
        assert await asyncio.gather(*tasks) == [None, None]
        assert await tray.wait() is None

    async def test_a_resource_that_was_given_but_not_taken_is_released(self) -> None:
        tray = Tray()
        [task] = await tray.waiting(1)
        tray.put("a")
        tray.queue.close()
        assert await task is None
        assert tray.things == ["a"]

    async def test_a_lock_that_closes_after_it_was_passed_on_is_not_held(self) -> None:
        lock = ConnectionLock(locked=True)
        task = asyncio.create_task(lock.acquire())
        await asyncio.sleep(0)
        lock.release()
        lock.close()
        assert await task is False
        assert not lock.locked
        assert await lock.acquire() is False
        assert await lock.acquire_despite_cancellation() is False

    async def test_one_that_is_cancelled_meanwhile_stays_cancelled(self) -> None:
        tray = Tray()
        tasks = await tray.waiting(2)
        tasks[0].cancel()
        tray.queue.close()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert found[1] is None
