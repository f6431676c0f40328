"""Cancellation at the end of a block: hooks, waiting tasks and the connection."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="assignment, attr-defined, func-returns-value, misc"

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import OperationalError, connections

from tests.cancelling import cancel_at
from tests.fix_db import only_postgresql, only_sqlite
from tests.orm.scopes.blocks import names
from tests.records.models import Artist
from vinyl.orm import await_, connection, run, transaction
from vinyl.orm.pools.registry import pool_for
from vinyl.orm.scopes.lock import ConnectionLock
from vinyl.orm.scopes.scope import current_scope

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


class TestABlockWaitsForItsTasks:
    async def test_cursor(self) -> None:
        """Cancelled while a task of its own is in the middle of a run."""
        inside, go = asyncio.Event(), asyncio.Event()
        tasks: list[asyncio.Task[None]] = []
        locks: list[ConnectionLock] = []

        def report() -> None:
            Artist.objects.count()
            inside.set()
            await_(go.wait())
            Artist.objects.create(name="by the report")

        async def hold() -> None:
            async with connection.cursor():
                scope = current_scope.get()
                assert scope is not None
                locks.append(scope.leases["default"].lock)
                tasks.append(asyncio.create_task(run(report)))
                await inside.wait()

        holder = asyncio.create_task(hold())
        await inside.wait()
        # It leaves its block, and waits for the lock that the report has.
        while not locks[0].waiters:
            await asyncio.sleep(0)
        holder.cancel()
        await asyncio.sleep(0)
        assert not holder.done()
        go.set()
        await asyncio.gather(*tasks)
        await asyncio.gather(holder, return_exceptions=True)
        assert await names() == ["by the report"]
        assert pool_for("default").in_use == {}

    @only_postgresql
    async def test_pinned(self) -> None:
        """The task inside keeps the session to the end of its run."""
        inside, go = asyncio.Event(), asyncio.Event()

        def pid() -> int:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                return cursor.fetchone()[0]

        def child() -> tuple[int, int]:
            first = pid()
            inside.set()
            await_(go.wait())
            return first, pid()

        async with connection.pinned():
            task = asyncio.create_task(run(child))
            await inside.wait()
            asyncio.get_running_loop().call_later(0.05, go.set)
        first, second = await task
        assert first == second


class TestHooks:
    async def test_run_in_full_when_a_cancelled_commit_counts(self) -> None:
        """The cancellation is raised when all of them have run."""
        counted = 0
        for step in range(1, 60):
            ran: list[str] = []

            async def first(ran: list[str] = ran) -> None:
                await Artist.objects.count()
                ran.append("first")

            async def work(step: int = step, ran: list[str] = ran) -> None:
                async with transaction.atomic():
                    await Artist.objects.create(name=f"{step}")
                    transaction.on_commit(lambda: ran.append("zeroth"))
                    transaction.on_commit(first)
                    transaction.on_commit(lambda: ran.append("last"))

            _, reached = await cancel_at(step, work(), late=True)
            found = await Artist.objects.filter(name=f"{step}").count()
            # Also where it is the wait in the hook itself that is cancelled.
            assert bool(found) == ("zeroth" in ran)
            counted += found and ran == ["zeroth", "first", "last"]
            if not reached:
                break
        assert counted > 1


async def test_a_cancelled_commit_raises_once_in_sync_code() -> None:
    """What sync code does about it is not interrupted by the same cancellation."""
    compensated = 0
    for step in range(1, 60):

        def work() -> None:
            nonlocal compensated
            try:
                with transaction.atomic():
                    Artist.objects.create(name="x")
            except asyncio.CancelledError:
                Artist.objects.filter(name="x").delete()
                compensated += 1
                raise

        before = compensated
        outcome, reached = await cancel_at(step, run(work), late=False)
        if not reached:
            break
        assert isinstance(outcome, asyncio.CancelledError)
        assert compensated == before or await names() == []
        await Artist.objects.all().delete()
    assert compensated


@only_postgresql
async def test_a_refill_does_not_outgrow_the_pool(
    db: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connecting is slow, connections are lost, and everybody is served."""
    connect = psycopg.AsyncConnection.connect

    async def slowly(*args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0.02)
        return await connect(*args, **kwargs)

    monkeypatch.setattr(psycopg.AsyncConnection, "connect", slowly)
    connections.settings["default"]["OPTIONS"]["pool"] = {
        "min_size": 4,
        "max_size": 4,
        "max_idle": 0.05,
    }
    largest = 0

    async def hold() -> None:
        nonlocal largest
        async with connection.pinned():
            largest = max(largest, pool_for("default").stats()["size"])
            await asyncio.sleep(0.05)

    async with asyncio.timeout(20):
        await asyncio.gather(*(hold() for _ in range(24)))
    assert largest == 4
    stats = pool_for("default").stats()
    assert (stats["in_use"] <= 4, stats["waiting"]) == (True, 0)
    pool_for("default").close()
    while pool_for("default").in_use:
        await asyncio.sleep(0.01)


class TestInMemory:
    @only_sqlite
    async def test_a_cancelled_transaction_does_not_lose_the_database(
        self, memory: None
    ) -> None:
        await run(call_command, "migrate", verbosity=0)
        await Artist.objects.create(name="kept")

        async def block() -> None:
            async with transaction.atomic():
                await Artist.objects.create(name="x")

        for late in (False, True):
            for step in range(1, 60):
                _, reached = await cancel_at(step, block(), late=late)
                assert "kept" in await names()
                await Artist.objects.filter(name="x").delete()
                if not reached:
                    break

    @only_sqlite
    async def test_an_error_does_not_lose_it(self, memory: None) -> None:
        await run(call_command, "migrate", verbosity=0)
        async with connection.cursor() as cursor:
            with pytest.raises(OperationalError):
                await cursor.execute("SELECT nothing")
        assert await names() == []


@only_sqlite
async def test_an_error_of_the_driver_itself_is_djangos_as_well() -> None:
    async with connection.cursor() as cursor:
        with pytest.raises(OperationalError, match="UTF-8"):
            await cursor.execute("SELECT CAST(x'ff' AS TEXT)")
