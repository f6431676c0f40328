"""A pipeline ends the wait of each of its tasks, and releases the lock once."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.db import connections

from tests.fix_db import only_postgresql
from tests.orm.scopes.blocks import lock_here
from tests.records.models import Artist
from vinyl.orm import connection, transaction
from vinyl.orm.backends.pipelines import Pipeline, Read
from vinyl.orm.backends.statements import Statement
from vinyl.orm.scopes.lock import ConnectionLock

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db"), only_postgresql]


def reads_of(*statements: str) -> list[Read]:
    return [Read(Statement(sql), ()) for sql in statements]


def waits(lock: ConnectionLock, reads: list[Read]) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(lock.acquire_for(read)) for read in reads]


def together(*statements: str) -> tuple[Pipeline, list[asyncio.Task[Any]]]:
    """A pipeline of *statements* on the connection of the block, and their waits."""
    lock = lock_here()
    assert lock.acquire_nowait()
    reads = reads_of(*statements)
    pipeline = Pipeline(connections["default"], lock, reads)
    return pipeline, [asyncio.create_task(lock.wait_for(read)) for read in reads]


async def test_each_task_gets_its_rows() -> None:
    async with connection.pinned():
        await Artist.objects.count()
        _, tasks = together("SELECT 1", "SELECT 2 WHERE false", "SELECT 3")
        assert await asyncio.gather(*tasks) == [[(1,)], [], [(3,)]]
        assert not lock_here().locked


async def test_replies_do_not_wait_for_those_of_later_reads() -> None:
    async with connection.pinned():
        await Artist.objects.count()
        _, tasks = together("SELECT 1", "SELECT pg_sleep(60)")
        assert await tasks[0] == [(1,)]
        assert not tasks[1].done()
        tasks[1].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[1]
        assert not lock_here().locked


async def test_a_pipeline_cancelled_before_its_first_step_releases_the_lock() -> None:
    async with transaction.atomic():
        await Artist.objects.count()
        pipeline, tasks = together("SELECT 1", "SELECT 2")
        pipeline._task.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(one) for one in found} == {asyncio.CancelledError}
        assert not lock_here().locked
        assert await Artist.objects.count() == 0


async def test_a_pipeline_cancelled_from_outside_ends_its_tasks() -> None:
    """As `asyncio.run()` does at its end, which cancels the tasks, too."""
    with pytest.raises(transaction.TransactionManagementError, match="was cancelled"):
        async with transaction.atomic():
            await Artist.objects.count()
            pipeline, tasks = together("SELECT 1", "SELECT pg_sleep(60)", "SELECT 3")
            assert await tasks[0] == [(1,)]
            pipeline._task.cancel()
            found = await asyncio.gather(*tasks[1:], return_exceptions=True)
            assert all(isinstance(one, BaseException) for one in found)
            assert not lock_here().locked


async def test_nothing_is_sent_after_the_lock_was_closed() -> None:
    async with connection.pinned():
        await Artist.objects.count()
        _, tasks = together("SELECT 1", "SELECT 2")
        lock_here().close()
        # To be looked for again, where the block is found to have ended.
        assert await asyncio.gather(*tasks) == [None, None]


async def test_rows_count_although_the_lock_was_closed() -> None:
    async with connection.pinned():
        await Artist.objects.count()
        _, tasks = together("SELECT pg_sleep(0.05)::text", "SELECT 2")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        lock_here().close()
        assert await asyncio.gather(*tasks) == [[("",)], [(2,)]]


async def test_a_read_in_the_queue_is_taken_up_to_the_first_that_needs_the_lock() -> (
    None
):
    async with connection.pinned():
        await Artist.objects.count()
        lock = lock_here()
        assert lock.acquire_nowait()
        before, after = reads_of("SELECT 1", "SELECT 2"), reads_of("SELECT 3")
        tasks = waits(lock, before)
        await asyncio.sleep(0)
        needs = asyncio.create_task(lock.acquire())
        await asyncio.sleep(0)
        tasks += waits(lock, after)
        await asyncio.sleep(0)
        assert lock.take_reads() == before
        assert lock.take_reads() == []
        # Put back, they come before all others again.
        lock.put_back(before)
        for task in (tasks[0], tasks[1], needs, tasks[2]):
            assert await task is True
            lock.release()
        assert not lock.locked


async def test_a_cancelled_read_in_the_queue_is_not_taken() -> None:
    async with connection.pinned():
        await Artist.objects.count()
        lock = lock_here()
        assert lock.acquire_nowait()
        reads = reads_of("SELECT 1", "SELECT 2", "SELECT 3")
        tasks = waits(lock, reads)
        await asyncio.sleep(0)
        tasks[1].cancel()
        assert lock.take_reads() == reads[::2]
        lock.put_back(reads[::2])
        for task in tasks[::2]:
            assert await task is True
            lock.release()
        assert not lock.locked
