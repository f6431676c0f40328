"""SQLite's one write lock: waited for without blocking the loop, and left at once."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload, misc"

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connections
from django.db.backends.signals import connection_created

from tests.fix_db import only_sqlite
from tests.fix_sqlite import locked, write, write_in_block
from tests.records.models import Artist
from vinyl.orm import connection, run, transaction
from vinyl.orm.backends.sqlite3.base import SLICE
from vinyl.orm.pools.registry import close_pools, pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db"), only_sqlite]


class TestWaiting:
    async def test_does_not_block_the_loop(self, transaction_mode: str) -> None:
        with locked():
            writers = [
                asyncio.create_task(work(f"{n} {work.__name__}"))
                for n in range(4)
                for work in (write, write_in_block)
            ]
            while len(pool_for("default").in_use) < 8:
                await asyncio.sleep(0)
            # Each step of this goes through the loop.
            for _ in range(50):
                await asyncio.sleep(0.002)
            assert not any(writer.done() for writer in writers)
        await asyncio.gather(*writers)
        assert await Artist.objects.count() == 8

    async def test_lasts_as_long_as_configured(
        self, sqlite_options: dict[str, Any]
    ) -> None:
        sqlite_options["timeout"] = 0.3
        with locked():
            for work in (write, write_in_block):
                start = time.monotonic()
                with pytest.raises(OperationalError, match="database is locked"):
                    await work("never")
                assert time.monotonic() - start >= 0.3
        await write("Nina")
        assert await Artist.objects.count() == 1

    async def test_lasts_as_long_as_a_pragma_says(
        self, sqlite_options: dict[str, Any]
    ) -> None:
        sqlite_options["init_command"] += "PRAGMA busy_timeout = 200"
        with locked():
            start = time.monotonic()
            with pytest.raises(OperationalError, match="database is locked"):
                await write("never")
            assert 0.2 <= time.monotonic() - start < 15

    async def test_ends_at_once_where_it_would_not_help(
        self, sqlite_options: dict[str, Any]
    ) -> None:
        """Who has read an older state cannot write any more, however long it waits."""
        sqlite_options["transaction_mode"] = "DEFERRED"
        with pytest.raises(OperationalError, match="database is locked"):
            async with transaction.atomic():
                await Artist.objects.count()
                with locked():
                    start = time.monotonic()
                    await write("never")
        assert time.monotonic() - start < 10

    async def test_of_executemany_does_not_repeat_what_is_done(self) -> None:
        names = [[f"{n}"] for n in range(50)]

        def write_all() -> None:
            connection.cursor().executemany(
                "INSERT INTO records_artist (name) VALUES (%s)", names
            )

        with locked():
            task = asyncio.create_task(run(write_all))
            await asyncio.sleep(0.2)
            assert not task.done()
        await task
        assert await Artist.objects.count() == 50

    async def test_many_writers_all_get_their_turn(self, transaction_mode: str) -> None:
        """100 tasks on 10 connections, and another process."""

        async def writer(number: int) -> None:
            for step in range(3):
                await write_in_block(f"{number} {step}")

        await Artist.objects.count()
        outside = (
            "import sqlite3, sys\n"
            "other = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)\n"
            "for step in range(100):\n"
            "    other.execute('BEGIN IMMEDIATE')\n"
            "    sql = 'INSERT INTO records_artist (name) VALUES (?)'\n"
            "    other.execute(sql, [f'outside {step}'])\n"
            "    other.execute('COMMIT')\n"
        )
        name = connections.settings["default"]["NAME"]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", outside, name
        )
        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(writer(number))
            assert await process.wait() == 0
        assert await Artist.objects.count() == 400

    async def test_many_writers_without_a_wal(
        self, rollback_journal: str, sqlite_options: dict[str, Any]
    ) -> None:
        """Each has to wait at the begin and at the end of what it writes."""
        sqlite_options["transaction_mode"] = "DEFERRED"

        async def writer(number: int) -> None:
            for step in range(5):
                await write(f"{number} {step}")

        async with asyncio.TaskGroup() as group:
            for number in range(30):
                group.create_task(writer(number))
        assert await Artist.objects.count() == 150

    async def test_goes_on_after_one_that_sqlite_cut_short(self) -> None:
        """As it does at times when it has given up in the attempt before."""
        attempts: list[float] = []

        def execute() -> str:
            attempts.append(time.monotonic())
            if len(attempts) > 3:
                return "done"
            raw = sqlite3.connect(connections.settings["default"]["NAME"], timeout=0)
            with contextlib.closing(raw):
                time.sleep(SLICE if len(attempts) == 1 else 0)
                raw.execute("BEGIN IMMEDIATE")
            return "not locked"

        def repeat() -> str:
            connection.ensure_connection()
            worker = connection.connection.worker
            return worker.call(execute, name="execute")

        with locked():
            assert await run(repeat) == "done"

    async def test_goes_on_while_the_connection_is_opened(
        self, rollback_journal: str
    ) -> None:
        """An "init_command" may have to wait for the lock."""
        with locked("EXCLUSIVE"):
            task = asyncio.create_task(Artist.objects.acount())
            # Longer than SQLite waits at a time.
            await asyncio.wait([task], timeout=SLICE * 4)
            assert not task.done()
        assert await task == 0

    async def test_none_is_wanted(self, sqlite_options: dict[str, Any]) -> None:
        sqlite_options["timeout"] = 0
        await Artist.objects.count()
        with locked():
            with pytest.raises(OperationalError, match="database is locked"):
                await write("never")

    async def test_lasts_as_long_as_a_receiver_says(self) -> None:
        """`PRAGMA busy_timeout` when the connection is made, or at any other time."""

        def set_up(connection: Any, **kwargs: Any) -> None:
            connection.cursor().execute("PRAGMA busy_timeout = 300")

        connection_created.connect(set_up)
        try:
            await Artist.objects.count()
            with locked():
                start = time.monotonic()
                with pytest.raises(OperationalError, match="database is locked"):
                    await write("never")
                assert 0.3 <= time.monotonic() - start < 15
        finally:
            connection_created.disconnect(set_up)
            await close_pools()

    async def test_of_executemany_takes_rows_from_anywhere(self) -> None:
        sql = "INSERT INTO records_artist (name) VALUES (%s)"

        def write_all(rows: Any) -> int:
            with connection.cursor() as cursor:
                return cursor.executemany(sql, rows).rowcount

        def generate() -> Iterator[list[str]]:
            for number in range(3):
                yield [f"{number}"]

        with locked():
            task = asyncio.create_task(run(write_all, generate()))
            await asyncio.wait([task], timeout=SLICE * 4)
            assert not task.done()
        assert await task == 3
        assert await run(write_all, []) in (0, -1)
        assert await run(write_all, [["a"]]) == 1
        assert await Artist.objects.count() == 4

    async def test_is_not_for_errors_of_the_module_itself(self) -> None:
        def read() -> None:
            connection.cursor().execute("SELECT CAST(x'ff' AS TEXT)")

        with pytest.raises(OperationalError, match="UTF-8"):
            await run(read)

    async def test_is_as_in_stock_for_a_shared_cache(
        self, sqlite_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A locked table is not a busy database: SQLite does not wait for it."""
        settings = connections.settings["default"]
        name = "file:shared?mode=memory&cache=shared"
        monkeypatch.setitem(settings, "NAME", name)
        sqlite_options["init_command"] = ""
        other = sqlite3.connect(name, uri=True, isolation_level=None)
        with contextlib.closing(other):
            other.execute("CREATE TABLE t (a)")
            other.execute("BEGIN IMMEDIATE")
            other.execute("INSERT INTO t VALUES (1)")

            def read() -> list[Any]:
                with connection.cursor() as cursor:
                    return cursor.execute("SELECT a FROM t").fetchall()

            with pytest.raises(OperationalError, match="table is locked"):
                await run(read)
            other.execute("COMMIT")
            assert await run(read) == [(1,)]
            await close_pools()


