"""A thread that a task waits for takes part in the task's transaction."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    close_old_connections,
    connections,
)

from tests.fix_db import only_postgresql, only_sqlite
from tests.records.models import Artist
from vinyl.bridge.threads import in_thread
from vinyl.exceptions import ForeignLoopError, ScopeClosedError
from vinyl.orm import await_, connection, run, transaction
from vinyl.orm.backends.threaded import ThreadedConnection

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("thread")]


def names() -> list[str]:
    return list(Artist.objects.values_list("name", flat=True))


def add(*names: str) -> None:
    for name in names:
        Artist.objects.create(name=name)


class Undo(Exception):
    """Rolls a block back."""


class TestInATransaction:
    async def test_sees_it_and_is_rolled_back_with_it(self) -> None:
        def work() -> list[str]:
            add("thread")
            return names()

        with pytest.raises(Undo):
            async with transaction.atomic():
                await run(add, "loop")
                assert await sync_to_async(work)() == ["loop", "thread"]
                assert await run(names) == ["loop", "thread"]
                raise Undo
        assert await run(names) == []

    async def test_waits_for_none_of_its_locks(self) -> None:
        async with transaction.atomic():
            artist = await Artist.objects.create(name="Nina")
            artist.name = "Nina Simone"
            await sync_to_async(artist.save)()
        assert await run(names) == ["Nina Simone"]

    async def test_its_atomic_is_a_savepoint(self) -> None:
        def work() -> None:
            with transaction.atomic():
                add("kept")
            with pytest.raises(Undo), transaction.atomic():
                add("undone")
                raise Undo

        async with transaction.atomic():
            await sync_to_async(work)()
        assert await run(names) == ["kept"]

    async def test_an_error_arrives_and_the_block_goes_on(self) -> None:
        @transaction.atomic
        def twice() -> None:
            add("Nina", "Nina")

        async with transaction.atomic():
            await run(add, "before")
            with pytest.raises(IntegrityError):
                await sync_to_async(twice)()
            await run(add, "after")
        assert await run(names) == ["after", "before"]

    async def test_set_rollback(self) -> None:
        async with transaction.atomic():
            await run(add, "loop")
            await sync_to_async(transaction.set_rollback)(True)
        assert await run(names) == []

    async def test_hooks_run_once_after_the_outer_commit(self) -> None:
        seen: list[tuple[str, list[str]]] = []

        def hook(name: str) -> Callable[[], None]:
            return lambda: seen.append((name, names()))

        def work() -> None:
            with transaction.atomic():
                add("thread")
                transaction.on_commit(hook("kept"))
            with pytest.raises(Undo), transaction.atomic():
                transaction.on_commit(hook("undone"))
                raise Undo
            assert not seen

        async with transaction.atomic():
            transaction.on_commit(hook("loop"))
            await sync_to_async(work)()
            assert not seen
        assert seen == [("loop", ["thread"]), ("kept", ["thread"])]

    async def test_an_async_hook_of_a_thread_is_awaited(self) -> None:
        seen: list[int] = []

        async def hook() -> None:
            seen.append(await Artist.objects.count())

        def work() -> None:
            add("thread")
            transaction.on_commit(hook)

        async with transaction.atomic():
            await sync_to_async(work)()
        assert seen == [1]

    async def test_closing_old_connections_leaves_it_open(self) -> None:
        async with transaction.atomic():
            await run(add, "loop")
            await sync_to_async(close_old_connections)()
            await run(close_old_connections)
            await sync_to_async(add)("thread")
        assert await run(names) == ["loop", "thread"]

    async def test_closing_all_ends_it_as_in_django(self) -> None:
        def work() -> None:
            connections.close_all()
            with pytest.raises(DatabaseError):
                names()

        async with transaction.atomic():
            await run(add, "loop")
            await sync_to_async(work)()
            with pytest.raises(DatabaseError):
                await Artist.objects.count()
        assert await run(names) == []

    async def test_the_thread_has_its_own_connection_before_and_after(self) -> None:
        def wrapper() -> Any:
            names()
            return connections["default"]

        def fail() -> None:
            raise Undo

        own = await sync_to_async(wrapper)()
        async with transaction.atomic():
            lent = await sync_to_async(wrapper)()
            assert lent is connections["default"] is not own
            with pytest.raises(Undo):
                await sync_to_async(fail)()
        assert await sync_to_async(wrapper)() is own
        assert lent.loan is None

    async def test_where_the_thread_had_none_it_has_none(self) -> None:
        async with transaction.atomic():
            await sync_to_async(names)()
        there = await sync_to_async(connections.all)(initialized_only=True)
        assert there == []


class TestOtherBlocks:
    async def make_table(self) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute("CREATE TEMPORARY TABLE mine (x integer)")

    def look(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO mine VALUES (1)")
            cursor.execute("SELECT count(*) FROM mine")
            assert cursor.fetchone() == (1,)

    async def test_a_pinned_connection(self) -> None:
        async with connection.pinned():
            await self.make_table()
            await sync_to_async(self.look)()

    async def test_close_old_connections_leaves_a_session_alone(self) -> None:
        async with connection.pinned():
            await self.make_table()
            await sync_to_async(close_old_connections)()
            await run(close_old_connections)
            await sync_to_async(self.look)()

    async def test_a_cursor(self) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute("CREATE TEMPORARY TABLE mine (x integer)")
            await sync_to_async(self.look)()
            await cursor.execute("DROP TABLE mine")

    async def test_of_two_databases(self, replica: None) -> None:
        def work() -> list[int]:
            Artist.objects.create(name="thread")
            Artist.objects.using("replica").create(name="thread")
            return [Artist.objects.using(a).count() for a in ("default", "replica")]

        with pytest.raises(Undo):
            async with transaction.atomic(), transaction.atomic("replica"):
                assert await sync_to_async(work)() == [2, 2]
                raise Undo
        assert await run(names) == ["default"]
        assert await Artist.objects.using("replica").count() == 1

    async def test_the_connection_of_a_run(self) -> None:
        def work() -> None:
            with transaction.atomic():
                add("run")
                assert await_(sync_to_async(names)()) == ["run"]
                await_(sync_to_async(add)("thread"))
                assert names() == ["run", "thread"]
                transaction.set_rollback(True)

        await run(work)
        assert await run(names) == []

    async def test_a_transaction_of_the_thread_is_committed_in_it(self) -> None:
        seen: list[tuple[list[str], int]] = []

        def work() -> None:
            with transaction.atomic():
                add("thread")
                transaction.on_commit(
                    lambda: seen.append((names(), threading.get_ident()))
                )
            [(_, thread)] = seen
            assert thread == threading.get_ident()

        async with connection.pinned():
            await sync_to_async(work)()
            assert await run(names) == ["thread"]
        assert seen[0][0] == ["thread"]


class TestCrossings:
    async def test_to_a_thread_to_the_loop_and_to_the_thread_again(self) -> None:
        def innermost() -> list[str]:
            with transaction.atomic():
                add("innermost")
            return names()

        async def inner() -> list[str]:
            async with transaction.atomic():
                await Artist.objects.create(name="inner")
                return await sync_to_async(innermost)()

        def outer() -> list[str]:
            with transaction.atomic():
                add("outer")
                return async_to_sync(inner)()

        expected = ["innermost", "inner", "loop", "outer"]
        async with transaction.atomic():
            await run(add, "loop")
            assert await sync_to_async(outer)() == sorted(expected)
            transaction.set_rollback(True)
        assert await run(names) == []

    async def test_from_the_bridge_through_async_to_sync(self) -> None:
        async def inner() -> list[str]:
            await sync_to_async(add)("thread")
            return await sync_to_async(names)()

        def outer() -> list[str]:
            with transaction.atomic():
                add("run")
                seen = async_to_sync(inner)()
                transaction.set_rollback(True)
                return seen

        assert await run(outer) == ["run", "thread"]
        assert await run(names) == []

    async def test_a_pinned_connection_is_lent_all_the_way(self) -> None:
        async def session() -> Any:
            return await run(lambda: connections["default"])

        def outer() -> Any:
            return async_to_sync(session)()

        async with connection.pinned():
            assert await sync_to_async(outer)() is connections["default"]

    async def test_in_a_loop_of_its_own(self) -> None:
        async def inner() -> None:
            await Artist.objects.create(name="other loop")
            assert await sync_to_async(names)() == ["loop", "other loop"]

        async with transaction.atomic():
            await run(add, "loop")
            await sync_to_async(async_to_sync(inner, force_new_loop=True))()
            transaction.set_rollback(True)
        assert await run(names) == []


class TestTurns:
    async def test_siblings_wait_for_the_thread(
        self, gates: Callable[..., Any]
    ) -> None:
        gate = gates()

        def work() -> list[str]:
            gate.wait()
            add("thread")
            return names()

        async with transaction.atomic():
            calling = asyncio.create_task(sync_to_async(work)())
            await asyncio.to_thread(gate.reached.wait, 30)
            sibling = asyncio.create_task(Artist.objects.create(name="sibling"))
            await asyncio.sleep(0)
            gate.open()
            assert await calling == ["thread"]
            await sibling

    async def test_the_thread_waits_for_a_nested_block(self) -> None:
        entered = asyncio.Event()
        leave = asyncio.Event()

        async def nested() -> None:
            async with transaction.atomic():
                await Artist.objects.create(name="nested")
                entered.set()
                await leave.wait()
                transaction.set_rollback(True)

        async with transaction.atomic():
            inside = asyncio.create_task(nested())
            await entered.wait()
            calling = asyncio.create_task(sync_to_async(names)())
            await asyncio.sleep(0)
            leave.set()
            await inside
            assert await calling == []

    async def test_blocks_that_need_the_thread_while_others_wait_for_it(self) -> None:
        """The task that has the lock gets the thread: none waits in it for a lock."""

        async def nested(number: int) -> None:
            async with transaction.atomic():
                await sync_to_async(add)(f"{number} thread")
                await Artist.objects.create(name=f"{number} loop")
                await sync_to_async(names)()

        async with transaction.atomic(), asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(nested(number))
                group.create_task(sync_to_async(add)(f"{number} plain"))
        assert len(await run(names)) == 15

    async def test_the_block_ends_after_the_thread(
        self, gates: Callable[..., Any]
    ) -> None:
        gate = gates()

        def work() -> None:
            gate.wait()
            add("thread")

        async with transaction.atomic():
            calling = asyncio.create_task(sync_to_async(work)())
            await asyncio.to_thread(gate.reached.wait, 30)
            asyncio.get_running_loop().call_soon(gate.open)
        await calling
        assert await run(names) == ["thread"]


class TestNotLent:
    async def test_outside_a_block(self) -> None:
        def wrapper() -> Any:
            names()
            return connections["default"]

        own = await sync_to_async(wrapper)()
        assert own.loan is None
        assert await sync_to_async(wrapper)() is own

    async def test_a_call_for_any_thread(self) -> None:
        async with transaction.atomic():
            await run(add, "loop")
            assert await sync_to_async(own_names, thread_sensitive=False)() == []
            assert await asyncio.to_thread(own_names) == []
            assert await in_thread(names)() == []

    async def test_a_task_that_outlives_the_block(self) -> None:
        left = asyncio.Event()

        async def count() -> int:
            return await Artist.objects.count()

        async def late() -> int:
            await left.wait()
            assert await sync_to_async(len)("four") == 4
            with pytest.raises(ScopeClosedError):
                await sync_to_async(names)()
            with pytest.raises(ScopeClosedError):
                await sync_to_async(async_to_sync(count))()
            return 1

        async with transaction.atomic():
            task = asyncio.create_task(late())
        left.set()
        assert await task == 1

    async def test_the_block_of_another_loop(self) -> None:
        async def other() -> None:
            with pytest.raises(ForeignLoopError):
                await sync_to_async(names)()

        async with transaction.atomic():
            await asyncio.to_thread(asyncio.run, other())

    async def test_a_task_that_the_thread_starts_on_the_loop(self) -> None:
        loop = asyncio.get_running_loop()

        async def count() -> int:
            return await Artist.objects.count()

        def work() -> None:
            with pytest.raises(InterfaceError, match="async_to_sync"):
                asyncio.run_coroutine_threadsafe(count(), loop).result(30)

        async with transaction.atomic():
            await sync_to_async(work)()

    @only_postgresql
    async def test_inside_a_copy(self) -> None:
        async with connection.cursor() as cursor:
            copy = "COPY records_artist (name) FROM STDIN"
            async with cursor.copy(copy) as copying:
                assert await sync_to_async(len)("four") == 4
                with pytest.raises(InterfaceError, match="copy"):
                    await sync_to_async(names)()
                await copying.write_row(["Nina"])
        assert await run(names) == ["Nina"]


def own_names() -> list[str]:
    try:
        return names()
    finally:
        connections.close_all()


@only_sqlite
class TestSQLite:
    async def test_a_write_waits_for_the_lock(self) -> None:
        name = connections.settings["default"]["NAME"]
        async with connection.pinned():
            other = sqlite3.connect(name, isolation_level=None, check_same_thread=False)
            other.execute("BEGIN IMMEDIATE")
            # Longer than SQLite waits at a time.
            timer = threading.Timer(0.5, other.execute, ["ROLLBACK"])
            timer.start()
            started = time.monotonic()
            await sync_to_async(add)("Nina")
            assert time.monotonic() - started > 0.4
            timer.join()
            other.close()

    async def test_a_connection_that_the_thread_opens_anew(self) -> None:
        async with connection.pinned():
            await sync_to_async(connections.close_all)()
            await sync_to_async(names)()
            wrapper: Any = connections["default"]
            # One that opens in the thread as it does on the loop, and blocks neither.
            assert isinstance(wrapper.connection, ThreadedConnection)
            await Artist.objects.create(name="Nina")
