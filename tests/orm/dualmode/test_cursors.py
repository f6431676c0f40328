"""`connection` on the event loop: cursors, savepoints, wrappers, query log."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, call-overload, misc"

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DatabaseError, InterfaceError
from django.db.backends.signals import connection_created

from tests.fix_db import default_database, only_postgresql, only_sqlite
from tests.records.models import Artist
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import connection, run, transaction
from vinyl.orm.pools.registry import close_pools, pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

INSERT = "INSERT INTO records_artist (name) VALUES (%s)"
NAMES = "SELECT name FROM records_artist ORDER BY name"


@pytest.fixture
def started() -> Iterator[list[int]]:
    """The threads in which SQLite has called `where_am_i()`."""
    threads: list[int] = []

    def create(sender: Any, connection: Any, **_: Any) -> None:
        def where_am_i() -> None:
            threads.append(threading.get_ident())

        connection.connection.create_function("where_am_i", 0, where_am_i)

    connection_created.connect(create)
    yield threads
    connection_created.disconnect(create)


class TestCursor:
    async def test_executes_and_fetches(self) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute(INSERT, ["Nina"])
            assert cursor.rowcount == 1
            await cursor.executemany(INSERT, [["Abbey"], ["Odetta"]])
            await cursor.execute(NAMES)
            assert cursor.description[0][0] == "name"
            assert await cursor.fetchone() == ("Abbey",)
            assert await cursor.fetchmany(1) == [("Nina",)]
            assert await cursor.fetchall() == [("Odetta",)]
            assert await cursor.fetchone() is None
        assert await Artist.objects.count() == 3

    async def test_is_iterated_row_by_row(self) -> None:
        await Artist.objects.bulk_create([Artist(name="Nina"), Artist(name="Abbey")])
        async with connection.cursor() as cursor:
            await cursor.execute(NAMES)
            assert [row async for row in cursor] == [("Abbey",), ("Nina",)]

    @only_postgresql
    @pytest.mark.parametrize("name", ["stream", "results"])
    async def test_a_generator_of_the_driver_is_refused(self, name: str) -> None:
        """Each of its steps would use the connection, on the event loop."""
        async with connection.cursor() as cursor:
            with pytest.raises(NotAwaitedError, match=rf"{name}\(\).*`async for row"):
                getattr(cursor, name)("SELECT 1")
            await cursor.execute("SELECT 1; SELECT 2")
            assert [row async for row in cursor] == [(1,)]
            assert await cursor.nextset()
            assert [row async for row in cursor] == [(2,)]

    @only_postgresql
    async def test_a_generator_of_the_driver_works_in_the_bridge(self) -> None:
        def streamed() -> list[Any]:
            with connection.cursor() as cursor:
                return list(cursor.stream("SELECT generate_series(1, 3)"))

        assert await run(streamed) == [(1,), (2,), (3,)]

    @only_sqlite
    async def test_a_script_does_not_run_on_the_loop(self, started: Any) -> None:
        await close_pools()
        async with connection.cursor() as cursor:
            await cursor.executescript("SELECT where_am_i(); SELECT where_am_i()")
        assert len(started) == 2
        assert threading.get_ident() not in started

    async def test_inside_the_bridge_it_is_djangos(self) -> None:
        def names() -> list[Any]:
            with connection.cursor() as cursor:
                cursor.execute(INSERT, ["Nina"])
                cursor.execute(NAMES)
                return cursor.fetchall()

        assert await run(names) == [("Nina",)]

    def test_in_sync_mode_it_is_djangos(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(NAMES)
            assert cursor.fetchall() == []

    async def test_takes_part_in_the_transaction_around(self) -> None:
        with pytest.raises(LookupError):
            async with transaction.atomic():
                async with connection.cursor() as cursor:
                    await cursor.execute(INSERT, ["Nina"])
                assert await Artist.objects.count() == 1
                raise LookupError
        assert await Artist.objects.count() == 0

    async def test_the_block_holds_one_connection(self) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute(NAMES)
            await asyncio.gather(*(Artist.objects.count() for _ in range(5)))
            async with transaction.atomic():
                await cursor.execute(INSERT, ["Nina"])
            assert len(pool_for("default").in_use) == 1
        assert pool_for("default").in_use == {}

    async def test_errors_are_djangos_and_nothing_is_lost(self) -> None:
        with pytest.raises(DatabaseError, match="missing"):
            async with connection.cursor() as cursor:
                await cursor.execute("SELECT * FROM missing")
        assert pool_for("default").in_use == {}
        assert await Artist.objects.count() == 0

    @only_postgresql
    async def test_cancelling_gives_the_connection_back(self) -> None:
        async def sleep() -> None:
            async with connection.cursor() as cursor:
                await cursor.execute("SELECT pg_sleep(60)")

        task = asyncio.create_task(sleep())
        async with connection.cursor() as watching:
            running = None
            while running != ("active",):
                await watching.execute(
                    "SELECT state FROM pg_stat_activity "
                    "WHERE query = 'SELECT pg_sleep(60)'"
                )
                running = await watching.fetchone()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert pool_for("default").in_use == {}
        assert await Artist.objects.count() == 0

    @only_postgresql
    async def test_calls_procedures(self) -> None:
        async with connection.cursor() as cursor:
            await cursor.callproc("upper", ["nina"])
            assert await cursor.fetchone() == ("NINA",)

    @only_postgresql
    async def test_a_chunked_cursor_lives_in_the_server(self) -> None:
        async with transaction.atomic():
            async with connection.chunked_cursor() as cursor:
                await cursor.execute("SELECT generate_series(1, 3)")
                assert [row async for row in cursor] == [(1,), (2,), (3,)]


class TestMisuse:
    async def test_a_plain_with(self) -> None:
        with pytest.raises(NotAwaitedError, match=r"`async with connection\.cursor\("):
            with connection.cursor():
                pass

    async def test_no_with(self) -> None:
        with pytest.raises(InterfaceError, match=r"cursor\.execute was.*`async with"):
            await connection.cursor().execute(NAMES)

    async def test_after_the_block(self) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute(NAMES)
        with pytest.raises(InterfaceError, match="not open"):
            await cursor.fetchall()

    async def test_a_plain_for(self) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute(NAMES)
            with pytest.raises(NotAwaitedError, match="`async for row in cursor`"):
                list(cursor)

    async def test_a_call_not_awaited(self) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute(NAMES)
            with pytest.raises(NotAwaitedError, match=r"'cursor\.fetchall'"):
                assert cursor.fetchall() == []


class TestPinned:
    async def test_holds_one_connection_without_a_transaction(self) -> None:
        async with connection.pinned():
            await asyncio.gather(*(Artist.objects.count() for _ in range(5)))
            assert len(pool_for("default").in_use) == 1
            assert await run(lambda: connection.in_atomic_block) is False
        assert pool_for("default").in_use == {}

    @only_postgresql
    async def test_session_settings_last_for_the_block(self) -> None:
        async def user() -> str:
            async with connection.cursor() as cursor:
                await cursor.execute("SHOW application_name")
                return (await cursor.fetchone())[0]

        async with connection.pinned():
            async with connection.cursor() as cursor:
                await cursor.execute("SET application_name = 'pinned'")
            assert await user() == "pinned"

    def test_an_in_memory_database_outlives_it(self) -> None:
        async def main() -> object:
            async with connection.cursor() as cursor:
                await cursor.execute("CREATE TABLE kept (n integer)")
            async with connection.pinned():
                pass
            async with connection.cursor() as cursor:
                await cursor.execute("SELECT count(*) FROM kept")
                return await cursor.fetchone()

        memory = {"ENGINE": "vinyl.orm.backends.sqlite3", "NAME": ":memory:"}
        with default_database(memory):
            assert asyncio.run(main()) == (0,)

    def test_in_sync_mode_it_changes_nothing(self) -> None:
        with connection.pinned():
            assert Artist.objects.count() == 0


class TestSavepoints:
    async def test_by_hand(self) -> None:
        async with transaction.atomic():
            await Artist.objects.create(name="kept")
            savepoint = await transaction.savepoint_create()
            await Artist.objects.create(name="undone")
            await transaction.savepoint_rollback(savepoint)
            savepoint = await transaction.savepoint_create()
            await Artist.objects.create(name="kept too")
            await transaction.savepoint_commit(savepoint)
        names = [artist.name async for artist in Artist.objects.all()]
        assert names == ["kept", "kept too"]

    async def test_set_rollback(self) -> None:
        async with transaction.atomic():
            await Artist.objects.create(name="undone")
            assert transaction.get_rollback() is False
            transaction.set_rollback(True)
        assert await Artist.objects.count() == 0

    async def test_autocommit(self) -> None:
        assert await transaction.get_autocommit() is True
        async with transaction.atomic():
            assert await transaction.get_autocommit() is False
        async with connection.pinned():
            await transaction.set_autocommit(False)
            await Artist.objects.create(name="undone")
            await transaction.rollback()
            await Artist.objects.create(name="kept")
            await transaction.commit()
            await transaction.set_autocommit(True)
        names = [artist.name async for artist in Artist.objects.all()]
        assert names == ["kept"]


class TestOnCommitOutside:
    async def test_runs_at_once(self) -> None:
        seen: list[Any] = []

        async def hook() -> None:
            seen.append(await Artist.objects.count())

        await transaction.on_commit(hook)
        await transaction.on_commit(lambda: seen.append("plain"))
        assert seen == [0, "plain"]
