"""Real conflicts between transactions, which retry_on_conflict() resolves."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from django.db import OperationalError

from tests.fix_db import default_database, only_postgresql, only_sqlite
from tests.fix_retry import Mode
from tests.records.models import Artist
from tests.settings import SQLITE_URL, database
from vinyl.bridge.flows import use_driver
from vinyl.orm import connection, retry, transaction

pytestmark = [pytest.mark.anyio]


@use_driver
def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


async def names() -> list[str]:
    return await Artist.objects.values_list("name", flat=True)


@pytest.fixture
def serializable(postgres_url: str, db: str) -> Iterator[None]:
    """PostgreSQL as default database, with SERIALIZABLE in its OPTIONS."""
    settings: Any = database(postgres_url)
    settings["OPTIONS"] |= {"isolation_level": psycopg.IsolationLevel.SERIALIZABLE}
    with default_database(settings):
        yield


@only_postgresql
class TestPostgreSQL:
    async def test_a_serialization_failure_at_the_commit(
        self, db: str, mode: Mode, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "vinyl.orm")
        meet, tried, written = mode.meeting(), [], []

        def count_and_create(name: str) -> Generator[Any, Any, int]:
            yield execute, ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",)
            number = yield Artist.objects.count, ()
            tried.append(name)
            if tried.count(name) == 1:
                yield meet, ()
            yield Artist.objects.create, (), {"name": f"number {number}"[:8] + name}
            written.append(f"{name} as {number}")
            if tried.count(name) == 1:
                yield meet, ()
            return number

        fn = mode.decorated(count_and_create)
        numbers = await asyncio.gather(mode.call(fn, "a"), mode.call(fn, "b"))
        assert sorted(numbers) == [0, 1]
        # Both wrote before either's commit, which is where the one failed. That of the
        # other may still be under way when the next attempt begins, and fails.
        assert sorted(written[:2]) == ["a as 0", "b as 0"]
        assert len(tried) >= 3
        assert written[-1].endswith("as 1")
        records = [one for one in caplog.records if one.name == "vinyl.orm"]
        assert len(records) == len(tried) - 2
        assert records[0].levelno == logging.INFO
        assert "Attempt 1 of 3 of" in records[0].getMessage()

    async def test_a_deadlock(self, db: str, mode: Mode) -> None:
        await Artist.objects.bulk_create([Artist(name="a"), Artist(name="b")])
        meet, tried = mode.meeting(), []

        def rename_both(first: str, second: str) -> Generator[Any, Any, None]:
            tried.append(first)
            yield execute, ("SET LOCAL deadlock_timeout = '20ms'",)
            rows = Artist.objects.filter(name__startswith=first)
            yield rows.update, (), {"name": f"{first}{first}{len(tried)}"}
            if tried.count(first) == 1:
                yield meet, ()
            rows = Artist.objects.filter(name__startswith=second)
            yield rows.update, (), {"name": f"{second}{first}{len(tried)}"}

        fn = mode.decorated(rename_both)
        await asyncio.gather(mode.call(fn, "a", "b"), mode.call(fn, "b", "a"))
        # The second attempt may be the first to lock a row again.
        assert len(tried) >= 3
        # Both names are of the one that came second: whole, after the other.
        assert {name[1] for name in await names()} == {tried[-1]}

    async def test_with_the_isolation_level_of_the_options(
        self, serializable: None
    ) -> None:
        tried: list[str] = []
        barrier = asyncio.Barrier(2)

        @transaction.retry_on_conflict
        @transaction.atomic
        async def count_and_create(name: str) -> None:
            number = await Artist.objects.count()
            tried.append(name)
            if tried.count(name) == 1:
                await barrier.wait()
            await Artist.objects.create(name=str(number))

        await asyncio.gather(count_and_create("a"), count_and_create("b"))
        assert await names() == ["0", "1"]
        assert len(tried) == 3

    async def test_many_at_once_lose_nothing(self, db: str) -> None:
        await Artist.objects.create(name="0")

        @transaction.retry_on_conflict(attempts=100)
        @transaction.atomic
        async def increment() -> None:
            await execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            artist = await Artist.objects.get()
            artist.name = str(int(artist.name) + 1)
            await artist.save()

        await asyncio.gather(*(increment() for _ in range(8)))
        assert await names() == ["8"]


@pytest.fixture
def other(db: str) -> Iterator[sqlite3.Connection]:
    """Another program's connection to the SQLite file, in autocommit."""
    path = database(SQLITE_URL)["NAME"]
    opened = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with closing(opened):
        yield opened


@pytest.fixture
def impatient(request: pytest.FixtureRequest, other: Any) -> Iterator[None]:
    """SQLite as default database that does not wait for locks."""
    settings: Any = database(SQLITE_URL)
    settings["OPTIONS"] |= {"timeout": 0, "transaction_mode": request.param}
    with default_database(settings):
        yield


@only_sqlite
class TestSQLite:
    @pytest.mark.parametrize("impatient", ["IMMEDIATE"], indirect=True)
    async def test_a_locked_database(
        self,
        impatient: None,
        other: sqlite3.Connection,
        mode: Mode,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def unlocked(low: float, high: float) -> float:
            other.execute("ROLLBACK")
            return 0

        monkeypatch.setattr(retry.random, "uniform", unlocked)

        def create(name: str) -> Generator[Any, Any, None]:
            yield Artist.objects.create, (), {"name": name}

        other.execute("BEGIN IMMEDIATE")
        await mode.call(mode.decorated(create, attempts=2), "Nina")
        assert await names() == ["Nina"]

    @pytest.mark.parametrize("impatient", ["DEFERRED"], indirect=True)
    async def test_a_snapshot_that_is_out_of_date(
        self, impatient: None, other: sqlite3.Connection, mode: Mode
    ) -> None:
        tried = []

        def create(name: str) -> Generator[Any, Any, None]:
            number = yield Artist.objects.count, ()
            tried.append(number)
            if number == 0:
                other.execute("INSERT INTO records_artist (name) VALUES ('other')")
            yield Artist.objects.create, (), {"name": name}

        await mode.call(mode.decorated(create), "Nina")
        assert await names() == ["Nina", "other"]
        assert tried == [0, 1]

    @pytest.mark.parametrize("impatient", ["IMMEDIATE"], indirect=True)
    async def test_the_last_error_is_raised_as_it_is(
        self, impatient: None, other: sqlite3.Connection, mode: Mode, pauses: list[Any]
    ) -> None:
        def create() -> Generator[Any, Any, None]:
            yield Artist.objects.create, (), {"name": "Nina"}

        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="database is locked") as caught:
            await mode.call(mode.decorated(create, attempts=4), *())
        assert caught.value.__notes__ == ["retry_on_conflict() made 4 attempts."]
        assert pauses == [0.01, 0.02, 0.04]
        other.execute("ROLLBACK")
        assert await names() == []
