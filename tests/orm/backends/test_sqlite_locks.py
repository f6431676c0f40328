"""SQLite's one write lock: waited for without blocking the loop, and left at once."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload, misc"

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from django.db import OperationalError, connections
from django.db.backends.signals import connection_created

from tests.fix_db import only_sqlite
from tests.records.models import Artist
from vinyl.orm import connection, run, transaction
from vinyl.orm.backends.sqlite3.base import SLICE
from vinyl.orm.pools.registry import close_pools, pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db"), only_sqlite]


@contextlib.contextmanager
def locked(mode: str = "IMMEDIATE") -> Iterator[None]:
    """In the block another connection holds the write lock."""
    other = sqlite3.connect(connections.settings["default"]["NAME"], timeout=5)
    other.isolation_level = None
    try:
        other.execute(f"BEGIN {mode}")
        yield
        other.execute("COMMIT")
    finally:
        other.close()


def can_write() -> bool:
    """Whether nobody holds the lock; asked from outside, without waiting."""
    other = sqlite3.connect(connections.settings["default"]["NAME"], timeout=0)
    with contextlib.closing(other):
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True


async def freed() -> None:
    """Wait until nobody holds the lock: what is thrown away closes in its thread."""
    while not can_write():
        await asyncio.sleep(0.001)


@pytest.fixture(params=["IMMEDIATE", "DEFERRED"])
async def mode(db: str, request: pytest.FixtureRequest) -> str:
    settings = connections.settings["default"]["OPTIONS"]
    settings["transaction_mode"] = request.param
    return request.param


@pytest.fixture
def options(db: str) -> dict[str, Any]:
    """OPTIONS, which are the test's own."""
    return connections.settings["default"]["OPTIONS"]


@pytest.fixture
async def rollback_journal(db: str) -> AsyncIterator[str]:
    """The name of the database, which has no WAL: a reader keeps a commit waiting."""
    settings = connections.settings["default"]
    settings["OPTIONS"]["init_command"] = "PRAGMA synchronous=OFF"
    set_journal("DELETE")
    yield settings["NAME"]
    await close_pools()
    set_journal("WAL")


def set_journal(mode: str) -> None:
    other = sqlite3.connect(connections.settings["default"]["NAME"], timeout=5)
    with contextlib.closing(other):
        assert other.execute(f"PRAGMA journal_mode={mode}").fetchone() == (
            mode.lower(),
        )


async def write(name: str) -> None:
    await Artist.objects.create(name=name)


async def write_in_block(name: str) -> None:
    async with transaction.atomic():
        await Artist.objects.create(name=name)


