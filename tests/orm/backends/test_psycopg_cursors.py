"""
A migration makes prepared statements of other sessions invalid: outside a transaction
nobody notices, inside one the error is raised once.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import psycopg
import pytest
from django.db import NotSupportedError, connections

from tests.fix_db import only_postgresql
from tests.records.models import Artist
from vinyl.orm import connection, run, transaction
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, only_postgresql]

WIDE = "ALTER TABLE records_artist ALTER COLUMN name TYPE text"
NARROW = "ALTER TABLE records_artist ALTER COLUMN name TYPE varchar(100)"


@pytest.fixture(autouse=True, params=[0, 1], ids=["threshold 0", "threshold 1"])
def prepared(db: str, request: pytest.FixtureRequest) -> Iterator[None]:
    options = connections.settings["default"]["OPTIONS"]
    before = dict(options)
    options["server_side_binding"] = True
    options["prepare_threshold"] = request.param
    options["pool"] = {"max_size": 1}
    yield
    options.clear()
    options.update(before)
    connections["default"].close()


@pytest.fixture
def admin(postgres_url: str, prepared: None) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as session:
        yield session
        session.execute(NARROW)


def find() -> list[str]:
    return [artist.name for artist in Artist.objects.filter(name="Nina")]


def number_of_prepared() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE "
            "(name LIKE '_pg3_%%' OR name LIKE '_vinyl_%%') "
            "AND statement LIKE '%%records_artist%%'"
        )
        return cursor.fetchone()[0]


def prepare() -> None:
    """Have the session prepare the query of `find()`."""
    Artist.objects.create(name="Nina")
    for _ in range(3):
        assert find() == ["Nina"]
    assert number_of_prepared()


async def test_outside_a_transaction_it_is_run_again(admin: psycopg.Connection) -> None:
    await run(prepare)
    for change in WIDE, NARROW, WIDE:
        admin.execute(change)
        for _ in range(3):
            found = await Artist.objects.filter(name="Nina")
            assert [artist.name for artist in found] == ["Nina"]
        assert await run(number_of_prepared)
    assert pool_for("default").stats()["discarded"] == 0


async def test_in_the_bridge_it_is_run_again(admin: psycopg.Connection) -> None:
    def work() -> list[str]:
        prepare()
        admin.execute(WIDE)
        return find()

    assert await run(work) == ["Nina"]


async def test_nor_in_a_block_without_a_transaction(admin: psycopg.Connection) -> None:
    async with connection.pinned():
        await run(prepare)
        admin.execute(WIDE)
        assert await run(find) == ["Nina"]


async def test_nor_in_a_stream(admin: psycopg.Connection) -> None:
    options = connections.settings["default"]
    for disabled in True, False:
        options["DISABLE_SERVER_SIDE_CURSORS"] = disabled
        try:
            for _ in range(2):
                for change in WIDE, NARROW:
                    rows = [a async for a in Artist.objects.filter(pk=1).iterator()]
                    assert rows == []
                    admin.execute(change)
        finally:
            options["DISABLE_SERVER_SIDE_CURSORS"] = False


async def test_nor_in_a_write_that_returns(admin: psycopg.Connection) -> None:
    """It is repeated once, and takes place once."""
    sql = "UPDATE records_artist SET name = name || %s RETURNING name"
    async with connection.cursor() as cursor:
        await cursor.execute("INSERT INTO records_artist (name) VALUES ('N')")
        for expected in "Ni", "Nii":
            await cursor.execute(sql, ["i"])
            assert await cursor.fetchall() == [(expected,)]
        admin.execute(WIDE)
        await cursor.execute(sql, ["i"])
        assert await cursor.fetchall() == [("Niii",)]
        admin.execute(NARROW)
        await cursor.executemany(sql, [["a"], ["b"]])
    assert await Artist.objects.values_list("name", flat=True) == ["Niiiab"]


async def test_inside_a_transaction_it_is_raised_once(
    admin: psycopg.Connection,
) -> None:
    await run(prepare)
    for change in WIDE, NARROW, WIDE:
        admin.execute(change)
        with pytest.raises(NotSupportedError, match="cached plan") as caught:
            async with transaction.atomic():
                await Artist.objects.create(name="lost")
                await run(find)
        cause = caught.value.__cause__
        assert "roll the transaction back and run it again" in str(
            getattr(cause, "__notes__", None)
        )
        for _ in range(3):
            async with transaction.atomic():
                assert await run(find) == ["Nina"]
    assert await Artist.objects.count() == 1
    assert pool_for("default").stats()["discarded"] == 0


async def test_after_a_savepoint_the_transaction_goes_on(
    admin: psycopg.Connection,
) -> None:
    await run(prepare)
    for change in WIDE, NARROW, WIDE:
        admin.execute(change)
        async with transaction.atomic():
            with pytest.raises(NotSupportedError):
                async with transaction.atomic():
                    await run(find)
            for _ in range(3):
                assert await run(find) == ["Nina"]


async def test_retry_on_conflict_runs_the_transaction_again(
    admin: psycopg.Connection,
) -> None:
    attempts = 0

    @transaction.retry_on_conflict
    @transaction.atomic
    async def work() -> list[str]:
        nonlocal attempts
        attempts += 1
        await Artist.objects.create(name="Abbey")
        return await run(find)

    await run(prepare)
    admin.execute(WIDE)
    assert await work() == ["Nina"]
    assert attempts == 2
    assert await Artist.objects.filter(name="Abbey").count() == 1


async def test_another_error_of_its_class_is_not_repeated() -> None:
    async with connection.cursor() as cursor:
        await cursor.execute("CREATE TEMPORARY SEQUENCE tries")
        with pytest.raises(NotSupportedError, match="not here"):
            await cursor.execute(
                "DO $$ BEGIN PERFORM nextval('tries'); "
                "RAISE EXCEPTION 'not here' USING ERRCODE = '0A000'; END $$"
            )
        await cursor.execute("SELECT nextval('tries')")
        assert await cursor.fetchone() == (2,)


async def test_a_cancelled_task_leaves_a_session_that_recovers(
    admin: psycopg.Connection,
) -> None:
    await run(prepare)
    admin.execute(WIDE)
    with admin.transaction():
        admin.execute("LOCK TABLE records_artist")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await run(find)
    assert await run(find) == ["Nina"]


def test_in_sync_mode_it_is_run_again(admin: psycopg.Connection) -> None:
    prepare()
    admin.execute(WIDE)
    for _ in range(3):
        assert find() == ["Nina"]
    admin.execute(NARROW)
    with pytest.raises(NotSupportedError), transaction.atomic():
        find()
    with transaction.atomic():
        assert find() == ["Nina"]
