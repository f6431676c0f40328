"""What is set on `connection` where nothing is held applies to its task."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, call-overload, misc"

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import InterfaceError, connections
from django.db.transaction import TransactionManagementError
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from tests.fix_db import default_database
from tests.records.models import Artist
from vinyl.orm import connection, run, transaction
from vinyl.orm.pools.registry import pool_for
from vinyl.orm.scopes.placeholder import has_placeholder, placeholder_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


class TestNeverConnects:
    async def test_in_the_bridge_either(
        self,
    ) -> None:
        taken = connections["default"]
        with pytest.raises(InterfaceError, match=r"Get `connections\['default'\]`"):
            await run(taken.cursor)

    async def test_to_turn_autocommit_off(self) -> None:
        with pytest.raises(TransactionManagementError, match=r"connection\.pinned\("):
            transaction.set_autocommit(False)


async def make_two() -> None:
    await Artist.objects.create(name="Nina")
    async with transaction.atomic():
        await Artist.objects.create(name="Abbey")


class TestQueryLog:
    async def test_captures_what_the_task_runs(self) -> None:
        with CaptureQueriesContext(connection) as captured:
            await make_two()
        inserts = [q for q in captured.captured_queries if "INSERT" in q["sql"]]
        assert len(inserts) == 2

    async def test_captures_what_its_child_tasks_run(self) -> None:
        with CaptureQueriesContext(connection) as captured:
            await asyncio.gather(*(Artist.objects.count() for _ in range(3)))
        assert len(captured) == 3

    async def test_does_not_capture_what_other_tasks_run(self) -> None:
        go = asyncio.Event()

        async def other() -> None:
            await go.wait()
            await Artist.objects.count()

        task = asyncio.create_task(other())
        with CaptureQueriesContext(connection) as captured:
            go.set()
            await task
        assert len(captured) == 0

    async def test_inside_a_transaction(self) -> None:
        async with transaction.atomic():
            with CaptureQueriesContext(connection) as captured:
                await Artist.objects.count()
        assert len(captured) == 1

    async def test_queries_of_a_block_are_there_after_its_end(self) -> None:
        async with transaction.atomic():
            connection.force_debug_cursor = True
            await Artist.objects.count()
        assert sum("COUNT" in query["sql"] for query in connection.queries) == 1
        await Artist.objects.count()
        assert sum("COUNT" in query["sql"] for query in connection.queries) == 1
        [pooled] = pool_for("default").idle
        assert not pooled.wrapper.queries_log
        assert not pooled.wrapper.force_debug_cursor

    async def test_queries_of_two_blocks_are_there_in_their_order(self) -> None:
        for name in ("first", "second"):
            async with transaction.atomic():
                with CaptureQueriesContext(connection):
                    await Artist.objects.filter(name=name).exists()
        found = [
            query["sql"] for query in connection.queries if "SELECT" in query["sql"]
        ]
        assert ["first" in sql for sql in found] == [True, False]

    async def test_a_block_that_nothing_observes_makes_no_placeholder(self) -> None:
        async def block() -> bool:
            async with transaction.atomic():
                await Artist.objects.count()
            return has_placeholder("default")

        assert await asyncio.create_task(block()) is False

    async def test_in_debug_mode_queries_are_there_afterwards(
        self, settings_debug: None
    ) -> None:
        await Artist.objects.count()
        await Artist.objects.count()
        assert len(connection.queries) == 2

    async def test_the_next_borrower_finds_nothing_of_it(self) -> None:
        with CaptureQueriesContext(connection):
            await Artist.objects.count()
        [pooled] = pool_for("default").idle
        assert not pooled.wrapper.queries
        assert not pooled.wrapper.force_debug_cursor


@pytest.fixture
def settings_debug() -> Iterator[None]:
    with override_settings(DEBUG=True):
        yield


class TestExecuteWrapper:
    async def test_wraps_what_the_task_runs(self) -> None:
        seen = []

        def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            seen.append(sql)
            return execute(sql, params, many, context)

        with connection.execute_wrapper(note):
            await make_two()
            await asyncio.gather(Artist.objects.count())
        await Artist.objects.count()
        assert sum("INSERT" in sql for sql in seen) == 2
        assert sum("COUNT" in sql for sql in seen) == 1

    async def test_refuses_for_its_task_alone(self) -> None:
        def refuse(*args: Any) -> Any:
            raise LookupError("no queries here")

        go = asyncio.Event()

        async def other() -> int:
            await go.wait()
            return await Artist.objects.count()

        task = asyncio.create_task(other())
        with connection.execute_wrapper(refuse):
            with pytest.raises(LookupError, match="no queries here"):
                await Artist.objects.count()
            go.set()
            assert await task == 0
        assert await Artist.objects.count() == 0

    async def test_that_a_block_has_left_behind_stays_with_its_task(self) -> None:
        seen: list[str] = []

        def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            seen.append(sql)
            return execute(sql, params, many, context)

        async def block() -> None:
            async with transaction.atomic():
                connection.execute_wrappers.append(note)
            await Artist.objects.count()

        await asyncio.create_task(block())
        assert sum("COUNT" in sql for sql in seen) == 1
        await Artist.objects.count()
        async with transaction.atomic():
            await Artist.objects.count()
        assert sum("COUNT" in sql for sql in seen) == 1


def test_an_engine_that_blocks_has_none() -> None:
    blocking = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    with default_database(blocking):
        assert placeholder_for("default") is None
        assert not has_placeholder("default")


def test_a_thread_gets_none_from_the_async_code_that_it_waits_for() -> None:
    async def work() -> bool:
        with CaptureQueriesContext(connection):
            await Artist.objects.count()
        return has_placeholder("default")

    assert async_to_sync(work)()
    assert not has_placeholder("default")
