"""psycopg waits on the event loop: without threads, side by side, cancellable."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload"
# mypy: disable-error-code="func-returns-value, misc"

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError, connections
from django.db import connection as of_thread

from tests.fix_db import default_at, only_postgresql
from tests.orm.backends.querying import query
from tests.proxy import proxy
from tests.records.models import Artist
from vinyl.orm import connection, run, transaction
from vinyl.orm.backends import psycopg_waiting
from vinyl.orm.backends.statements import Statement
from vinyl.orm.pools.registry import close_pools, pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db"), only_postgresql]

# The key of an advisory lock.
LOCK = 20_778


async def test_starts_no_thread(started_threads: list[str]) -> None:
    await asyncio.gather(*(Artist.objects.count() for _ in range(30)))
    assert started_threads == []


async def test_queries_overlap(admin: psycopg.Connection) -> None:
    admin.execute("SELECT pg_advisory_lock(%s)", [LOCK])
    locks = [run(query, f"SELECT pg_advisory_lock_shared({LOCK})") for _ in range(10)]
    tasks = [asyncio.ensure_future(one) for one in locks]
    waiting = "SELECT count(*) FROM pg_locks WHERE objid = %s AND NOT granted"
    while admin.execute(waiting, [LOCK]).fetchone() != (10,):
        await asyncio.sleep(0.01)
    admin.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
    await asyncio.gather(*tasks)


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
    while not raw[1].lock.locked():
        await asyncio.sleep(0)
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


class TestAStatementThatFillsTheSocket:
    LENGTH = 20_000_000

    async def length(self) -> int:
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT length(%s)", ["x" * self.LENGTH])
            return (await cursor.fetchone())[0]

    async def test_is_sent_on_the_loop(self) -> None:
        assert await self.length() == self.LENGTH

    async def test_is_sent_without_a_cursor(self) -> None:
        statement = Statement("SELECT length(%s)")
        async with transaction.atomic():
            await Artist.objects.count()
            rows = await connections["default"].fetch_on_loop(
                statement, ("x" * self.LENGTH,)
            )
        assert rows == [(self.LENGTH,)]

    async def test_is_cancelled_on_the_way(
        self, postgres_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(psycopg_waiting, "CANCEL_TIMEOUT", 0.2)
        async with proxy(postgres_url) as network:
            with default_at(HOST="127.0.0.1", PORT=str(network.port)):
                await Artist.objects.count()
                network.freeze()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await self.length()
                network.thaw()
                assert await self.length() == self.LENGTH
                await close_pools()

    async def test_is_cancelled_on_the_way_from_a_thread(
        self, postgres_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(psycopg_waiting, "CANCEL_TIMEOUT", 0.2)

        def execute() -> None:
            with of_thread.cursor() as cursor:
                cursor.execute("SELECT length(%s)", ["x" * self.LENGTH])

        async with proxy(postgres_url) as network:
            with default_at(HOST="127.0.0.1", PORT=str(network.port)):
                with suppress(DatabaseError):
                    async with connection.pinned():
                        await Artist.objects.count()
                        network.freeze()
                        with pytest.raises(TimeoutError):
                            async with asyncio.timeout(0.1):
                                await sync_to_async(execute)()
                network.thaw()
                assert await self.length() == self.LENGTH
                await close_pools()
