"""Sync blocks in a run: the run keeps the connection, and its tasks take part."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

import asyncio
import contextvars
from contextlib import suppress
from typing import Any

import pytest
from django.db.models.signals import post_delete

from tests.orm.scopes.blocks import names, until
from tests.records.models import Artist
from vinyl.exceptions import ScopeClosedError
from vinyl.orm import await_, connection, run, transaction
from vinyl.orm.pools.registry import pool_for
from vinyl.orm.scopes.lock import ConnectionLock
from vinyl.orm.scopes.run_scope import scope_of_run
from vinyl.orm.scopes.scope import ConnectionScope, current_scope

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


class TestASyncBlock:
    """`with atomic()` in a run: the run goes on with the connection, others may not."""

    async def test_a_task_that_outlives_it_is_refused(self) -> None:
        """Also while the run is in another transaction."""

        async def child() -> None:
            await Artist.objects.create(name="late")

        def work() -> asyncio.Task[None]:
            Artist.objects.count()
            with transaction.atomic():
                Artist.objects.create(name="owner")
                task = asyncio.ensure_future(child())
            with suppress(LookupError), transaction.atomic():
                Artist.objects.create(name="undone")
                await_(asyncio.wait([task]))
                raise LookupError
            return task

        with pytest.raises(ScopeClosedError, match="inherited atomic"):
            await (await run(work))
        assert await names() == ["owner"]

    async def test_a_sibling_waits_while_a_nested_one_is_open(self) -> None:
        waited: list[bool] = []

        async def sibling() -> None:
            await Artist.objects.create(name="of the outer")
            waited.append(connection.savepoint_ids == [])

        def work() -> None:
            with transaction.atomic():
                Artist.objects.create(name="outer")
                task = asyncio.ensure_future(sibling())
                with suppress(LookupError), transaction.atomic():
                    Artist.objects.create(name="undone")
                    for _ in range(10):
                        await_(asyncio.sleep(0))
                    assert not task.done()
                    raise LookupError
                await_(task)

        await run(work)
        assert await names() == ["of the outer", "outer"]
        assert waited == [True]

    async def test_a_task_that_the_run_started_before_takes_part_in_it(self) -> None:
        def work() -> None:
            Artist.objects.count()
            task = asyncio.ensure_future(Artist.objects.acreate(name="early"))
            with suppress(LookupError), transaction.atomic():
                with transaction.atomic():
                    await_(task)
                raise LookupError

        await run(work)
        assert await names() == []

    async def test_also_if_that_waits_for_its_turn_when_the_block_begins(self) -> None:
        inside, go = asyncio.Event(), asyncio.Event()
        early: list[asyncio.Task[Any]] = []

        def hold() -> None:
            Artist.objects.count()
            inside.set()
            await_(go.wait())

        async def start(lock: ConnectionLock) -> None:
            # The run waits to have its lock back.
            await until(lambda: lock.waiters)
            coroutine = Artist.objects.acreate(name="early")
            early.append(asyncio.create_task(coroutine))
            await until(lambda: len(lock.waiters) == 2)
            go.set()

        def work() -> None:
            Artist.objects.count()
            lock = scope_of_run().leases["default"].lock
            others = [
                asyncio.ensure_future(run(hold)),
                asyncio.ensure_future(start(lock)),
            ]
            await_(inside.wait())
            with suppress(LookupError), transaction.atomic():
                assert not early[0].done()
                await_(early[0])
                raise LookupError
            await_(asyncio.wait(others))

        await run(work)
        assert await names() == []

    async def test_a_task_of_a_receiver_inside_djangos_own_goes_on(self) -> None:
        """The user has opened no block, and cannot wait in Django's."""
        tasks: list[asyncio.Task[Any]] = []

        def receive(**kwargs: Any) -> None:
            tasks.append(asyncio.ensure_future(Artist.objects.acreate(name="told")))

        artist = await Artist.objects.create(name="Nina")
        post_delete.connect(receive, sender=Artist)
        try:
            await artist.delete()
        finally:
            post_delete.disconnect(receive, sender=Artist)
        await tasks[0]
        assert await names() == ["told"]

    async def test_what_is_awaited_in_it_belongs_to_it(self) -> None:
        def work() -> None:
            with suppress(LookupError), transaction.atomic():
                with transaction.atomic():
                    await_(Artist.objects.acreate(name="inner"))
                await_(Artist.objects.acreate(name="outer"))
                raise LookupError

        await run(work)
        assert await names() == []

    async def test_a_task_of_its_hook_goes_on(self) -> None:
        tasks: list[asyncio.Task[Any]] = []

        async def later() -> None:
            await Artist.objects.create(name="later")

        def work() -> None:
            with transaction.atomic():
                Artist.objects.create(name="owner")
                transaction.on_commit(
                    lambda: tasks.append(asyncio.ensure_future(later()))
                )

        await run(work)
        await tasks[0]
        assert await names() == ["later", "owner"]

    async def test_a_stream_ends_with_it(self) -> None:
        await Artist.objects.bulk_create(Artist(name=f"{n:03}") for n in range(300))

        async def begin() -> Any:
            stream = aiter(Artist.objects.iterator(chunk_size=100))
            await anext(stream)
            return stream

        async def read(stream: Any) -> None:
            async for _ in stream:
                pass

        def work() -> None:
            with transaction.atomic():
                stream = await_(begin())
            with pytest.raises(ScopeClosedError, match="was read after the block"):
                await_(read(stream))

        await run(work)
        assert pool_for("default").stats()["discarded"] == 0


