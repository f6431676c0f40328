"""A task that is cancelled while a thread works for it: no lock is released early."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection as of_thread
from django.db.transaction import TransactionManagementError

from tests.cancelling import ENDLESS_READ, cancel_at, endless_write
from tests.fix_db import only_postgresql
from tests.fix_threads import Gate
from tests.orm.scopes.test_lending import Undo, add, names
from tests.records.models import Artist
from vinyl.exceptions import ScopeClosedError
from vinyl.orm import connection, run, transaction
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("thread")]


in_query = threading.Event()


def endless() -> None:
    """A query that does not end by itself."""
    with of_thread.cursor() as cursor:
        in_query.set()
        cursor.execute(ENDLESS_READ[of_thread.vendor])


class Seen:
    """Calls *fn* in a thread, and keeps what it raised."""

    def __init__(self, fn: Callable[[], Any]) -> None:
        self.fn = fn
        self.error: BaseException | None = None
        self.ended = False

    def __call__(self) -> None:
        try:
            self.fn()
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.ended = True


async def cancelled_in_query(work: Callable[[], Any]) -> None:
    """Wait for *work* in a thread, and cancel that when its endless query has begun."""
    in_query.clear()
    task = asyncio.create_task(sync_to_async(work)())
    await asyncio.to_thread(in_query.wait, 30)
    # Time for the query to reach the server, be it long enough or not.
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises((asyncio.CancelledError, TransactionManagementError)):
        await task


class TestAQuery:
    async def test_is_cancelled_in_the_server(self) -> None:
        work = Seen(endless)
        with pytest.raises(Undo):
            async with transaction.atomic():
                await run(add, "loop")
                await cancelled_in_query(work)
                raise Undo
        assert isinstance(work.error, asyncio.CancelledError)
        assert await run(names) == []

    async def test_leaves_the_session_open(self) -> None:
        async with connection.pinned():
            await cancelled_in_query(endless)
            await sync_to_async(add)("afterwards")
        assert await run(names) == ["afterwards"]

    async def test_fails_the_block_if_it_continues(self) -> None:
        with pytest.raises(TransactionManagementError, match="was cancelled"):
            async with transaction.atomic():
                await run(add, "important")
                await cancelled_in_query(endless)
        assert await run(names) == []

    @only_postgresql
    async def test_a_savepoint_in_the_thread_saves_the_block(self) -> None:
        def work() -> None:
            with transaction.atomic():
                add("undone")
                endless()

        async with transaction.atomic():
            await run(add, "before")
            await cancelled_in_query(work)
            await run(add, "after")
        assert await run(names) == ["after", "before"]

    async def test_a_savepoint_that_the_thread_goes_on_in(self) -> None:
        """The thread is told where it leaves the savepoint."""

        def work() -> None:
            with transaction.atomic():
                add("undone")
                with suppress(asyncio.CancelledError):
                    endless()

        seen = Seen(work)
        with pytest.raises(Undo):
            async with transaction.atomic():
                await cancelled_in_query(seen)
                raise Undo
        assert isinstance(seen.error, TransactionManagementError)
        assert await run(names) == []

    async def test_of_code_that_the_thread_waits_for(self) -> None:
        async def write() -> None:
            in_query.set()
            await endless_write()

        seen = Seen(async_to_sync(write))
        with pytest.raises(Undo):
            async with transaction.atomic():
                await run(add, "loop")
                await cancelled_in_query(seen)
                raise Undo
        assert isinstance(seen.error, asyncio.CancelledError)
        assert await run(names) == []

    async def test_of_a_thread_behind_a_thread(self) -> None:
        async def inner() -> None:
            await sync_to_async(endless)()

        seen = Seen(async_to_sync(inner))
        with pytest.raises(Undo):
            async with transaction.atomic():
                await cancelled_in_query(seen)
                raise Undo
        assert isinstance(seen.error, asyncio.CancelledError)

    async def test_cancelled_again_and_again(self) -> None:
        def stubborn() -> None:
            for _ in range(3):
                with suppress(asyncio.CancelledError):
                    endless()

        seen = Seen(stubborn)

        async def session() -> None:
            async with connection.pinned():
                await sync_to_async(seen)()

        in_query.clear()
        task = asyncio.create_task(session())
        await asyncio.to_thread(in_query.wait, 30)
        while not task.done():
            await asyncio.sleep(0.1)
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert seen.ended


async def settled() -> None:
    """All that can go on without the thread has gone on."""
    for _ in range(20):
        await asyncio.sleep(0)


class TestOtherWork:
    async def test_the_turn_waits_for_the_thread(
        self, gates: Callable[..., Any]
    ) -> None:
        gate = gates()

        def work() -> None:
            add("before")
            gate.wait()
            add("afterwards")

        seen = Seen(work)
        async with connection.pinned():
            calling = asyncio.create_task(sync_to_async(seen)())
            await asyncio.to_thread(gate.reached.wait, 30)
            sibling = asyncio.create_task(run(names))
            calling.cancel()
            await settled()
            assert not sibling.done()
            assert not calling.done()
            gate.open()
            with pytest.raises(asyncio.CancelledError):
                await calling
            assert seen.ended
            assert isinstance(seen.error, asyncio.CancelledError)
            assert await sibling == ["before"]

    async def test_without_a_query_nothing_is_interrupted(
        self, gates: Callable[..., Any]
    ) -> None:
        gate = gates()
        async with transaction.atomic():
            calling = asyncio.create_task(sync_to_async(gate.wait)())
            await asyncio.to_thread(gate.reached.wait, 30)
            calling.cancel()
            gate.open()
            with pytest.raises(asyncio.CancelledError):
                await calling
            await run(add, "kept")
        assert await run(names) == ["kept"]

    async def test_half_of_the_work_is_not_committed(
        self, gates: Callable[..., Any]
    ) -> None:
        gate = gates()

        def work() -> None:
            add("first half")
            gate.wait()
            add("second half")

        with pytest.raises(TransactionManagementError, match="was cancelled"):
            async with transaction.atomic():
                calling = asyncio.create_task(sync_to_async(work)())
                await asyncio.to_thread(gate.reached.wait, 30)
                calling.cancel()
                await settled()
                gate.open()
                with pytest.raises(asyncio.CancelledError):
                    await calling
        assert await run(names) == []

    async def test_a_commit_that_has_begun_counts(self) -> None:
        """As in the bridge, what a transaction has become is known."""
        outcomes = set()
        for step in range(1, 60):
            committed: list[bool] = []

            def work(step: int = step, committed: list[bool] = committed) -> None:
                with transaction.atomic():
                    add(f"{step}")
                    transaction.on_commit(lambda: committed.append(True))

            async def session(work: Callable[[], None] = work) -> None:
                async with connection.pinned():
                    await sync_to_async(work)()

            outcome, reached = await cancel_at(step, session(), late=False)
            there = await Artist.objects.filter(name=f"{step}").exists()
            assert there == bool(committed), (step, outcome)
            outcomes.add(type(outcome))
            if not reached:
                break
        assert outcomes == {type(None), asyncio.CancelledError}


class TestBeforeItBegins:
    async def test_while_the_thread_works_for_others(
        self, gates: Callable[..., Any]
    ) -> None:
        gate = gates()
        busy = asyncio.create_task(sync_to_async(gate.wait)())
        await asyncio.to_thread(gate.reached.wait, 30)
        seen = Seen(names)
        async with transaction.atomic():
            calling = asyncio.create_task(sync_to_async(seen)())
            await asyncio.sleep(0.05)
            calling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await calling
            # The lock is free, though the thread is not.
            await run(add, "loop")
        gate.open()
        await busy
        await sync_to_async(len)("the thread has gone on")
        assert not seen.ended

    async def test_while_it_waits_for_its_turn(self, gates: Callable[..., Any]) -> None:
        gate = gates()
        seen = Seen(names)
        async with transaction.atomic():
            first = asyncio.create_task(sync_to_async(gate.wait)())
            await asyncio.to_thread(gate.reached.wait, 30)
            second = asyncio.create_task(sync_to_async(seen)())
            await asyncio.sleep(0)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            gate.open()
            await first
            await run(add, "loop")
        assert not seen.ended


@pytest.mark.parametrize("late", [False, True], ids=["early", "late"])
async def test_at_every_wait(late: bool) -> None:
    """All of a block's work is there, or nothing of it, and nothing is left behind."""

    async def inner() -> None:
        await Artist.objects.create(name="inner")

    def work() -> None:
        with transaction.atomic():
            add("thread")
            async_to_sync(inner)()

    async def block() -> None:
        async with transaction.atomic():
            await Artist.objects.create(name="loop")
            await sync_to_async(work)()

    for step in range(1, 60):
        outcome, reached = await cancel_at(step, block(), late=late)
        found = await run(names)
        if found:
            assert found == ["inner", "loop", "thread"], (step, outcome)
            await Artist.objects.all().delete()
        elif outcome is None:
            raise AssertionError(f"Lost without an error at wait {step}")
        assert not pool_for("default").in_use, step
        if not reached:
            break
    assert outcome is None


