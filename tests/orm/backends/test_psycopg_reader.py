"""The socket of a pooled connection stays registered with its event loop."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, call-overload, misc"

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from asgiref.sync import async_to_sync
from django.db import DatabaseError, OperationalError, connections
from django.db import transaction as django_transaction

from tests.fix_db import only_postgresql
from tests.fix_kills import Killer, kill
from tests.records.models import Artist
from vinyl.orm import connection, run, transaction
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db"), only_postgresql]


@pytest.fixture
async def registered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sockets that are registered with the event loop, in order."""
    loop = asyncio.get_running_loop()
    found: list[int] = []
    add = loop.add_reader

    def noted(fd: int, *args: Any) -> None:
        found.append(fd)
        add(fd, *args)

    monkeypatch.setattr(loop, "add_reader", noted)
    return found


def session_id() -> int:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        found: int = cursor.fetchone()[0]
        return found


async def test_once_for_all_operations(registered: list[int]) -> None:
    await run(session_id)
    registered.clear()
    for _ in range(10):
        await Artist.objects.filter(name="Nina").exists()
    assert len(registered) <= 1


async def test_until_the_server_ends_the_session(
    registered: list[int], admin: psycopg.Connection
) -> None:
    pid = await run(session_id)
    await Artist.objects.filter(name="Nina").exists()
    [pooled] = pool_for("default").idle
    reader = pooled.wrapper.connection.reader
    kill(admin, pid)
    async with asyncio.timeout(10):
        while reader._loop is not None:
            await asyncio.sleep(0)
    assert await run(session_id) != pid


async def test_until_it_is_closed_under_a_query() -> None:
    held: list[Any] = []

    def work() -> None:
        wrapper = connections["default"]
        with wrapper.cursor() as cursor:
            cursor.execute("SELECT 1")
            held.append(wrapper)
            cursor.execute("SELECT pg_sleep(60)")

    task = asyncio.create_task(run(work))
    async with asyncio.timeout(10):
        while not held or held[0].connection.reader._future is None:
            await asyncio.sleep(0)
        held[0].connection.close()
        with pytest.raises(OperationalError):
            await task
    assert await run(session_id)


async def test_not_for_the_connection_of_a_thread() -> None:
    readers: list[Any] = []

    async def inside() -> None:
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT 1")
        wrapper = connections["default"]
        readers.append(wrapper.connection.reader)
        assert wrapper.connection.reader._loop is None

    def in_thread() -> None:
        with django_transaction.atomic():
            async_to_sync(inside)()
        connections["default"].close()

    await asyncio.to_thread(in_thread)
    assert readers


async def test_a_cancelled_operation_leaves_the_connection_clean() -> None:
    pid = await run(session_id)
    for _ in range(5):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                async with connection.cursor() as cursor:
                    await cursor.execute("SELECT pg_sleep(60)")
        assert await run(session_id) == pid


class TestOnUvloop:
    @pytest.fixture
    def anyio_backend(self) -> tuple[str, dict[str, bool]]:
        pytest.importorskip("uvloop", reason='pip install "uvicorn[standard]"')
        return "asyncio", {"use_uvloop": True}

    async def test_a_session_that_is_reset_ends_the_wait(self, killer: Killer) -> None:
        """The server ends it while it has not read all that was sent."""
        for n in range(8):
            await Artist.objects.filter(name=f"{n}").exists()
        for _ in range(5):
            with pytest.raises(DatabaseError):
                async with transaction.atomic():
                    async with killer.killing():
                        await asyncio.gather(
                            *(
                                Artist.objects.filter(name=f"{n}").exists()
                                for n in range(8)
                            )
                        )
