"""Cancelling what waits for SQLite's write lock ends it soon, and leaves no lock."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload"
# mypy: disable-error-code="func-returns-value, misc"

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from django.db import connections

from tests.cancelling import cancel_at
from tests.fix_db import only_sqlite
from tests.fix_sqlite import freed, locked, write, write_in_block
from tests.records.models import Artist
from vinyl.orm import connection, run, transaction
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db"), only_sqlite]


class TestCancelling:
    @pytest.mark.parametrize("work", [write, write_in_block])
    @pytest.mark.parametrize("cold", [True, False], ids=["cold", "warm"])
    async def test_a_wait_ends_it_soon(
        self, work: Any, cold: bool, transaction_mode: str
    ) -> None:
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

    async def test_a_commit_that_succeeds_counts(self) -> None:
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


class TestBegin:
    """A BEGIN that succeeds although its task is cancelled leaves no transaction."""

    @staticmethod
    async def on_the_loop() -> None:
        async with transaction.atomic():
            pass

    @staticmethod
    async def in_the_bridge() -> None:
        def work() -> None:
            with transaction.atomic():
                pass

        await run(work)

    @pytest.mark.parametrize("late", [False, True])
    @pytest.mark.parametrize("place", ["on_the_loop", "in_the_bridge"])
    async def test_what_the_block_around_writes_is_kept(
        self, place: str, late: bool
    ) -> None:
        written: list[str] = []
        async with connection.pinned():
            await Artist.objects.count()
            raw = connections["default"].connection.raw
            reached = True
            while reached:
                step = len(written) + 1
                _, reached = await cancel_at(step, getattr(self, place)(), late=late)
                assert not raw.in_transaction
                written.append(f"{step}")
                await Artist.objects.create(name=written[-1])
            assert connections["default"].connection.raw is raw
        names = await Artist.objects.values_list("name", flat=True)
        assert sorted(names) == sorted(written)


@pytest.mark.parametrize("late", [False, True])
async def test_autocommit_is_what_sqlite_has(late: bool) -> None:
    """A `set_autocommit()` that succeeds counts, although its task is cancelled."""

    async def set_autocommit(on: bool) -> None:
        await connection.set_autocommit(on)

    step, reached = 0, True
    counted: list[bool] = []
    async with connection.pinned():
        await Artist.objects.count()
        raw = connections["default"].connection.raw
        while reached:
            step += 1
            for on in (False, True):
                _, reached = await cancel_at(step, set_autocommit(on), late=late)
                assert await connection.get_autocommit() == (
                    raw.isolation_level is None
                )
                if reached and await connection.get_autocommit() == on:
                    counted.append(on)
                await connection.set_autocommit(on)
    if late:
        assert counted == [False, True]