async def test_at_every_query_of_the_thread() -> None:
    """An atomic() of the thread is known by its outcome, whatever was cancelled."""

    class CancelAt:
        def __init__(self, query: int) -> None:
            self.query = query
            self.task = asyncio.current_task()
            self.loop = asyncio.get_running_loop()

        def __call__(self, execute: Callable[..., Any], *args: Any) -> Any:
            self.query -= 1
            if self.query == 0:
                assert self.task is not None
                self.loop.call_soon_threadsafe(self.task.cancel)
            return execute(*args)

    def work(cancel_at: CancelAt) -> None:
        with of_thread.execute_wrapper(cancel_at), transaction.atomic():
            add("first")
            with transaction.atomic():
                add("second")
            add("third")

    async def block(query: int) -> int:
        cancel_at = CancelAt(query)
        async with transaction.atomic():
            with suppress(asyncio.CancelledError):
                await sync_to_async(work)(cancel_at)
        return cancel_at.query

    for query in range(1, 20):
        [left] = await asyncio.gather(
            asyncio.create_task(block(query)), return_exceptions=True
        )
        found = await run(names)
        assert found in ([], ["first", "second", "third"]), (query, left)
        await Artist.objects.all().delete()
        if isinstance(left, int) and left > 0:
            break
    else:
        raise AssertionError("The thread's queries have no end")


