"""A connection is not used through a lease that has ended, or through what was kept."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

import asyncio
import contextvars
import gc
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import InterfaceError, connections
from django.db.transaction import TransactionManagementError

from tests.orm.scopes.blocks import names
from tests.records.models import Artist
from vinyl.exceptions import ScopeClosedError
from vinyl.orm import await_, run, transaction
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


class TestWhatIsKept:
    """Of a run or a block, used after its connection has gone back."""

    @pytest.fixture
    def kept(self) -> Callable[[], Any]:
        def keep() -> tuple[Any, Any]:
            wrapper = connections["default"]
            cursor = wrapper.cursor()
            cursor.execute("SELECT 1")
            return wrapper, cursor

        return keep

    INSERT = "INSERT INTO records_artist (name) VALUES ('stray')"

    async def test_a_connection_object(self, kept: Callable[[], Any]) -> None:
        wrapper, _ = await run(kept)

        def use() -> None:
            with wrapper.cursor() as cursor:
                cursor.execute(self.INSERT)

        async with transaction.atomic():
            # The stranger has that very connection; this run has another.
            assert connections["default"] is wrapper
            with pytest.raises(InterfaceError, match="was used after its run or block"):
                await asyncio.create_task(run(use), context=contextvars.Context())
        assert await names() == []

    async def test_a_cursor(self, kept: Callable[[], Any]) -> None:
        _, cursor = await run(kept)
        async with transaction.atomic():
            with pytest.raises(InterfaceError, match="or a cursor of it"):
                await asyncio.create_task(
                    run(cursor.execute, self.INSERT), context=contextvars.Context()
                )
        assert await names() == []

    async def test_in_the_block_that_still_holds_it_is_used_in_turn(
        self, kept: Callable[[], Any]
    ) -> None:
        async with transaction.atomic():
            wrapper, _ = await run(kept)

            def use() -> None:
                with wrapper.cursor() as cursor:
                    cursor.execute(self.INSERT)

            await run(use)
        assert await names() == ["stray"]

    async def test_a_stream_that_a_run_began(self) -> None:
        """The connection is closed with it, and a stranger never reads from it."""
        await Artist.objects.bulk_create(Artist(name=f"{n:03}") for n in range(300))

        async def begin() -> Any:
            stream = aiter(Artist.objects.iterator(chunk_size=100))
            await anext(stream)
            return stream

        def work() -> Any:
            Artist.objects.count()
            return await_(begin())

        stream = await run(work)
        with pytest.raises(ScopeClosedError, match="was read after the block"):
            _ = [artist async for artist in stream]
        async with transaction.atomic():
            stream = await run(work)
            assert len([artist async for artist in stream]) == 299


class TestALostBlock:
    """Its task is gone, and code inside it goes on."""

    @pytest.mark.parametrize("nested", [False, True], ids=["outermost", "nested"])
    async def test_takes_the_connection_away_from_it(self, nested: bool) -> None:
        inside, go = asyncio.Event(), asyncio.Event()
        children: list[asyncio.Task[None]] = []

        def write() -> None:
            Artist.objects.create(name="first")
            inside.set()
            await_(go.wait())
            Artist.objects.create(name="second")

        async def lost() -> None:
            async with transaction.atomic():
                children.append(asyncio.create_task(run(write)))
                await asyncio.get_running_loop().create_future()

        async def start() -> None:
            task = asyncio.create_task(lost())
            await inside.wait()
            await asyncio.sleep(0)
            del task
            gc.collect()
            await asyncio.sleep(0)
            go.set()
            with pytest.raises(ScopeClosedError, match="ended without waiting for it"):
                await children[0]

        if nested:
            with pytest.raises(TransactionManagementError):
                async with transaction.atomic():
                    await start()
        else:
            await start()
        assert pool_for("default").in_use == {}
        assert await names() == []


async def test_a_task_that_outlives_async_to_sync_leaves_the_thread_alone() -> None:
    """It has the lock on the thread's connection when the call ends."""
    inside, go = asyncio.Event(), asyncio.Event()
    children: list[asyncio.Task[None]] = []

    def write() -> None:
        Artist.objects.create(name="first")
        inside.set()
        await_(go.wait())
        Artist.objects.create(name="second")

    async def start() -> None:
        children.append(asyncio.create_task(run(write)))
        await inside.wait()

    def in_thread() -> None:
        with transaction.atomic():
            async_to_sync(start)()
            async_to_sync(end)()
        connections["default"].close()
        # The thread may serve another test, on another database.
        del connections["default"]

    async def end() -> None:
        go.set()
        with pytest.raises(ScopeClosedError):
            await children[0]

    await sync_to_async(in_thread)()
    assert await names() == ["first"]
