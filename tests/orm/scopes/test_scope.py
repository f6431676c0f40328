"""Scopes: what each holds, and which of them the running code finds."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from django.db import InterfaceError, connections
from django.db.transaction import TransactionManagementError

from vinyl.exceptions import ForeignLoopError, ScopeClosedError
from vinyl.orm import connection, run, transaction
from vinyl.orm.pools.registry import pool_for
from vinyl.orm.scopes.run_scope import scope_of_run
from vinyl.orm.scopes.scope import (
    ConnectionScope,
    current_scope,
    is_lost,
    nearest_lease,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


def scope_here() -> ConnectionScope:
    scope = current_scope.get()
    assert scope is not None
    return scope


@pytest.fixture
def no_scope() -> Iterator[None]:
    token = current_scope.set(None)
    yield
    current_scope.reset(token)


class TestCurrentScope:
    async def test_is_that_of_the_innermost_block(self) -> None:
        assert current_scope.get() is None
        async with transaction.atomic():
            outer = scope_here()
            async with connection.pinned():
                assert scope_here().parent is outer
                assert outer.is_around(scope_here())
                assert not scope_here().is_around(outer)
            assert current_scope.get() is outer
        assert current_scope.get() is None
        assert not outer.is_around(None)

    async def test_of_a_run_begins_with_its_first_query(self) -> None:
        def work() -> tuple[object, str]:
            before = current_scope.get()
            with connections["default"].cursor():
                return before, repr(current_scope.get())

        assert await run(work) == (None, "<RunScope run open: default>")
        assert current_scope.get() is None

    async def test_child_tasks_inherit_it(self) -> None:
        async def child() -> ConnectionScope:
            return scope_here()

        async with transaction.atomic():
            assert await asyncio.create_task(child()) is scope_here()

    async def test_shows_what_it_holds(self) -> None:
        async with transaction.atomic():
            scope = scope_here()
            assert repr(scope) == "<AtomicScope atomic() open: default>"
        assert repr(scope) == "<AtomicScope atomic() closed: default>"


class TestWhatItHolds:
    async def test_the_outermost_has_it_from_the_pool(self) -> None:
        async with transaction.atomic():
            [lease] = scope_here().leases.values()
            assert lease.source is pool_for("default")
            async with transaction.atomic():
                [inner] = scope_here().leases.values()
                assert (inner.source, inner.wrapper) == (lease, lease.wrapper)
                assert lease.innermost() is inner
            assert lease.innermost() is lease
        assert not pool_for("default").in_use

    async def test_the_users_own_connection_is_not_given_to_the_pool(self) -> None:
        def work() -> None:
            own = connections.create_connection("default")
            connections["default"] = own
            assert scope_of_run().leases["default"].source is None
            with connections["default"].cursor() as cursor:
                cursor.execute("SELECT 1")
            assert connections["default"] is own
            own.close()

        await run(work)
        assert not pool_for("default").in_use

    async def test_a_lost_connection_is_dropped_unless_it_is_the_users(self) -> None:
        def work() -> None:
            own = connections.create_connection("default")
            own.ensure_connection()
            connections["default"] = own
            scope_of_run().discard("default")
            assert own.connection is not None
            own.close()

        await run(work)
        async with transaction.atomic():
            wrapper = connections["default"]
            # Of a block inside: the connection is the outer one's.
            async with transaction.atomic():
                scope_here().discard("default")
                assert wrapper.connection is not None


class TestNearestLease:
    async def test_is_none_outside(self) -> None:
        assert nearest_lease(None, "default") is None
        assert nearest_lease(ConnectionScope(None, block="empty()"), "default") is None

    async def test_of_another_alias_is_none(self) -> None:
        async with transaction.atomic():
            assert nearest_lease(scope_here(), "default") is not None
            assert nearest_lease(scope_here(), "other") is None

    async def test_a_block_that_has_ended_is_refused_in_its_tasks(self) -> None:
        go = asyncio.Event()

        async def child() -> None:
            await go.wait()
            nearest_lease(current_scope.get(), "default")

        async with connection.pinned():
            task = asyncio.create_task(child())
        go.set()
        with pytest.raises(ScopeClosedError, match=r"inherited pinned\(\) on database"):
            await task

    async def test_its_own_task_looks_further_outside(self) -> None:
        async with transaction.atomic():
            outer = scope_here()
            async with transaction.atomic():
                inner = scope_here()
            assert nearest_lease(inner, "default") is outer.leases["default"]

    async def test_another_loop_is_refused(self) -> None:
        async def elsewhere(scope: ConnectionScope) -> None:
            nearest_lease(scope, "default")

        async with transaction.atomic():
            with pytest.raises(ForeignLoopError, match=r"inherited atomic\(\)"):
                await asyncio.to_thread(asyncio.run, elsewhere(scope_here()))

    async def test_what_a_thread_uses_is_refused(self) -> None:
        async with transaction.atomic():
            scope = ConnectionScope(scope_here(), block="sync_to_async()")
            scope.is_lent = True
            await scope.acquire("default")
            try:
                with pytest.raises(InterfaceError, match="from a thread that is using"):
                    nearest_lease(scope, "default")
            finally:
                scope.close()

    async def test_what_has_been_taken_away_is_refused(self) -> None:
        async with transaction.atomic():
            middle = ConnectionScope(scope_here(), block="pinned()")
            await middle.acquire("default")
            inner = ConnectionScope(middle, block="pinned()")
            await inner.acquire("default")
            middle.close()
            with pytest.raises(ScopeClosedError, match="ended without waiting for it"):
                nearest_lease(inner, "default")
            inner.close()


class TestEndedScopes:
    async def test_are_left_out_of_new_ones(self, no_scope: None) -> None:
        ended = ConnectionScope(None, block="pinned()")
        ended.close()
        assert ConnectionScope(ended, block="pinned()").parent is None

    async def test_are_kept_while_they_have_to_refuse(self) -> None:
        async def make() -> ConnectionScope:
            scope = ConnectionScope(None, block="pinned()")
            scope.close()
            return scope

        # Of another task, which this one is to be told of.
        ended = await asyncio.create_task(make())
        assert ConnectionScope(ended, block="pinned()").parent is ended

    async def test_are_current_nowhere_else(self, no_scope: None) -> None:
        first = ConnectionScope(None, block="pinned()")
        first.enter()
        second = ConnectionScope(first, block="pinned()")
        first.close()
        assert current_scope.get() is None
        second.enter()
        first.close()
        assert current_scope.get() is second


class TestAbandon:
    async def test_closes_it_on_its_loop(self) -> None:
        scope = ConnectionScope(None, block="pinned()")
        lease = await scope.acquire("default")
        assert lease.wrapper in pool_for("default").in_use
        await asyncio.to_thread(scope.abandon)
        while not scope.closed:
            await asyncio.sleep(0)
        assert not pool_for("default").in_use
        # Its session may be in any state.
        assert lease.wrapper.connection is None

    async def test_costs_the_block_around(self) -> None:
        with pytest.raises(TransactionManagementError, match="have been rolled back"):
            async with transaction.atomic():
                scope = ConnectionScope(scope_here(), block="pinned()")
                await scope.acquire("default")
                scope.abandon()
                while not scope.closed:
                    await asyncio.sleep(0)
                assert connection.needs_rollback

    async def test_after_the_block_around_costs_nothing(self) -> None:
        async with transaction.atomic():
            middle = ConnectionScope(scope_here(), block="pinned()")
            await middle.acquire("default")
            scope = ConnectionScope(middle, block="pinned()")
            await scope.acquire("default")
            middle.close()
            scope.abandon()
            while not scope.closed:
                await asyncio.sleep(0)
            assert not connection.needs_rollback

    def test_of_a_loop_that_has_ended_does_nothing(self) -> None:
        async def make() -> ConnectionScope:
            return ConnectionScope(None, block="pinned()")

        scope = asyncio.run(make())
        scope.abandon()
        assert not scope.closed


async def test_a_block_that_is_left_for_the_garbage_collector() -> None:
    exit_of_generator = (GeneratorExit, GeneratorExit(), None)
    async with transaction.atomic():
        assert not is_lost(scope_here(), exit_of_generator)
        assert is_lost(None, exit_of_generator)
        assert not is_lost(None, (ValueError, ValueError(), None))