async def test_a_coroutine_that_is_closed_early(gates: Callable[..., Any]) -> None:
    """The lock is released when the thread has ended; the block has lost its work."""
    gate: Gate = gates()

    def work() -> None:
        add("thread")
        gate.wait()

    with pytest.raises(TransactionManagementError):
        async with transaction.atomic():
            coroutine: Any = sync_to_async(work)()
            coroutine.send(None)
            await asyncio.to_thread(gate.reached.wait, 30)
            coroutine.close()
            sibling = asyncio.create_task(run(names))
            await asyncio.sleep(0)
            assert not sibling.done()
            gate.open()
            await sibling
    gc.collect()
    assert await run(names) == []


@pytest.mark.parametrize("nested", [False, True], ids=["outermost", "nested"])
@pytest.mark.parametrize("guarded", [False, True], ids=["plain", "in atomic()"])
async def test_a_block_around_is_lost(
    gates: Callable[[], Gate], nested: bool, guarded: bool
) -> None:
    """Its connection is taken away from the thread, which may not use it further."""
    gate = gates()

    def write() -> None:
        add("first")
        gate.wait()
        add("second")

    work = Seen(transaction.atomic(write) if guarded else write)
    children: list[asyncio.Task[None]] = []

    async def lost() -> None:
        async with transaction.atomic():
            children.append(asyncio.create_task(sync_to_async(work)()))
            await asyncio.get_running_loop().create_future()

    async def start() -> None:
        task = asyncio.create_task(lost())
        await asyncio.to_thread(gate.reached.wait, 30)
        del task
        gc.collect()
        await asyncio.sleep(0)
        if not nested:
            # The pool has the connection back, and lends it to somebody else.
            await run(add, "stranger")
        gate.open()
        with pytest.raises(ScopeClosedError, match="ended without waiting for it"):
            await children[0]

    if nested:
        with pytest.raises(TransactionManagementError):
            async with transaction.atomic():
                await start()
    else:
        await start()
    assert pool_for("default").in_use == {}
    assert await run(names) == ([] if nested else ["stranger"])


async def test_the_loop_ends_while_a_thread_works() -> None:
    """asyncio.run() cancels its tasks at the end: the thread's query as well."""
    started = threading.Event()

    def work() -> None:
        started.set()
        endless()

    seen = Seen(work)

    async def block() -> None:
        async with transaction.atomic():
            await sync_to_async(seen)()

    async def main() -> None:
        task = asyncio.create_task(block())
        await asyncio.to_thread(started.wait, 30)
        del task

    begun = time.monotonic()
    await asyncio.to_thread(asyncio.run, main())
    assert seen.ended
    assert time.monotonic() - begun < 20
