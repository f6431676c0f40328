"""
Whatever ends a session, and wherever: `OperationalError` on the event loop, the
connection is thrown away, and the next operation works.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, call-overload, func-returns-value, misc"

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import InternalError, OperationalError

from tests.fix_db import only_postgresql
from tests.records.models import Artist
from vinyl.orm import await_, connection, in_bridge, run, transaction
from vinyl.orm.pools.registry import pool_for

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("db"),
    only_postgresql,
]

# Ends the session that the calling block holds, and returns when it is gone.
End = Callable[[], Awaitable[None]]

GONE = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)"


@pytest.fixture
def admin(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as session:
        yield session


def pid_after(setting: str = "") -> int:
    """The process of this block's session, which is given *setting* first."""
    # In one statement: the session may end before the next one.
    given = f", set_config('{setting}', '30', false)" if setting else ""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT pg_backend_pid(){given}")
        return cursor.fetchone()[0]


def wait_until_gone(admin: psycopg.Connection, pid: int) -> None:
    deadline = time.monotonic() + 30
    while admin.execute(GONE, [pid]).fetchone() != (True,):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def by_timeout(setting: str) -> Callable[[psycopg.Connection], None]:
    def end(admin: psycopg.Connection) -> None:
        wait_until_gone(admin, pid_after(setting))

    return end


def by_termination(admin: psycopg.Connection) -> None:
    admin.execute("SELECT pg_terminate_backend(%s, 10000)", [pid_after()])


def by_network(admin: psycopg.Connection) -> None:
    pid = pid_after()
    copy = socket.socket(fileno=os.dup(connection.connection.fileno()))
    copy.shutdown(socket.SHUT_RDWR)
    copy.close()
    wait_until_gone(admin, pid)


in_transaction = {
    "idle_in_transaction_session_timeout": by_timeout(
        "idle_in_transaction_session_timeout"
    ),
    "transaction_timeout": by_timeout("transaction_timeout"),
    "pg_terminate_backend": by_termination,
    "network": by_network,
}


@pytest.fixture(params=in_transaction)
def end(request: pytest.FixtureRequest, admin: psycopg.Connection) -> End:
    if "transaction_timeout" == request.param and admin.info.server_version < 170000:
        pytest.skip("PostgreSQL 17 has it.")
    how = in_transaction[request.param]

    async def end() -> None:
        await run(how, admin)

    return end


async def names() -> list[str]:
    return await Artist.objects.order_by("pk").values_list("name", flat=True)


def sound() -> None:
    found = pool_for("default")
    assert found.in_use == {}
    assert all(p.wrapper.is_reusable() and p.wrapper.is_alive() for p in found.idle)


async def in_a_query(end: End) -> None:
    async with transaction.atomic():
        await Artist.objects.create(name="lost")
        await end()
        await Artist.objects.create(name="never")


async def in_the_first_query(end: End) -> None:
    async with transaction.atomic():
        await end()
        await Artist.objects.count()


async def in_a_nested_block(end: End) -> None:
    async with transaction.atomic():
        await Artist.objects.create(name="lost")
        async with transaction.atomic():
            await end()
            await Artist.objects.create(name="never")


async def entering_a_nested_block(end: End) -> None:
    async with transaction.atomic():
        await end()
        async with transaction.atomic():
            raise AssertionError


async def leaving_a_nested_block(end: End) -> None:
    async with transaction.atomic():
        async with transaction.atomic():
            await Artist.objects.create(name="lost")
            await end()


async def at_the_commit(end: End) -> None:
    async with transaction.atomic():
        await Artist.objects.create(name="lost")
        transaction.on_commit(lambda: pytest.fail("It was not committed."))
        await end()


async def in_a_sibling(end: End) -> None:
    async with transaction.atomic():
        await Artist.objects.create(name="lost")
        await end()
        await asyncio.gather(Artist.objects.count())


async def in_a_stream(end: End) -> None:
    async with transaction.atomic():
        await Artist.objects.bulk_create(Artist(name=f"{n}") for n in range(300))
        ended = False
        async for _ in Artist.objects.iterator(chunk_size=10):
            if not ended:
                await end()
                ended = True


async def in_a_raw_cursor(end: End) -> None:
    async with transaction.atomic(), connection.cursor() as cursor:
        await cursor.execute("SELECT 1")
        await end()
        await cursor.execute("SELECT 1")


async def beginning_a_copy(end: End) -> None:
    async with transaction.atomic(), connection.cursor() as cursor:
        await end()
        async with cursor.copy("COPY records_artist (name) FROM STDIN"):
            raise AssertionError


async def committing_by_hand(end: End) -> None:
    async with connection.pinned():
        await transaction.set_autocommit(False)
        await Artist.objects.create(name="lost")
        await end()
        await transaction.commit()


