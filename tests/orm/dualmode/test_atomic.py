"""atomic() in both modes: commit, rollback, nesting, sharing, cancellation."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, call-overload, func-returns-value, misc"

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError

from tests.fix_db import only_postgresql
from tests.records.models import Artist
from vinyl.exceptions import ForeignLoopError, NotAwaitedError, ScopeClosedError
from vinyl.orm import await_, connection, run, transaction
from vinyl.orm.dualmode.atomic import _pop_lost
from vinyl.orm.pools import registry
from vinyl.orm.scopes.atomic_scope import AtomicScope
from vinyl.orm.scopes.scope import current_scope

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def names() -> list[str]:
    return await Artist.objects.values_list("name", flat=True)


async def test_commits_at_the_end() -> None:
    async with transaction.atomic():
        await Artist.objects.create(name="Nina")
    assert await names() == ["Nina"]


async def test_rolls_back_on_an_error() -> None:
    with pytest.raises(LookupError):
        async with transaction.atomic():
            await Artist.objects.create(name="Nina")
            raise LookupError
    assert await names() == []


async def test_what_is_inside_is_unseen_outside_until_the_end(db: str) -> None:
    created, seen = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        async with transaction.atomic():
            await Artist.objects.create(name="Nina")
            created.set()
            await seen.wait()

    writer = asyncio.create_task(write())
    await created.wait()
    assert await names() == []
    seen.set()
    await writer
    assert await names() == ["Nina"]


class TestNesting:
    async def test_an_inner_block_is_a_savepoint(self) -> None:
        async with transaction.atomic():
            await Artist.objects.create(name="kept")
            with pytest.raises(LookupError):
                async with transaction.atomic():
                    await Artist.objects.create(name="undone")
                    raise LookupError
            await Artist.objects.create(name="kept too")
        assert await names() == ["kept", "kept too"]

    async def test_an_error_of_the_database_is_confined_to_the_savepoint(self) -> None:
        async with transaction.atomic():
            await Artist.objects.create(name="Nina")
            with pytest.raises(IntegrityError):
                async with transaction.atomic():
                    await Artist.objects.create(name="Nina")
            assert await names() == ["Nina"]

    async def test_durable_refuses_to_be_inside(self) -> None:
        async with transaction.atomic():
            with pytest.raises(RuntimeError, match="durable"):
                async with transaction.atomic(durable=True):
                    pass

    async def test_the_inner_block_excludes_its_siblings(self) -> None:
        order: list[str] = []
        inside, checked = asyncio.Event(), asyncio.Event()

        async def nested() -> None:
            async with transaction.atomic():
                inside.set()
                await Artist.objects.create(name="nested")
                await checked.wait()
                order.append("nested ends")

        async def sibling() -> None:
            await inside.wait()
            await Artist.objects.create(name="sibling")
            order.append("sibling wrote")

        async with transaction.atomic():
            async with asyncio.TaskGroup() as group:
                group.create_task(nested())
                waiting = group.create_task(sibling())
                await inside.wait()
                for _ in range(20):
                    await asyncio.sleep(0)
                assert not waiting.done()
                checked.set()
        assert order == ["nested ends", "sibling wrote"]
        assert sorted(await names()) == ["nested", "sibling"]


class TestSharing:
    async def test_child_tasks_share_the_transaction(self) -> None:
        with pytest.raises(LookupError):
            async with transaction.atomic():
                await asyncio.gather(
                    *(Artist.objects.create(name=f"Artist {n}") for n in range(10))
                )
                assert len(await names()) == 10
                raise LookupError
        assert await names() == []

    async def test_siblings_outside_have_connections_of_their_own(self) -> None:
        async with transaction.atomic():
            in_block = await run(lambda: connection.connection)

        async def other() -> Any:
            return await run(lambda: (connection.ensure_connection(), connection)[0])

        await asyncio.gather(other(), other())
        assert in_block is not None

    async def test_a_task_that_outlives_the_block_gets_a_named_error(self) -> None:
        go = asyncio.Event()

        async def late() -> None:
            await go.wait()
            await Artist.objects.create(name="late")

        async with transaction.atomic():
            task = asyncio.create_task(late())
            await Artist.objects.create(name="Nina")
        go.set()
        with pytest.raises(ScopeClosedError, match="inherited atomic"):
            await task
        assert await names() == ["Nina"]

    async def test_code_in_the_bridge_uses_the_block(self) -> None:
        def sync() -> None:
            Artist.objects.create(name="first")
            with transaction.atomic():
                Artist.objects.create(name="second")

        with pytest.raises(LookupError):
            async with transaction.atomic():
                await run(sync)
                raise LookupError
        assert await names() == []

    async def test_what_the_bridge_awaits_is_in_its_transaction(self) -> None:
        async def inner() -> None:
            await Artist.objects.create(name="inner")
            async with transaction.atomic():
                await Artist.objects.create(name="inner block")

        def sync() -> None:
            with transaction.atomic():
                Artist.objects.create(name="outer")
                await_(inner())
                assert Artist.objects.count() == 3
                transaction.set_rollback(True)

        await run(sync)
        assert await names() == []

    async def test_leaving_in_another_task_is_refused(self) -> None:
        block = transaction.atomic()

        async def enter() -> None:
            await block.__aenter__()

        await asyncio.create_task(enter())
        with pytest.raises(transaction.TransactionManagementError, match="same corou"):
            await block.__aexit__(None, None, None)
        # The block of the task that is gone is dropped with the task's pool.
        for lent in list(registry.pool_for("default").in_use):
            registry.pool_for("default").release(lent)


class TestDecorator:
    async def test_on_a_coroutine_function(self) -> None:
        @transaction.atomic
        async def create_and_fail() -> None:
            await Artist.objects.create(name="Nina")
            raise LookupError

        with pytest.raises(LookupError):
            await create_and_fail()
        assert await names() == []

    async def test_with_arguments_and_many_tasks_at_once(self) -> None:
        @transaction.atomic(durable=True)
        async def create(name: str) -> str:
            await Artist.objects.create(name=name)
            return name

        made = await asyncio.gather(*(create(f"Artist {n}") for n in range(8)))
        assert made == await names()

    async def test_on_a_plain_function_is_dual_mode(self) -> None:
        @transaction.atomic
        def create_and_fail() -> None:
            Artist.objects.create(name="Nina")
            raise LookupError

        with pytest.raises(LookupError):
            await create_and_fail()
        assert await names() == []


@only_postgresql
class TestSelectForUpdate:
    async def test_nowait_and_skip_locked(self) -> None:
        await Artist.objects.bulk_create([Artist(name="Nina"), Artist(name="Abbey")])
        locked, done = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with transaction.atomic():
                await Artist.objects.select_for_update().get(name="Nina")
                locked.set()
                await done.wait()

        task = asyncio.create_task(hold())
        await locked.wait()
        with pytest.raises(OperationalError):
            async with transaction.atomic():
                await Artist.objects.select_for_update(nowait=True).get(name="Nina")
        async with transaction.atomic():
            free = await Artist.objects.select_for_update(skip_locked=True)
            assert [artist.name for artist in free] == ["Abbey"]
        done.set()
        await task

    async def test_outside_a_transaction_it_is_refused_as_in_django(self) -> None:
        with pytest.raises(transaction.TransactionManagementError):
            await Artist.objects.select_for_update()


async def test_another_event_loop_cannot_use_the_transaction() -> None:
    def in_own_loop() -> int:
        return asyncio.run(run(Artist.objects.count))

    assert await asyncio.to_thread(in_own_loop) == 0
    async with transaction.atomic():
        await Artist.objects.create(name="Nina")
        with pytest.raises(ForeignLoopError, match=r"inherited atomic\(\)"):
            await asyncio.to_thread(in_own_loop)


async def test_a_plain_with_on_the_loop_says_what_to_write() -> None:
    with pytest.raises(NotAwaitedError, match="async with transaction"):
        with transaction.atomic():
            pass


class TestCancellation:
    async def test_rolls_back_and_gives_the_connection_back(self) -> None:
        created = asyncio.Event()

        async def write() -> None:
            async with transaction.atomic():
                await Artist.objects.create(name="Nina")
                created.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(write())
        await created.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert registry.pool_for("default").in_use == {}
        assert await names() == []

    async def test_while_waiting_for_the_lock(self) -> None:
        async with transaction.atomic():
            inside, leave = asyncio.Event(), asyncio.Event()

            async def nested() -> None:
                async with transaction.atomic():
                    inside.set()
                    await leave.wait()

            holder = asyncio.create_task(nested())
            await inside.wait()
            waiter = asyncio.create_task(run(Artist.objects.count))
            await asyncio.sleep(0)
            waiter.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiter
            leave.set()
            await holder
            assert await Artist.objects.count() == 0

    async def test_at_random_moments_leaves_whole_transactions(self) -> None:
        """Of 60 transactions under timeouts, each is there with both rows or not."""

        async def write(number: int) -> None:
            async with asyncio.timeout(0.0005 * (number % 12)):
                async with transaction.atomic():
                    await Artist.objects.create(name=f"{number} a")
                    async with transaction.atomic():
                        await Artist.objects.create(name=f"{number} b")

        results = await asyncio.gather(
            *(write(n) for n in range(60)), return_exceptions=True
        )
        assert {type(r) for r in results} <= {type(None), TimeoutError}
        found = await names()
        for number, result in enumerate(results):
            rows = [name for name in found if name.startswith(f"{number} ")]
            assert len(rows) in ((2,) if result is None else (0, 2))
        assert registry.pool_for("default").in_use == {}


class Failing:
    """A stream whose cursor cannot be closed."""

    def end(self) -> None:
        raise LookupError("no cursor")


class TestAStreamThatFailsToEnd:
    """The error is that of the block, which is rolled back."""

    async def test_in_an_async_block(self) -> None:
        with pytest.raises(LookupError, match="no cursor"):
            async with transaction.atomic():
                await Artist.objects.create(name="undone")
                scope = current_scope.get()
                assert scope is not None
                scope.leases["default"].streams.add(Failing())
        assert not await Artist.objects.exists()

    async def test_in_a_sync_block(self) -> None:
        def work() -> None:
            with transaction.atomic():
                Artist.objects.create(name="undone")
                scope = current_scope.get()
                assert scope is not None
                scope.leases["default"].streams.add(Failing())

        with pytest.raises(LookupError, match="no cursor"):
            await run(work)
        assert not await Artist.objects.exists()


async def test_of_several_blocks_that_of_an_ended_task_is_popped() -> None:
    async def scope() -> AtomicScope:
        return AtomicScope(None)

    ended, here = await asyncio.create_task(scope()), await scope()
    entered = [here, ended, await scope()]
    assert _pop_lost(entered) is ended
    # All tasks are running: the one that entered last.
    assert _pop_lost(entered) is not here
    assert entered == [here]
