"""Where `connections` finds its connections, in both modes."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, return-value"

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest
from django.db import connections

from tests.records.models import Artist
from vinyl.exceptions import ForeignLoopError, ScopeClosedError
from vinyl.orm import connection, run, transaction
from vinyl.orm.pools.registry import pool_for
from vinyl.orm.scopes import storage
from vinyl.orm.scopes.storage import (
    connection_of,
    connection_of_thread,
    has_transaction,
    in_transaction,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


def test_it_is_installed_once() -> None:
    before = cast(Any, connections)._connections
    storage.install()
    assert cast(Any, connections)._connections is before


class TestInTheBridge:
    async def test_a_run_finds_one_connection(self) -> None:
        def work() -> bool:
            return connections["default"] is connections["default"]

        assert await run(work)

    async def test_looking_borrows_nothing(self) -> None:
        def initialized() -> list[Any]:
            return connections.all(initialized_only=True)

        def work() -> tuple[list[Any], list[Any]]:
            before = initialized()
            Artist.objects.count()
            return before, initialized()

        before, after = await run(work)
        assert before == []
        assert [wrapper.alias for wrapper in after] == ["default"]
        assert await run(initialized) == []

    async def test_looking_finds_that_of_the_block_around(self) -> None:
        async with transaction.atomic():
            [found] = await run(connections.all, initialized_only=True)
            assert found is connections["default"]

    async def test_one_may_be_put_there_and_removed(self) -> None:
        def work() -> None:
            first = connections["default"]
            del connections["default"]
            assert not pool_for("default").in_use
            own = connections.create_connection("default")
            connections["default"] = own
            assert connections["default"] is own is not first
            del connections["default"]

        await run(work)
        assert connection_of_thread("default") is None

    async def test_what_is_not_there_cannot_be_removed(self) -> None:
        def work() -> None:
            del connections["default"]

        with pytest.raises(KeyError, match="default"):
            await run(work)


class TestInAThread:
    def test_it_is_djangos(self) -> None:
        wrapper = connections["default"]
        assert connection_of_thread("default") is wrapper
        assert connection_of("default") is None
        del connections["default"]
        assert connection_of_thread("default") is None

    async def test_is_empty_on_the_loop(self) -> None:
        async with transaction.atomic():
            assert await asyncio.to_thread(connection_of_thread, "default") is None


class TestConnectionOf:
    async def test_outside_a_block_is_a_placeholder(self) -> None:
        found = connection_of("default")
        assert found is not None
        assert found is connection_of("default")
        assert found.connection is None
        assert not pool_for("default").in_use

    async def test_in_a_block_is_the_blocks(self) -> None:
        async with connection.pinned():
            [wrapper] = pool_for("default").in_use
            assert connection_of("default") is wrapper

    async def test_in_the_bridge_is_the_runs(self) -> None:
        assert await run(lambda: connection_of("default") is connections["default"])


class TestInTransaction:
    async def test_on_the_loop(self) -> None:
        assert not in_transaction("default")
        async with transaction.atomic():
            assert in_transaction("default")
            assert not in_transaction("other")
        async with connection.pinned():
            assert not in_transaction("default")
            await transaction.set_autocommit(False)
            assert in_transaction("default")
            await transaction.rollback()
            await transaction.set_autocommit(True)

    async def test_in_the_bridge(self) -> None:
        def work() -> tuple[bool, bool]:
            with transaction.atomic():
                inside = in_transaction("default")
            return inside, in_transaction("default")

        assert await run(work) == (True, False)
        async with transaction.atomic():
            assert await run(in_transaction, "default")

    def test_in_sync_mode_makes_no_connection(self) -> None:
        connections["default"].close()
        del connections["default"]
        assert not in_transaction("default")
        assert connection_of_thread("default") is None
        with transaction.atomic():
            assert in_transaction("default")
            assert has_transaction(connections["default"])

    async def test_a_task_that_outlived_its_block_gets_an_error(self) -> None:
        go = asyncio.Event()

        async def ask() -> bool:
            await go.wait()
            return in_transaction("default")

        async with transaction.atomic():
            task = asyncio.create_task(ask())
        go.set()
        with pytest.raises(ScopeClosedError):
            await task

    async def test_another_loop_gets_an_error(self) -> None:
        async def ask() -> bool:
            return in_transaction("default")

        async with transaction.atomic():
            with pytest.raises(ForeignLoopError):
                await asyncio.to_thread(asyncio.run, ask())