async def rolling_back_by_hand(end: End) -> None:
    async with connection.pinned():
        await transaction.set_autocommit(False)
        await Artist.objects.create(name="lost")
        await end()
        await transaction.rollback()


async def in_the_bridge(end: End) -> None:
    def work() -> None:
        assert in_bridge()
        with transaction.atomic():
            Artist.objects.create(name="lost")
            await_(end())
            Artist.objects.create(name="never")

    await run(work)


async def at_the_commit_in_the_bridge(end: End) -> None:
    def work() -> None:
        with transaction.atomic():
            Artist.objects.create(name="lost")
            await_(end())

    await run(work)


async def in_an_iterator_in_the_bridge(end: End) -> None:
    def work() -> None:
        with transaction.atomic():
            Artist.objects.bulk_create(Artist(name=f"{n}") for n in range(300))
            rows = Artist.objects.iterator(chunk_size=10)
            next(rows)
            await_(end())
            list(rows)

    await run(work)


@pytest.mark.parametrize(
    "place",
    [
        in_a_query,
        in_the_first_query,
        in_a_nested_block,
        entering_a_nested_block,
        leaving_a_nested_block,
        at_the_commit,
        in_a_sibling,
        in_a_stream,
        in_a_raw_cursor,
        beginning_a_copy,
        committing_by_hand,
        rolling_back_by_hand,
        in_the_bridge,
        at_the_commit_in_the_bridge,
        in_an_iterator_in_the_bridge,
    ],
)
async def test_is_an_operational_error(
    place: Callable[[End], Awaitable[None]], end: End
) -> None:
    with pytest.raises(OperationalError) as caught:
        await place(end)
    assert isinstance(caught.value.__cause__, psycopg.Error)
    assert await names() == []
    async with transaction.atomic():
        await Artist.objects.create(name="kept")
    assert await names() == ["kept"]
    sound()


async def test_the_cause_says_what_the_server_did(admin: psycopg.Connection) -> None:
    with pytest.raises(OperationalError, match="idle-in-transaction") as caught:
        async with transaction.atomic():
            await run(by_timeout("idle_in_transaction_session_timeout"), admin)
            await Artist.objects.count()
    cause = caught.value.__cause__
    assert isinstance(cause, psycopg.errors.IdleInTransactionSessionTimeout)


async def test_an_error_that_leaves_the_block_stays_what_it_is(end: End) -> None:
    """The rollback fails as well, and the server has done it already."""
    with pytest.raises(LookupError):
        async with transaction.atomic():
            await Artist.objects.create(name="lost")
            await end()
            raise LookupError
    assert await names() == []
    sound()


async def test_an_internal_error_that_leaves_the_session_is_one() -> None:
    async with transaction.atomic():
        with pytest.raises(InternalError):
            async with transaction.atomic(), connection.cursor() as cursor:
                await cursor.execute(
                    "DO $$ BEGIN RAISE EXCEPTION 'odd' USING ERRCODE = 'XX000'; END $$"
                )
        assert await names() == []
    sound()


class TestOutsideATransaction:
    @pytest.mark.parametrize(
        "how",
        [by_timeout("idle_session_timeout"), by_termination, by_network],
        ids=["idle_session_timeout", "pg_terminate_backend", "network"],
    )
    async def test_a_held_session(
        self, how: Callable[..., Any], admin: psycopg.Connection
    ) -> None:
        with pytest.raises(OperationalError):
            async with connection.pinned():
                await run(how, admin)
                await Artist.objects.count()
        assert await names() == []
        sound()

    async def test_an_idle_session_is_replaced(self, admin: psycopg.Connection) -> None:
        pid = await run(pid_after, "idle_session_timeout")
        await asyncio.to_thread(wait_until_gone, admin, pid)
        while pool_for("default").idle[0].wrapper.is_alive():
            await asyncio.sleep(0.01)
        assert await names() == []
        sound()

    async def test_in_a_copy(self, admin: psycopg.Connection) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT pg_backend_pid()")
            [pid] = await cursor.fetchone()
            with pytest.raises(OperationalError):
                async with cursor.copy("COPY records_artist (name) FROM STDIN") as copy:
                    admin.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
                    while True:
                        await copy.write_row(["lost"])
        assert await names() == []
        sound()


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("idle_in_transaction_session_timeout", InternalError),
        (None, OperationalError),
    ],
)
def test_in_sync_mode_the_classes_are_those_of_django(
    admin: psycopg.Connection, setting: str | None, expected: type[Exception]
) -> None:
    how: Any = by_termination if setting is None else by_timeout(setting)
    with pytest.raises(expected):
        with transaction.atomic():
            how(admin)
            Artist.objects.count()
    assert Artist.objects.count() == 0
