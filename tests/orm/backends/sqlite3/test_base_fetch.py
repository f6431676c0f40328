"""The query of a plan is one call in the thread, which waits and ends as any other."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload, misc"

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import IntegrityError, OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from tests.fix_db import only_sqlite
from tests.fix_sqlite import freed, locked
from tests.records.models import Artist, Biography
from vinyl.orm import connection, run, transaction
from vinyl.orm.backends.sqlite3.base import DatabaseWrapper
from vinyl.orm.backends.worker import Worker
from vinyl.orm.pools.registry import close_pools, pool_for

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("db", "nothing_known"),
    only_sqlite,
]

# More rows than a query reads before its cancellation reaches it.
MANY = 2_000


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each call in a thread of a connection."""
    found: list[str] = []
    call = Worker.call_on_loop

    async def counted(self: Worker, fn: Any, *args: Any) -> Any:
        found.append(repr(fn))
        return await call(self, fn, *args)

    monkeypatch.setattr(Worker, "call_on_loop", counted)
    return found


@pytest.fixture
def cursors(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each cursor of Django's."""
    found: list[str] = []
    prepare: Any = BaseDatabaseWrapper._prepare_cursor

    def counted(self: Any, cursor: Any) -> Any:
        found.append(self.alias)
        return prepare(self, cursor)

    monkeypatch.setattr(BaseDatabaseWrapper, "_prepare_cursor", counted)
    return found


async def on_loop() -> bool:
    return await Artist.objects.filter(name__regex="x").exists()


async def in_bridge() -> bool:
    return await run(lambda: Artist.objects.filter(name__regex="x").exists())


async def in_thread() -> bool:
    return await sync_to_async(
        lambda: Artist.objects.filter(name__regex="x").exists()
    )()


async def warmed(make: Any) -> Any:
    for _ in range(3):
        result = await make()
    return result


WAYS = pytest.mark.parametrize("query", [on_loop, in_bridge, in_thread])


@pytest.mark.parametrize("query", [on_loop, in_bridge])
async def test_a_plan_takes_one_call_and_no_cursor(
    query: Any, calls: list[str], cursors: list[str]
) -> None:
    await warmed(query)
    calls.clear()
    cursors.clear()
    assert await query() is False
    assert (len(calls), cursors) == (1, [])


async def test_an_insert_takes_one_call(calls: list[str], cursors: list[str]) -> None:
    for name in "abc":
        await Artist.objects.create(name=name)
    calls.clear()
    cursors.clear()
    artist = await Artist.objects.create(name="Nina")
    assert (len(calls), cursors) == (1, [])
    assert artist == await Artist.objects.order_by("-pk").first()


@WAYS
async def test_a_query_sees_the_open_transaction(query: Any) -> None:
    await warmed(on_loop)
    async with transaction.atomic():
        await Artist.objects.create(name="x")
        assert await query() is True
        transaction.set_rollback(True)
    assert await on_loop() is False


@WAYS
async def test_a_cancellation_interrupts_the_query(query: Any) -> None:
    await Artist.objects.bulk_create(Artist(name=f"{n}") for n in range(MANY))
    await warmed(on_loop)
    begun = threading.Event()
    rows: list[str] = []

    def regexp(pattern: str, value: str) -> bool:
        rows.append(value)
        begun.set()
        time.sleep(0.005)
        return False

    def install() -> None:
        connections["default"].connection.create_function("regexp", 2, regexp)

    async with connection.pinned():
        await run(install)
        task = asyncio.create_task(query())
        assert await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        read = len(rows)
        assert read < MANY
        assert await Artist.objects.count() == MANY
        # The thread had ended it before the task went on.
        assert len(rows) == read
    assert not pool_for("default").in_use
    await close_pools()


@pytest.mark.parametrize("query", [on_loop, in_bridge])
async def test_waiting_for_a_lock_does_not_block_the_loop(
    query: Any, rollback_journal: str
) -> None:
    await warmed(query)
    with locked("EXCLUSIVE"):
        task = asyncio.create_task(query())
        # Each step of this goes through the loop, for longer than SQLite waits once.
        for _ in range(60):
            await asyncio.sleep(0.002)
        assert not task.done()
        other = asyncio.create_task(query())
        await asyncio.sleep(0.01)
        start = time.monotonic()
        other.cancel()
        with pytest.raises(asyncio.CancelledError):
            await other
        # SQLite's own patience is 20 s here.
        assert time.monotonic() - start < 5
    assert await task is False
    await freed()


@pytest.mark.parametrize("query", [on_loop, in_bridge])
async def test_waiting_for_a_lock_ends_after_the_timeout(
    query: Any, rollback_journal: str, sqlite_options: dict[str, Any]
) -> None:
    sqlite_options["timeout"] = 0.2
    await warmed(query)
    with locked("EXCLUSIVE"):
        start = time.monotonic()
        with pytest.raises(OperationalError, match="database is locked"):
            await query()
        assert time.monotonic() - start >= 0.2
    assert await query() is False


async def test_an_insert_raises_djangos_error(cursors: list[str]) -> None:
    for name in "abc":
        artist = await Artist.objects.create(name=name)
        await Biography.objects.create(artist=artist, text="Born in Tryon.")
    cursors.clear()
    with pytest.raises(IntegrityError, match="UNIQUE constraint failed"):
        await Biography.objects.create(artist=artist, text="Born again.")
    assert cursors == []
    assert await Biography.objects.count() == 3


async def test_cursors_of_a_subclass_are_used() -> None:
    class Own(DatabaseWrapper):
        def create_cursor(self, name: str | None = None) -> Any:
            return super().create_cursor(name)

    for wrapper_class, can_fetch in (DatabaseWrapper, True), (Own, False):
        wrapper = wrapper_class(connections["default"].settings_dict, "default")
        await run(wrapper.ensure_connection)
        assert wrapper.can_fetch() is can_fetch
        wrapper.discard()


async def test_a_database_in_memory_survives_a_cancellation(
    memory: None, calls: list[str]
) -> None:
    def create() -> None:
        with connection.schema_editor() as editor:
            editor.create_model(Artist)

    async def count() -> int:
        return await Artist.objects.filter(name="Nina").count()

    await run(create)
    await Artist.objects.create(name="Nina")
    assert await warmed(count) == 1
    for turn in range(30):
        task = asyncio.create_task(count())
        for _ in range(turn % 6):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        calls.clear()
        assert await count() == 1
        assert len(calls) == 1
    await close_pools()
