"""SQLite's one write lock: waited for without blocking the loop, and left at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from django.db import OperationalError, connections

from tests.fix_db import only_sqlite
from tests.records.models import Artist
from vinyl.orm import connection, run, transaction
from vinyl.orm.pool import close_pools, pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db"), only_sqlite]


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """In the block another connection holds the write lock."""
    other = sqlite3.connect(connections.settings["default"]["NAME"], timeout=5)
    other.isolation_level = None
    try:
        other.execute("BEGIN IMMEDIATE")
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
            while len(pool_for("default").lent) < 8:
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
        """100 tasks on 10 connections, and another process's share by a thread."""

        async def writer(number: int) -> None:
            for step in range(3):
                await write_in_block(f"{number} {step}")

        def outside() -> None:
            for step in range(20):
                Artist.objects.create(name=f"outside {step}")
            connections["default"].close()

        thread = threading.Thread(target=outside)
        thread.start()
        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(writer(number))
        await asyncio.to_thread(thread.join)
        assert await Artist.objects.count() == 320


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
        assert pool_for("default").lent == {}
        await freed()
        await work("Nina")
        assert await Artist.objects.count() == 1

    async def test_a_task_group_ends_all_of_them(self) -> None:
        with locked():
            with pytest.RaisesGroup(LookupError):
                async with asyncio.TaskGroup() as group:
                    for number in range(8):
                        group.create_task(write_in_block(f"{number}"))
                    while len(pool_for("default").lent) < 8:
                        await asyncio.sleep(0)
                    raise LookupError
        assert pool_for("default").lent == {}
        await freed()
        assert await Artist.objects.count() == 0

    async def test_leaves_no_lock_behind(self) -> None:
        """Cancelled at any moment of a transaction that has the lock."""
        for number in range(40):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(number / 10_000):
                    await write_in_block(f"{number}")
            assert pool_for("default").lent == {}
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


async def test_an_abandoned_run_closes_quietly() -> None:
    """A coroutine that is closed half-way through a long read."""
    await Artist.objects.bulk_create(Artist(name=f"{n}") for n in range(2_500))
    # A first hop brings 1,000 rows, so the cursor has more.
    coroutine = run(lambda: list(Artist.objects.iterator(chunk_size=10_000)))
    step = coroutine.__await__()
    next(step)
    coroutine.close()
    await asyncio.sleep(0)
    assert pool_for("default").lent == {}
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
    for _ in range(60):
        await use()
    assert await settled() == before
