"""Each event loop has pools of its own, which end with it."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload"
# mypy: disable-error-code="func-returns-value, misc"

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.db import connections

from tests.records.models import Artist
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
