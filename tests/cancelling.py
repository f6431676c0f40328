"""Cancelling a task at a wait of one's choice, and statements that do not end."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, has-type"

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from typing import Any

from vinyl.orm import connection

__all__ = ["ENDLESS_READ", "cancel_after", "cancel_at", "endless_write"]

_ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
# Queries that do not end by themselves, by vendor.
ENDLESS_READ = {
    "postgresql": "SELECT pg_sleep(60)",
    "sqlite": f"{_ENDLESS} SELECT max(x) FROM c",
}


async def cancel_after(turns: int, coroutine: Coroutine[Any, Any, Any]) -> None:
    """
    Run *coroutine* in a task that is cancelled after *turns* of the event loop, unless
    it has ended.
    """
    task = asyncio.create_task(coroutine)
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class _CancelledAt:
    """
    Awaits *coroutine*, and cancels the task at its wait number *step*, from 1.

    Attributes: `done`, whether that wait was reached.
    """

    def __init__(
        self, coroutine: Coroutine[Any, Any, Any], step: int, *, late: bool
    ) -> None:
        self.coroutine = coroutine
        self.step = step
        self.late = late
        self.done = False

    def __await__(self) -> Generator[Any, Any, Any]:
        task = asyncio.current_task()
        assert task is not None
        resume: Callable[..., Any] = self.coroutine.send
        value: Any = None
        waits = 0
        while True:
            try:
                future = resume(value)
            except StopIteration as stop:
                return stop.value
            waits += 1
            if waits == self.step:
                self.done = True
                if self.late and future is not None:
                    future.add_done_callback(lambda _: task.cancel())
                else:
                    task.cancel()
            try:
                value = yield future
                resume = self.coroutine.send
            except BaseException as error:
                resume, value = self.coroutine.throw, error


async def cancel_at(
    step: int, coroutine: Coroutine[Any, Any, Any], *, late: bool
) -> tuple[Any, bool]:
    """
    Run *coroutine* in a task of its own, cancelled at its wait number *step*.

    Returns: its result or its error; and whether that wait was reached.

    Args:
        late: Cancel when the wait is over and the task has not gone on yet, instead of
            as the wait begins.
    """
    cancelled_at = _CancelledAt(coroutine, step, late=late)

    async def work() -> Any:
        return await cancelled_at

    task = asyncio.create_task(work())
    [outcome] = await asyncio.gather(task, return_exceptions=True)
    return outcome, cancelled_at.done


async def endless_write() -> None:
    """A statement that writes to the artists and does not end by itself."""
    async with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            await cursor.execute("UPDATE records_artist SET name = pg_sleep(60)::text")
        else:
            await cursor.execute(
                f"UPDATE records_artist SET name = ({_ENDLESS} SELECT max(x) FROM c)"
            )
