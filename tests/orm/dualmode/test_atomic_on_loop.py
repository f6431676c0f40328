"""Blocks that begin and commit on the event loop itself do what Django's do."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload, misc"

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connections
from django.db.models.signals import post_save
from django.db.transaction import TransactionManagementError
from psycopg.pq import PipelineStatus, TransactionStatus

from tests.cancelling import cancel_after
from tests.fix_db import only_postgresql
from tests.records.models import Artist, Biography
from vinyl.bridge.greenlets import in_bridge
from vinyl.orm import connection, run, transaction
from vinyl.orm.backends import psycopg_statements
from vinyl.orm.backends.psycopg import PsycopgMixin
from vinyl.orm.dualmode import atomic_on_loop
from vinyl.orm.pools.registry import pool_for
from vinyl.orm.scopes.lease import Lease
from vinyl.orm.scopes.lock import ConnectionLock

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("db", "nothing_known"),
    only_postgresql,
]


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What blocks do on the event loop itself."""
    found: list[str] = []
    begin, commit = PsycopgMixin.begin_nowait, PsycopgMixin.commit_on_loop

    def begins(self: Any, **given: bool) -> bool:
        assert not in_bridge()
        found.append("BEGIN" if begin(self, **given) else "nothing")
        return found[-1] == "BEGIN"

    async def commits(self: Any, shield: Any) -> None:
        assert not in_bridge()
        found.append("COMMIT")
        await commit(self, shield)

    monkeypatch.setattr(PsycopgMixin, "begin_nowait", begins)
    monkeypatch.setattr(PsycopgMixin, "commit_on_loop", commits)
    return found


async def warm() -> None:
    """A session that has a connection, and plans for what the tests write."""
    for number in range(4):
        await Artist.objects.create(name=f"warm {number}")
        await exists(f"{number}")


async def exists(name: str) -> bool:
    return await Artist.objects.filter(name=name).exists()


def status() -> int:
    return connections["default"].connection.pgconn.transaction_status


class TestABlock:
    async def test_commits(self, ends: list[str]) -> None:
        await warm()
        async with transaction.atomic():
            assert connections["default"].in_atomic_block
            assert not connections["default"].autocommit
            await Artist.objects.create(name="Nina")
            assert status() == TransactionStatus.INTRANS
            wrapper = connections["default"]
        assert ends == ["BEGIN", "COMMIT"]
        assert not wrapper.in_atomic_block
        assert wrapper.autocommit
        assert wrapper.connection.autocommit
        assert wrapper.atomic_blocks == []
        assert not pool_for("default").in_use
        assert await exists("Nina")

    async def test_without_a_statement_sends_nothing(self, ends: list[str]) -> None:
        await warm()
        async with transaction.atomic():
            assert status() == TransactionStatus.IDLE
        assert ends == ["BEGIN", "COMMIT"]

    @pytest.mark.parametrize("has_pipelines", [True, False])
    async def test_begins_with_its_first_statement(
        self, monkeypatch: pytest.MonkeyPatch, has_pipelines: bool
    ) -> None:
        monkeypatch.setattr(psycopg_statements, "CAN_PIPELINE", has_pipelines)
        await warm()
        for _ in range(8):
            async with transaction.atomic():
                assert not await exists("Nina")
                pgconn = connections["default"].connection.pgconn
                assert pgconn.pipeline_status == PipelineStatus.OFF
                assert status() == TransactionStatus.INTRANS
                await Artist.objects.create(name="Nina")
                transaction.set_rollback(True)
        async with transaction.atomic():
            await Artist.objects.create(name="Nina")
        assert await exists("Nina")

    async def test_that_fails_is_rolled_back(self, ends: list[str]) -> None:
        await warm()
        for first in (True, False):
            with pytest.raises(IntegrityError):
                async with transaction.atomic():
                    if not first:
                        await Artist.objects.create(name="Nina")
                    await Artist.objects.create(name="warm 1")
            assert not await exists("Nina")
        assert ends == ["BEGIN", "BEGIN"]
        assert not pool_for("default").in_use

    async def test_inside_another_is_a_savepoint(self, ends: list[str]) -> None:
        await warm()
        async with transaction.atomic():
            await Artist.objects.create(name="Nina")
            with pytest.raises(IntegrityError):
                async with transaction.atomic():
                    await Artist.objects.create(name="Odetta")
                    await Artist.objects.create(name="Nina")
        assert ends == ["BEGIN", "COMMIT"]
        assert await exists("Nina")
        assert not await exists("Odetta")

    async def test_that_is_durable_may_not_be_inside(self) -> None:
        await warm()
        async with transaction.atomic(durable=True):
            with pytest.raises(RuntimeError, match="durable"):
                async with transaction.atomic(durable=True):
                    pass

    async def test_whose_hooks_run_after_the_commit(self) -> None:
        await warm()
        seen: list[Any] = []

        async def hook() -> None:
            seen.append(await exists("Nina"))

        async with transaction.atomic():
            await Artist.objects.create(name="Nina")
            transaction.on_commit(hook)
            assert not seen
        assert seen == [True]

    async def test_logs_begin_and_commit(self, ends: list[str]) -> None:
        await warm()
        connection.force_debug_cursor = True
        try:
            async with transaction.atomic():
                await Artist.objects.create(name="Nina")
                logged = connections["default"].queries_log
            assert [query["sql"].split()[0] for query in logged] == [
                "BEGIN",
                "INSERT",
                "COMMIT",
            ]
        finally:
            connection.force_debug_cursor = False
        assert not ends

    async def test_in_a_pinned_connection(self, ends: list[str]) -> None:
        await warm()
        async with connection.pinned():
            async with transaction.atomic():
                await Artist.objects.create(name="Nina")
            assert await exists("Nina")
            assert connections["default"].autocommit

    async def test_whose_siblings_take_turns(self, ends: list[str]) -> None:
        await warm()
        async with transaction.atomic():
            await asyncio.gather(
                *[Artist.objects.create(name=f"{number}") for number in range(5)]
            )
        assert await Artist.objects.filter(name__lt="9").count() == 5