class TestLending:
    """What a run awaits uses the run's connections."""

    async def test_also_where_the_first_query_was_made_in_another_context(self) -> None:
        async def look() -> object:
            return current_scope.get()

        def work() -> tuple[object, object, object]:
            contextvars.copy_context().run(Artist.objects.count)
            return scope_of_run(), await_(look()), current_scope.get()

        run_scope, inside, after = await run(work)
        assert inside is run_scope
        assert after is None

    async def test_ends_if_the_run_is_closed_early(self) -> None:
        waiting: list[bool] = []

        async def wait() -> None:
            waiting.append(True)
            await asyncio.sleep(0)

        def work() -> None:
            Artist.objects.count()
            await_(wait())

        coroutine: Any = run(work)
        while not waiting:
            awaited = coroutine.send(None)
            if awaited is not None:
                awaited._asyncio_future_blocking = False
                await awaited
        coroutine.close()
        assert not pool_for("default").in_use

    async def test_waits_for_the_lock_though_it_is_cancelled(self) -> None:
        inside, go = asyncio.Event(), asyncio.Event()
        others: list[asyncio.Task[None]] = []

        def hold() -> None:
            Artist.objects.count()
            inside.set()
            await_(go.wait())

        async def start() -> None:
            others.append(asyncio.create_task(run(hold)))
            await inside.wait()

        def work() -> None:
            Artist.objects.count()
            lock = scope_of_run().leases["default"].lock
            locks.append(lock)
            await_(start())

        locks: list[ConnectionLock] = []
        task = asyncio.create_task(run(work))
        await inside.wait()
        await until(lambda: locks[0].waiters)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        await others[0]


async def test_a_scope_that_awaited_code_has_set_stays() -> None:
    other = ConnectionScope(None, block="other")

    async def leave() -> None:
        current_scope.set(other)

    def work() -> object:
        Artist.objects.count()
        await_(leave())
        return current_scope.get()

    assert await run(work) is other


async def test_a_task_that_outlives_the_run_uses_a_connection_of_the_pool() -> None:
    async def later() -> int:
        await ended.wait()
        return await Artist.objects.acount()

    def work() -> asyncio.Task[int]:
        Artist.objects.create(name="first")
        return asyncio.ensure_future(later())

    ended = asyncio.Event()
    task = await run(work)
    assert not pool_for("default").in_use
    ended.set()
    assert await task == 1
    assert not pool_for("default").in_use
