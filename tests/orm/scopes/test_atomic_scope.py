"""The scope of atomic(): around generators, and for tasks that its hooks start."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, type-var"

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest
from django.db import connections

from tests.orm.scopes.blocks import names
from tests.records.models import Artist
from vinyl.exceptions import ScopeClosedError
from vinyl.orm import connection, transaction
from vinyl.orm.pools.registry import pool_for
from vinyl.orm.scopes import atomic_scope
from vinyl.orm.scopes.atomic_scope import AtomicScope, after_commit, savepoints_around
from vinyl.orm.scopes.scope import ConnectionScope, current_scope

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


class TestAnAsyncGenerator:
    """Between two values its block is around the code that reads from it."""

    @staticmethod
    async def pages() -> AsyncIterator[int]:
        async with transaction.atomic():
            for number in range(3):
                await Artist.objects.count()
                yield number

    async def test_a_generator_left_early_names_the_queries_that_are_undone(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async for _ in self.pages():
            break
        await Artist.objects.create(name="lost")
        while pool_for("default").in_use:
            await asyncio.sleep(0)
        assert await names() == []
        assert "TestAnAsyncGenerator.pages), so its block is rolled back" in caplog.text

    async def test_a_generator_closed_in_time_does_not_warn(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with aclosing(self.pages()) as found:
            async for _ in found:
                break
        await Artist.objects.create(name="kept")
        assert await names() == ["kept"]
        assert "rolled back" not in caplog.text

    async def test_read_to_its_end_commits_all(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async for number in self.pages():
            await Artist.objects.create(name=f"{number}")
        assert await names() == ["0", "1", "2"]
        assert "rolled back" not in caplog.text

    async def test_as_a_context_manager_is_an_ordinary_block(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        @asynccontextmanager
        async def block() -> AsyncIterator[None]:
            async with transaction.atomic():
                yield

        with pytest.raises(LookupError):
            async with block():
                await Artist.objects.create(name="undone")
                raise LookupError
        async with block():
            await Artist.objects.create(name="kept")
        assert await names() == ["kept"]
        assert "rolled back" not in caplog.text


class TestTasksOfHooks:
    async def test_outlive_the_block(self) -> None:
        tasks: list[asyncio.Task[int]] = []

        async def count() -> int:
            return await Artist.objects.count()

        async with transaction.atomic():
            await Artist.objects.create(name="Nina")
            transaction.on_commit(lambda: tasks.append(asyncio.create_task(count())))
        assert await tasks[0] == 1

    async def test_do_not_outlive_a_block_around(self) -> None:
        tasks: list[asyncio.Task[int]] = []
        go = asyncio.Event()

        async def later() -> int:
            await go.wait()
            return await Artist.objects.count()

        async with connection.pinned():
            async with transaction.atomic():
                transaction.on_commit(
                    lambda: tasks.append(asyncio.create_task(later()))
                )
        go.set()
        with pytest.raises(ScopeClosedError, match=r"inherited pinned\(\)"):
            await tasks[0]

    async def test_in_a_chain_do_not_pile_up_scopes(self) -> None:
        """Each transaction's hook starts the next one, as a queue of jobs does."""
        done = asyncio.Event()
        tasks = set()

        def start(left: int) -> None:
            task = asyncio.create_task(job(left))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        async def job(left: int) -> None:
            if not left:
                done.set()
                return
            async with transaction.atomic():
                await Artist.objects.count()
                transaction.on_commit(lambda: start(left - 1))

        def scopes() -> int:
            gc.collect()
            return sum(isinstance(found, ConnectionScope) for found in gc.get_objects())

        before = scopes()
        start(100)
        await done.wait()
        assert scopes() - before < 20


class TestSavepointsAround:
    async def test_outside_there_are_none(self) -> None:
        assert savepoints_around("default") is None
        async with connection.pinned():
            assert savepoints_around("default") is None

    async def test_are_those_of_the_block(self) -> None:
        async with transaction.atomic():
            assert savepoints_around("default") == set()
            assert savepoints_around("other") is None
            async with transaction.atomic():
                [sid] = savepoints_around("default") or ()
                assert sid == connection.savepoint_ids[-1]

    async def test_of_a_block_that_has_not_begun_are_those_around(self) -> None:
        async with transaction.atomic():
            scope = AtomicScope(current_scope.get())
            await scope.acquire("default")
            scope.enter()
            try:
                assert savepoints_around("default") == set()
            finally:
                scope.close()


async def test_a_commit_ends_only_blocks_of_its_connection() -> None:
    async with transaction.atomic():
        outer = current_scope.get()
        assert isinstance(outer, AtomicScope)
        other = connections.create_connection("default")
        with after_commit(other):
            assert not _has_been_committed(outer)
        with after_commit(outer.leases["default"].wrapper):
            assert _has_been_committed(outer)
        empty = AtomicScope(outer)
        empty.enter()
        try:
            with after_commit(outer.leases["default"].wrapper):
                assert _has_been_committed(outer)
                assert not _has_been_committed(empty)
        finally:
            empty.close()


def _has_been_committed(scope: AtomicScope) -> bool:
    """What a task that a hook starts finds, in which the scope is not its own."""
    return scope in atomic_scope._committed.get()