class TestACommitThatFails:
    async def test_raises_its_error_and_rolls_back(self, ends: list[str]) -> None:
        await warm()
        with pytest.raises(IntegrityError):
            async with transaction.atomic():
                # The foreign key is checked at the end.
                await Biography.objects.create(artist_id=10**6, text="")
                await Artist.objects.create(name="Nina")
        assert ends[-2:] == ["BEGIN", "COMMIT"]
        assert not await exists("Nina")
        assert not pool_for("default").in_use
        async with transaction.atomic():
            await Artist.objects.create(name="Nina")

    async def test_has_no_effect_on_the_next_one_if_its_task_is_cancelled(self) -> None:
        await warm()
        refused: list[str] = []

        def interrupt() -> None:
            # Gets the connection after the COMMIT, before the block ends.
            try:
                Artist.objects.create(name="Odetta")
            except TransactionManagementError as error:
                refused.append(str(error))
            failing.cancel()

        async def block() -> None:
            async with transaction.atomic():
                await Biography.objects.create(artist_id=10**6, text="")
                siblings.append(asyncio.create_task(run(interrupt)))

        siblings: list[asyncio.Task[None]] = []
        failing = asyncio.create_task(block())
        with pytest.raises(asyncio.CancelledError):
            await failing
        await siblings[0]
        assert len(refused) == 1
        assert not pool_for("default").in_use

        def write() -> None:
            with transaction.atomic():
                Artist.objects.create(name="Nina")

        await run(write)
        assert await exists("Nina")
        assert not await exists("Odetta")

    async def test_because_the_session_has_ended(self, ends: list[str]) -> None:
        await warm()
        with pytest.raises(OperationalError):
            async with transaction.atomic():
                await Artist.objects.create(name="Nina")
                pgconn = connections["default"].connection.pgconn
                pid = pgconn.backend_pid

                def end(pid: int = pid) -> None:
                    other = connections["default"].copy()
                    with other.cursor() as cursor:
                        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
                    other.close()

                await asyncio.create_task(run_outside(end))
        assert not await exists("Nina")
        assert not pool_for("default").in_use


async def run_outside(fn: Any) -> None:
    await asyncio.to_thread(fn)


async def test_a_cancelled_block_is_committed_or_rolled_back_as_a_whole() -> None:
    await warm()
    pool = pool_for("default")
    for turn in range(60):

        async def block(turn: int = turn) -> None:
            async with transaction.atomic():
                await Artist.objects.create(name=f"a {turn}")
                await Artist.objects.create(name=f"b {turn}")

        await cancel_after(turn % 20, block())
        assert not pool.in_use
        assert await exists(f"a {turn}") == await exists(f"b {turn}")


async def test_a_commit_counts_although_its_task_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await warm()
    commit = PsycopgMixin.commit_on_loop
    cancelled: list[bool] = []

    async def commits(self: Any, shield: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel)
        await commit(self, shield)
        cancelled.append(shield.postponed is not None)

    monkeypatch.setattr(PsycopgMixin, "commit_on_loop", commits)

    async def block() -> None:
        async with transaction.atomic():
            await Artist.objects.create(name="Nina")

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(block())
    monkeypatch.undo()
    # Interrupted before the server had committed, or committed all the same.
    assert await exists("Nina") == bool(cancelled)
    assert not pool_for("default").in_use


async def test_a_subclass_of_atomic_uses_its_own_methods() -> None:
    class Own(transaction.Atomic):
        entered = 0

        def __enter__(self) -> None:
            type(self).entered += 1
            super().__enter__()

    block = Own("default", True, False)
    lease = Lease(connections["default"], None, ConnectionLock(locked=False))
    assert not atomic_on_loop.begin(block, lease)


async def test_receivers_run_in_the_block(ends: list[str]) -> None:
    await warm()
    seen: list[bool] = []

    def receive(**kwargs: Any) -> None:
        seen.append(connections["default"].in_atomic_block)

    post_save.connect(receive, sender=Artist)
    try:
        async with transaction.atomic():
            await Artist.objects.create(name="Nina")
            await run(Artist.objects.create, name="Odetta")
    finally:
        post_save.disconnect(receive, sender=Artist)
    assert seen == [True, True]
    assert ends == ["BEGIN", "COMMIT"]
