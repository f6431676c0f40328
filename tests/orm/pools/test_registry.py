"""Each event loop has pools of its own, which end with it."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload"
# mypy: disable-error-code="func-returns-value, misc"

from __future__ import annotations

import asyncio
import datetime
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

from tests.fix_db import only_postgresql, only_sqlite
from tests.records.models import Artist
from vinyl.orm import connection, run
from vinyl.orm.pools import registry
from vinyl.orm.pools.registry import close_pools, pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def test_closing_drops_what_is_idle_and_reopens_on_use() -> None:
    await Artist.objects.count()
    pool = pool_for("default")
    await close_pools()
    assert pool.idle == []
    assert await Artist.objects.count() == 0
    assert pool_for("default") is not pool


def test_the_pool_closes_with_its_loop(db: str) -> None:
    async def main() -> Any:
        await Artist.objects.count()
        return pool_for("default")

    pool = asyncio.run(main())
    assert pool.closed
    assert pool.idle == []


def test_each_loop_has_a_pool_of_its_own(db: str) -> None:
    async def main() -> Any:
        await Artist.objects.count()
        return pool_for("default")

    assert asyncio.run(main()) is not asyncio.run(main())


async def test_a_closed_pool_is_not_maintained() -> None:
    pool = pool_for("default")
    maintenance = registry._maintenance[pool]
    await close_pools()
    assert maintenance.timer is None
    assert pool not in registry._maintenance
    await close_pools()


def test_a_loop_that_has_shut_down_keeps_no_connections(db: str) -> None:
    async def use() -> bool:
        await asyncio.get_running_loop().shutdown_asyncgens()
        await Artist.objects.count()
        return pool_for("default").closed

    async def main() -> bool:
        await Artist.objects.count()
        return await use()

    assert asyncio.run(main())


def test_databases_that_block_have_no_pool(db: str) -> None:
    blocking = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    connections.settings["blocking"] = connections.configure_settings(
        {"default": {}, "blocking": blocking}
    )["blocking"]
    try:
        assert [alias for alias, *_ in registry.configured_pools()] == ["default"]
    finally:
        del connections.settings["blocking"]


def moment() -> Any:
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT TIMESTAMPTZ '2020-01-01 00:00:00+00'")
        [found] = cursor.fetchone()
        return found


def zone() -> Any:
    return connections["default"].timezone


class TestASettingOfTheTimeZone:
    """`override_settings()` in async code reaches connections that wait in the pool."""

    @only_postgresql
    async def test_is_that_of_the_next_operation(self) -> None:
        before = await run(moment)
        assert before.utcoffset() == datetime.timedelta(0)
        with override_settings(USE_TZ=False, TIME_ZONE="Asia/Tokyo"):
            assert await run(moment) == datetime.datetime(2020, 1, 1, 9)
        assert await run(moment) == before
        assert pool_for("default").stats()["size"] == 1

    async def test_reaches_connections_that_are_in_use(self) -> None:
        ended = asyncio.Event()

        async def hold() -> Any:
            async with connection.pinned():
                before = await run(zone)
                held.set()
                await ended.wait()
                return before, await run(zone)

        held = asyncio.Event()
        holding = asyncio.create_task(hold())
        await held.wait()
        await run(zone)
        with override_settings(USE_TZ=False):
            assert await run(zone) is None
            ended.set()
            # A block keeps what it began with.
            before, after = await holding
            assert before is after is not None
            assert [await run(zone) for _ in range(2)] == [None, None]
        assert await run(zone) is not None

    @only_sqlite
    async def test_in_memory_without_losing_the_data(self, memory: None) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute("CREATE TABLE kept (id int)")
        assert await run(zone) is not None
        with override_settings(USE_TZ=False):
            assert await run(zone) is None
            async with connection.cursor() as cursor:
                await cursor.execute("SELECT count(*) FROM kept")
                assert await cursor.fetchone() == (0,)
        assert await run(zone) is not None
