"""psycopg waits on the event loop: without threads, side by side, cancellable."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload"
# mypy: disable-error-code="func-returns-value, misc"

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from typing import Any

import psycopg
import pytest
from django.db import connections

from tests.fix_db import only_postgresql
from tests.orm.backends.querying import query
from tests.records.models import Artist
from vinyl.orm import connection, run
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db"), only_postgresql]


async def test_starts_no_thread(started_threads: list[str]) -> None:
    await asyncio.gather(*(Artist.objects.count() for _ in range(30)))
    assert started_threads == []


async def test_queries_overlap() -> None:
    await asyncio.gather(*(run(query, "SELECT 1") for _ in range(10)))
    start = time.monotonic()
    await asyncio.gather(*(run(query, "SELECT pg_sleep(0.2)") for _ in range(10)))
    assert time.monotonic() - start < 1.0


async def test_cancelling_the_task_cancels_the_query() -> None:
    started = asyncio.Event()

    def sleep() -> None:
        asyncio.get_running_loop().call_soon(started.set)
        query("SELECT pg_sleep(60) /* to be cancelled */")

    task = asyncio.create_task(run(sleep))
    await started.wait()
    running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND "
    running += "query LIKE %s AND pid <> pg_backend_pid()"
    while (await run(query, running, "%/* to be cancelled */"))[0][0] == 0:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    while (await run(query, running, "%/* to be cancelled */"))[0][0] != 0:
        await asyncio.sleep(0.01)
    assert pool_for("default").in_use == {}


async def test_operations_under_random_timeouts_leave_clean_connections() -> None:
    async def use(number: int) -> None:
        async with asyncio.timeout(0.0003 * (number % 15)):
            await run(query, "SELECT pg_sleep(0.002)")

    for _ in range(4):
        await asyncio.gather(*(use(n) for n in range(50)), return_exceptions=True)
    pool = pool_for("default")
    assert pool.in_use == {}
    assert all(pooled.wrapper.is_reusable() for pooled in pool.idle)
    assert (
        await asyncio.gather(*(run(query, "SELECT 7") for _ in range(10)))
        == [[(7,)]] * 10
    )


async def test_sharing_a_connection_by_hand_is_an_error_not_a_dead_lock() -> None:
    raw = await run(lambda: (connection.ensure_connection(), connection.connection))
    busy = asyncio.create_task(run(raw[1].execute, "SELECT pg_sleep(0.3)"))
    await asyncio.sleep(0.05)
    with pytest.raises(psycopg.InterfaceError, match="in use by another task"):
        await run(raw[1].execute, "SELECT 1")
    await busy


async def test_a_connection_that_another_thread_uses_is_waited_for() -> None:
    raw = await run(lambda: (connection.ensure_connection(), connection.connection))
    busy = asyncio.create_task(
        asyncio.to_thread(raw[1].execute, "SELECT pg_sleep(0.3)")
    )
    while not raw[1].lock.locked():
        await asyncio.sleep(0.001)
    cursor = await run(raw[1].execute, "SELECT 1")
    assert cursor.fetchone() == (1,)
    await busy


async def test_a_forgotten_connection_is_closed_without_the_collector() -> None:
    def forget() -> Any:
        wrapper = connections["default"]
        params = wrapper.get_connection_params()
        return weakref.ref(wrapper.get_new_connection(params))

    gc.disable()
    try:
        with pytest.warns(ResourceWarning, match="deleted while still open"):
            forgotten = await run(forget)
        assert forgotten() is None
        with pytest.warns(ResourceWarning, match="deleted while still open"):
            forgotten = await asyncio.to_thread(forget)
        assert forgotten() is None
    finally:
        gc.enable()


async def test_copy_through_psycopg() -> None:
    def copy() -> int:
        connection.ensure_connection()
        with connection.connection.cursor() as cursor:
            with cursor.copy("COPY records_artist (name) FROM STDIN") as writer:
                for n in range(100):
                    writer.write_row((f"Artist {n}",))
        return Artist.objects.count()

    assert await run(copy) == 100
