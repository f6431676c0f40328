"""
A connection is not used after its block: by tasks that wait for its lock when it is
left, by what was kept of it, or inside a block that is lost.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, misc, return-value"
# Not all helpers are annotated.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

import asyncio
import contextvars
import gc
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import InterfaceError, connections
from django.db.models.signals import post_delete
from django.db.transaction import TransactionManagementError

from tests.fix_db import only_postgresql
from tests.records.models import Artist
from vinyl.exceptions import ScopeClosedError
from vinyl.orm import await_, connection, run, transaction
from vinyl.orm.pools.registry import pool_for
from vinyl.orm.scopes.lock import ConnectionLock
from vinyl.orm.scopes.run_scope import scope_of_run
from vinyl.orm.scopes.scope import current_scope

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def names() -> list[str]:
    return await Artist.objects.order_by("name").values_list("name", flat=True)


def lock_here() -> ConnectionLock:
    """The lock on the connection of the block that the caller is in."""
    scope = current_scope.get()
    assert scope is not None
    return scope.leases["default"].lock


async def until(condition: Callable[[], Any]) -> None:
    """Let other tasks run until *condition* holds; the test's timeout is the end."""
    while not condition():
        await asyncio.sleep(0)


class TestAWaiterOfABlockThatIsLeft:
    """It waits for the lock while the block is left, which releases it."""

    @pytest.fixture(params=["atomic", "cursor", "pinned"])
    def block(self, request: pytest.FixtureRequest) -> Callable[[], Any]:
        return {
            "atomic": transaction.atomic,
            "cursor": lambda: connection.cursor(),
            "pinned": lambda: connection.pinned(),
        }[request.param]

    async def test_is_refused_and_never_in_the_transaction_of_a_stranger(self) -> None:
        go, waited = asyncio.Event(), asyncio.Event()

        def two() -> None:
            Artist.objects.create(name="c1")
            waited.set()
            await_(go.wait())
            Artist.objects.create(name="c2")

        async def stranger() -> None:
            async with transaction.atomic():
                await Artist.objects.create(name="s")
                go.set()
                # Long enough for what is not refused to come.
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await waited.wait()
                transaction.set_rollback(True)

        async with transaction.atomic():
            await Artist.objects.create(name="owner")
            child = asyncio.create_task(run(two))
        outcome, _ = await asyncio.gather(child, stranger(), return_exceptions=True)
        assert isinstance(outcome, ScopeClosedError)
        assert await names() == ["owner"]

    @pytest.mark.parametrize("kind", ["call", "run", "atomic", "cursor", "nested run"])
    async def test_of_every_kind(self, block: Callable[..., Any], kind: str) -> None:
        async def in_atomic() -> None:
            async with transaction.atomic():
                await Artist.objects.create(name="late")

        async def in_cursor() -> None:
            async with connection.cursor():
                await Artist.objects.create(name="late")

        def in_run() -> None:
            Artist.objects.create(name="late")

        def in_nested_run() -> None:
            await_(asyncio.sleep(0))
            await_(run(in_run))

        works: dict[str, Callable[[], Any]] = {
            "call": lambda: Artist.objects.create(name="late"),
            "run": lambda: run(in_run),
            "atomic": in_atomic,
            "cursor": in_cursor,
            "nested run": lambda: run(in_nested_run),
        }
        async with block():
            lock = lock_here()
            # A sibling has the lock, so that the order is: leaving, then the child.
            held = await lock.acquire()
            assert held
            children: list[asyncio.Task[Any]] = []

            async def start() -> None:
                await until(lambda: lock.waiters)
                children.append(asyncio.create_task(works[kind]()))
                await until(lambda: len(lock.waiters) == 2)
                lock.release()

            context = asyncio.create_task(start())
        await context
        [outcome] = await asyncio.gather(*children, return_exceptions=True)
        assert isinstance(outcome, ScopeClosedError)
        assert await names() == []
        assert pool_for("default").in_use == {}

    @only_postgresql
    async def test_to_copy(self) -> None:
        async def copy(cursor: Any) -> None:
            async with cursor.copy("COPY records_artist (name) FROM STDIN") as copying:
                await copying.write_row(["late"])

        async with connection.cursor() as cursor:
            lock = lock_here()
            assert await lock.acquire()

            async def start() -> asyncio.Task[None]:
                # The block is being left.
                await until(lambda: lock.waiters)
                child = asyncio.create_task(copy(cursor))
                await asyncio.wait([child], timeout=0.01)
                lock.release()
                return child

            starting = asyncio.create_task(start())
        with pytest.raises(
            ScopeClosedError, match=r"cursor\.copy\(\) was called.*had ended"
        ):
            await (await starting)
        assert await names() == []

    async def test_to_read_on(self) -> None:
        await Artist.objects.bulk_create(Artist(name=f"{n:03}") for n in range(300))

        async def read(stream: Any) -> None:
            async for _ in stream:
                pass

        async with transaction.atomic():
            stream = aiter(Artist.objects.iterator(chunk_size=100))
            await anext(stream)
            lock = lock_here()
            assert await lock.acquire()

            async def start() -> asyncio.Task[None]:
                await until(lambda: lock.waiters)
                child = asyncio.create_task(read(stream))
                await until(lambda: len(lock.waiters) == 2)
                lock.release()
                return child

            starting = asyncio.create_task(start())
        with pytest.raises(ScopeClosedError):
            await (await starting)


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