class TestWaiting:
    async def test_does_not_block_the_loop(self, mode: str) -> None:
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

    async def test_lasts_as_long_as_configured(self, options: dict[str, Any]) -> None:
        options["timeout"] = 0.3
        with locked():
            for work in (write, write_in_block):
                start = time.monotonic()
                with pytest.raises(OperationalError, match="database is locked"):
                    await work("never")
                assert time.monotonic() - start >= 0.3
        await write("Nina")
        assert await Artist.objects.count() == 1

    async def test_lasts_as_long_as_a_pragma_says(
        self, options: dict[str, Any]
    ) -> None:
        options["init_command"] += "PRAGMA busy_timeout = 200"
        with locked():
            start = time.monotonic()
            with pytest.raises(OperationalError, match="database is locked"):
                await write("never")
            assert 0.2 <= time.monotonic() - start < 15

    async def test_ends_at_once_where_it_would_not_help(
        self, options: dict[str, Any]
    ) -> None:
        """Who has read an older state cannot write any more, however long it waits."""
        options["transaction_mode"] = "DEFERRED"
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

    async def test_many_writers_all_get_their_turn(self, mode: str) -> None:
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
        self, rollback_journal: str, options: dict[str, Any]
    ) -> None:
        """Each has to wait at the begin and at the end of what it writes."""
        options["transaction_mode"] = "DEFERRED"

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

    async def test_none_is_wanted(self, options: dict[str, Any]) -> None:
        options["timeout"] = 0
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
        self, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A locked table is not a busy database: SQLite does not wait for it."""
        settings = connections.settings["default"]
        name = "file:shared?mode=memory&cache=shared"
        monkeypatch.setitem(settings, "NAME", name)
        options["init_command"] = ""
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


class TestCancelling:
    @pytest.mark.parametrize("work", [write, write_in_block])
    @pytest.mark.parametrize("cold", [True, False], ids=["cold", "warm"])
    async def test_a_wait_ends_it_soon(self, work: Any, cold: bool, mode: str) -> None:
        if not cold:
            await Artist.objects.count()
        with locked():
            for scope in (asyncio.timeout, anyio.fail_after):
                start = time.monotonic()
                with pytest.raises(TimeoutError):
                    manager: Any = scope(0.1)
                    if hasattr(manager, "__aenter__"):
                        async with manager:
                            await work("never")
                    else:
                        with manager:
                            await work("never")
                # SQLite's own patience is 20 s here.
                assert time.monotonic() - start < 5
        assert pool_for("default").in_use == {}
        await freed()
        await work("Nina")
        assert await Artist.objects.count() == 1

    async def test_a_task_group_ends_all_of_them(self) -> None:
        with locked():
            with pytest.RaisesGroup(LookupError):
                async with asyncio.TaskGroup() as group:
                    for number in range(8):
                        group.create_task(write_in_block(f"{number}"))
                    while len(pool_for("default").in_use) < 8:
                        await asyncio.sleep(0)
                    raise LookupError
        assert pool_for("default").in_use == {}
        await freed()
        assert await Artist.objects.count() == 0

    async def test_leaves_no_lock_behind(self) -> None:
        """Cancelled at any moment of a transaction that has the lock."""
        for number in range(40):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(number / 10_000):
                    await write_in_block(f"{number}")
            assert pool_for("default").in_use == {}
            await freed()

    async def test_a_commit_that_succeeds_all_the_same_counts(self) -> None:
        for number in range(60):
            called: list[int] = []
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(number / 20_000):
                    async with transaction.atomic():
                        await write(f"{number}")
                        transaction.on_commit(lambda called=called: called.append(1))
            found = await Artist.objects.filter(name=f"{number}").count()
            assert found == len(called)

    async def test_a_commit_that_waits_for_a_reader(
        self, rollback_journal: str
    ) -> None:
        """It is undone at once, and not made after all when the reader has gone."""
        await Artist.objects.count()
        reader = sqlite3.connect(rollback_journal, isolation_level=None)
        with contextlib.closing(reader):
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM records_artist").fetchall()
            start = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await write_in_block("never")
            # SQLite's own patience is 20 s here.
            assert time.monotonic() - start < 5
            assert pool_for("default").in_use == {}
            reader.execute("COMMIT")
        await freed()
        assert await Artist.objects.count() == 0

    async def test_of_executemany_at_its_first_row(self) -> None:
        def write_all() -> None:
            connection.cursor().executemany(
                "INSERT INTO records_artist (name) VALUES (%s)", [["a"], ["b"]]
            )

        await Artist.objects.count()
        with locked():
            start = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await run(write_all)
            assert time.monotonic() - start < 5
        await freed()
        assert await Artist.objects.count() == 0

    async def test_of_executemany_between_its_rows(self) -> None:
        begun = threading.Event()

        def numbers() -> Iterator[list[str]]:
            number = 0
            while True:
                begun.set()
                number += 1
                yield [f"{number}"]

        def write_all() -> None:
            connection.cursor().executemany(
                "INSERT INTO records_artist (name) VALUES (%s)", numbers()
            )

        async def write_for_ever() -> None:
            async with transaction.atomic():
                await run(write_all)

        task = asyncio.create_task(write_for_ever())
        await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await freed()
        assert await Artist.objects.count() == 0

    async def test_of_opening_a_connection(self, rollback_journal: str) -> None:
        with locked("EXCLUSIVE"):
            start = time.monotonic()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await Artist.objects.count()
            assert time.monotonic() - start < 5
        assert pool_for("default").in_use == {}
        await freed()
        assert await Artist.objects.count() == 0

    async def test_a_second_time_waits_for_the_thread(self) -> None:
        """Whoever has the connection next must not meet what still runs on it."""
        await Artist.objects.count()
        with locked():
            task = asyncio.create_task(write_in_block("never"))
            while not pool_for("default").in_use:
                await asyncio.sleep(0)
            while not task.done():
                task.cancel()
                await asyncio.sleep(0)
            assert task.cancelled()
            assert pool_for("default").in_use == {}
            assert await Artist.objects.count() == 0
        await freed()

    async def test_of_closing_a_connection(self) -> None:
        def use() -> None:
            Artist.objects.count()
            connection.close()

        for number in range(60):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(number / 20_000):
                    await run(use)
            assert pool_for("default").in_use == {}
        assert await Artist.objects.count() == 0


async def test_an_abandoned_run_closes_quietly() -> None:
    """A coroutine that is closed half-way through a long read."""
    await Artist.objects.bulk_create(Artist(name=f"{n}") for n in range(2_500))
    # A first hop brings 1,000 rows, so the cursor has more.
    coroutine = run(lambda: list(Artist.objects.iterator(chunk_size=10_000)))
    step = coroutine.__await__()
    next(step)
    coroutine.close()
    await asyncio.sleep(0)
    assert pool_for("default").in_use == {}
    assert await Artist.objects.count() == 2_500


async def test_threads_and_files_do_not_grow() -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    async def use() -> None:
        await asyncio.gather(*(Artist.objects.count() for _ in range(3)))
        await close_pools()

    async def settled() -> tuple[int, int]:
        while any(t.name.startswith("vinyl-") for t in threading.enumerate()):
            await asyncio.sleep(0.001)
        return threading.active_count(), open_files()

    await use()
    before = await settled()
    for _ in range(200):
        await use()
    assert await settled() == before


EXIT = """
import asyncio, sqlite3, sys
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["vinyl.orm"],
    DATABASES={{
        "default": {{
            "ENGINE": "vinyl.orm.backends.sqlite3",
            "NAME": sys.argv[1],
            "OPTIONS": {{"timeout": 600}},
        }}
    }},
)
import django
django.setup()
from vinyl.orm import connection, run

def execute(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)

loop = asyncio.new_event_loop()
loop.run_until_complete(run(execute, "CREATE TABLE t (a)"))
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute("BEGIN IMMEDIATE")
sql = {sql!r}
if sql:
    task = loop.create_task(run(execute, sql))
    loop.run_until_complete(asyncio.sleep(0.1))
loop.close()
if sql:
    # That it was pending is not what this is about.
    task._log_destroy_pending = False
print("the end")
"""
ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
    "SELECT count(*) FROM n"
)


@pytest.mark.parametrize(
    "sql",
    ["", "INSERT INTO t VALUES (1)", ENDLESS],
    ids=["idle", "waiting", "endless"],
)
async def test_the_interpreter_ends_although_the_loop_cleaned_nothing_up(
    sql: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", EXIT.format(sql=sql), str(tmp_path / "exit.db")]
    ended = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=50
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "the end\n", "")