MANY_ROWS = "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5000) SELECT "
MANY_ROWS += "i, (SELECT count(*) FROM records_artist) FROM n"


class TestCursorsThatOutliveTheirConnection:
    """Something still refers to them, such as the traceback of a cancelled task."""

    @pytest.mark.parametrize("close", ["close", "discard"])
    async def test_release_the_lock(self, rollback_journal: str, close: str) -> None:
        def leave() -> Any:
            cursor = connection.cursor()
            cursor.execute(MANY_ROWS)
            assert cursor.fetchone() == (1, 0)
            getattr(connection, close)()
            return cursor

        cursor = await run(leave)
        await close_pools()
        # Only the thread has to end, which waits for nothing.
        async with asyncio.timeout(10):
            while not can_commit():
                await asyncio.sleep(0.001)
        assert cursor is not None

    async def test_close_the_file(self, db: str) -> None:
        def leave() -> Any:
            cursor = connection.cursor()
            cursor.execute(MANY_ROWS)
            connection.discard()
            return cursor

        await close_pools()
        logs = open_logs()
        cursor = await run(leave)
        await close_pools()
        async with asyncio.timeout(10):
            while open_logs() > logs:
                await asyncio.sleep(0.001)
        assert cursor is not None


def can_commit() -> bool:
    """Whether nobody reads, where there is no WAL; asked without waiting."""
    name = connections.settings["default"]["NAME"]
    with contextlib.closing(
        sqlite3.connect(name, timeout=0, isolation_level=None)
    ) as other:
        try:
            other.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            return False
        return True


def open_logs() -> int:
    """How many connections of this process have the write-ahead log open."""
    log = f"{connections.settings['default']['NAME']}-wal"
    files = [f"/proc/self/fd/{name}" for name in os.listdir("/proc/self/fd")]
    return sum(os.path.lexists(file) and os.readlink(file) == log for file in files)
