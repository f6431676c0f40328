"""Where a task is in its code."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Generator
from typing import Any

import pytest

from vinyl.bridge.calls import Call
from vinyl.bridge.tasks import place_of

pytestmark = pytest.mark.anyio


async def asleep() -> None:
    await asyncio.sleep(60)


async def in_generator() -> AsyncIterator[int]:
    await asleep()
    yield 1


class Odd:
    """Awaited by way of a plain generator."""

    def __await__(self) -> Generator[Any, Any, None]:
        yield from asleep().__await__()


async def through_generator() -> None:
    async for _ in in_generator():
        pass


async def through_odd() -> None:
    await Odd()


@pytest.mark.parametrize(
    ("coroutine", "function"),
    [
        (asleep, "asleep"),
        (lambda: Call(asleep(), "Album.save"), "asleep"),
        (through_odd, "(asleep|through_odd|Odd.__await__)"),
        (through_generator, "(through_generator|in_generator|asleep)"),
    ],
    ids=["coroutine", "call", "awaitable", "async generator"],
)
async def test_the_place_is_the_users_own_line(coroutine: Any, function: str) -> None:
    task = asyncio.create_task(coroutine(), name="worker")
    await asyncio.sleep(0)
    place = place_of(task)
    assert re.fullmatch(
        rf"task 'worker' in {function}\(\) at .*/test_tasks\.py:\d+", place
    )
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert place_of(task) == "task 'worker'"


async def test_no_task() -> None:
    assert place_of(None) == "no task"
