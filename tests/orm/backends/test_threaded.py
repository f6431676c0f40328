"""The backends wait without blocking, without threads on PostgreSQL, and cancel."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload"
# mypy: disable-error-code="func-returns-value, misc"

from __future__ import annotations

import asyncio
import copy
import gc
import threading
import time
import weakref
from typing import Any

import psycopg
import pytest
from django.db import InterfaceError, OperationalError, connections

from tests.fix_db import only_postgresql, only_sqlite
from tests.records.models import Artist, Track
from vinyl.orm import connection, run
from vinyl.orm.backends.threaded import ROWS_PER_HOP
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


def query(sql: str, *params: object) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return cursor.fetchall()


@only_postgresql
class TestPostgreSQL:
    async def test_starts_no_thread(self, started_threads: list[str]) -> None:
        await asyncio.gather(*(Artist.objects.count() for _ in range(30)))
        assert started_threads == []

    async def test_queries_overlap(self) -> None:
        await asyncio.gather(*(run(query, "SELECT 1") for _ in range(10)))
        start = time.monotonic()
        await asyncio.gather(*(run(query, "SELECT pg_sleep(0.2)") for _ in range(10)))
        assert time.monotonic() - start < 1.0

    async def test_cancelling_the_task_cancels_the_query(self) -> None:
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

    async def test_operations_under_random_timeouts_leave_clean_connections(
        self,
    ) -> None:
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

    async def test_sharing_a_connection_by_hand_is_an_error_not_a_dead_lock(
        self,
    ) -> None:
        raw = await run(lambda: (connection.ensure_connection(), connection.connection))
        busy = asyncio.create_task(run(raw[1].execute, "SELECT pg_sleep(0.3)"))
        await asyncio.sleep(0.05)
        with pytest.raises(psycopg.InterfaceError, match="in use by another task"):
            await run(raw[1].execute, "SELECT 1")
        await busy

    async def test_a_connection_that_another_thread_uses_is_waited_for(self) -> None:
        raw = await run(lambda: (connection.ensure_connection(), connection.connection))
        busy = asyncio.create_task(
            asyncio.to_thread(raw[1].execute, "SELECT pg_sleep(0.3)")
        )
        while not raw[1].lock.locked():
            await asyncio.sleep(0.001)
        cursor = await run(raw[1].execute, "SELECT 1")
        assert cursor.fetchone() == (1,)
        await busy

    async def test_a_forgotten_connection_is_closed_without_the_collector(self) -> None:
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

    async def test_an_unreachable_server_is_djangos_error(self) -> None:
        settings = connections.settings["default"]
        host, port = settings["HOST"], settings["PORT"]
        settings.update(HOST="127.0.0.1", PORT="1")
        try:
            with pytest.raises(OperationalError, match="refused|failed"):
                await Artist.objects.count()
        finally:
            settings.update(HOST=host, PORT=port)
        assert pool_for("default").in_use == {}

    async def test_copy_through_psycopg(self) -> None:
        def copy() -> int:
            connection.ensure_connection()
            with connection.connection.cursor() as cursor:
                with cursor.copy("COPY records_artist (name) FROM STDIN") as writer:
                    for n in range(100):
                        writer.write_row((f"Artist {n}",))
            return Artist.objects.count()

        assert await run(copy) == 100


@only_sqlite
class TestSQLite:
    async def test_works_in_a_thread_and_not_on_the_loop(self) -> None:
        def where() -> str:
            connection.ensure_connection()
            names: list[str] = []
            connection.connection.raw.create_function(
                "thread", 0, lambda: names.append(threading.current_thread().name)
            )
            query("SELECT thread()")
            return names[0]

        assert (await run(where)).startswith("vinyl-default")

    async def test_a_query_takes_one_hop(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from vinyl.orm.backends.worker import Worker

        await Artist.objects.count()
        hops: list[str] = []
        call = Worker._call

        async def counted(self: Worker, fn: Any, *args: Any) -> Any:
            hops.append(repr(fn))
            return await call(self, fn, *args)

        monkeypatch.setattr(Worker, "_call", counted)
        await Artist.objects.filter(name="x")
        assert len(hops) == 1

    async def test_a_cursor_that_outlives_its_connection_is_refused(self) -> None:
        """It must not wait for a thread that has ended."""

        def outlive() -> None:
            cursor = connection.cursor()
            connection.drop_connection()
            connection.connection = None
            with pytest.raises(InterfaceError, match="has been closed"):
                cursor.execute("SELECT 1")
            cursor.close()

        async with asyncio.timeout(5):
            await run(outlive)

    async def test_fetches_beyond_the_first_hop(self) -> None:
        number = ROWS_PER_HOP * 2 + 10
        await Artist.objects.bulk_create(Artist(name=f"{n:05}") for n in range(number))
        assert len(await Artist.objects.all()) == number
        assert len([a async for a in Artist.objects.iterator()]) == number

        def piecewise() -> list[int]:
            with connection.cursor() as cursor:
                cursor.execute("SELECT name FROM records_artist ORDER BY name")
                one = cursor.fetchone()
                some = cursor.fetchmany(ROWS_PER_HOP + 5)
                rest = cursor.fetchall()
            return [int(name) for (name,) in [one, *some, *rest]]

        assert await run(piecewise) == list(range(number))

    async def test_cancelling_the_task_interrupts_the_query(self) -> None:
        endless = (
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
            "SELECT count(*) FROM n"
        )
        await Artist.objects.count()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await run(query, endless)
        assert pool_for("default").in_use == {}
        assert await Artist.objects.count() == 0

    async def test_the_thread_ends_with_the_connection(self) -> None:
        await Artist.objects.count()
        (thread,) = [
            t for t in threading.enumerate() if t.name.startswith("vinyl-default")
        ]
        pool_for("default").close()
        await asyncio.to_thread(thread.join, 5)
        assert not thread.is_alive()


async def test_threads_beside_the_loop_have_djangos_connections() -> None:
    await Artist.objects.create(name="Nina")

    def in_thread() -> tuple[int, bool]:
        try:
            return Artist.objects.count(), hasattr(connection, "raw")
        finally:
            connection.close()

    assert await asyncio.to_thread(in_thread) == (1, False)


async def test_errors_of_the_database_are_djangos() -> None:
    with pytest.raises(
        OperationalError if connection.vendor == "sqlite" else Exception
    ):
        await run(query, "SELECT no_such_column FROM records_track")
    assert await Track.objects.count() == 0


async def test_a_copy_of_a_connection_is_not_the_pools() -> None:
    def work() -> Any:
        # Not connected yet, so this one opens a connection of its own.
        twin = copy.copy(connections["default"])
        try:
            with twin.cursor() as cursor:
                cursor.execute("SELECT 1")
                return cursor.fetchone()
        finally:
            twin.close()

    assert await run(work) == (1,)
