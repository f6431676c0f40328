"""Tasks whose reads travel together are cancelled, or lose the connection."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload, misc, var-annotated"
# mypy: disable-error-code="comparison-overlap, return-value"

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from django.db import (
    DatabaseError,
    InternalError,
    NotSupportedError,
    OperationalError,
    connections,
)
from django.db.transaction import TransactionManagementError

from tests.cancelling import cancel_at
from tests.fix_db import default_at, only_postgresql
from tests.fix_kills import Killer, kill
from tests.orm.plans.pipelining import (
    artist,
    fill,
    label,
    network,
    sizes,
    sound,
    taken,
    trips,
)
from tests.orm.scopes.blocks import lock_here, until
from tests.proxy import Proxy
from tests.records.models import Artist, Genre, Label
from vinyl.orm import connection, transaction
from vinyl.orm.backends import pipelines, psycopg_waiting
from vinyl.orm.backends.statements import Statement
from vinyl.orm.pools import pool
from vinyl.orm.pools.registry import close_pools

__all__ = ["network", "sizes"]

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("db", "nothing_known"),
    only_postgresql,
]

blocks = pytest.mark.parametrize("block", ["atomic", "pinned"])


def entered(block: str) -> Any:
    return transaction.atomic() if block == "atomic" else connection.pinned()


def tasks_of(*coroutines: Coroutine[Any, Any, Any]) -> list[asyncio.Task[Any]]:
    return [asyncio.create_task(coroutine) for coroutine in coroutines]


async def outcomes(tasks: list[asyncio.Task[Any]]) -> list[Any]:
    return await asyncio.gather(*tasks, return_exceptions=True)


class TestACancelledTask:
    @blocks
    @pytest.mark.parametrize("number", [0, 1, 2, 3])
    async def test_leaves_the_others_their_rows(
        self, killer: Killer, block: str, number: int, sizes: list[int]
    ) -> None:
        await fill()
        async with entered(block):
            await Artist.objects.create(name="kept")
            async with killer.locked("LOCK TABLE records_label"):
                tasks = tasks_of(*(label(n) for n in range(4)))
                await killer.waiting()
                tasks[number].cancel()
                with pytest.raises(asyncio.CancelledError):
                    await tasks[number]
            found = await outcomes(tasks)
            assert isinstance(found.pop(number), asyncio.CancelledError)
            assert found == [f"{n}" for n in range(4) if n != number]
            assert await label(5) == "5"
        assert sizes == [4]
        assert await artist("kept") == "kept"
        await sound()

    async def test_after_the_others_have_their_rows_is_the_last(
        self, killer: Killer, sizes: list[int]
    ) -> None:
        """As a query that is cancelled by itself: the transaction is lost."""
        await fill()
        with pytest.raises(TransactionManagementError, match="was cancelled"):
            async with transaction.atomic():
                await Artist.objects.create(name="never")
                async with killer.locked("LOCK TABLE records_label"):
                    tasks = tasks_of(artist(1), artist(2), label(3))
                    assert await asyncio.gather(*tasks[:2]) == ["1", "2"]
                    tasks[2].cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await tasks[2]
                    assert not lock_here().locked
        assert sizes == [3]
        assert await Artist.objects.count() == 10
        await sound()

    @pytest.mark.parametrize("is_slow", [True, False])
    async def test_before_the_others_have_their_rows_may_end_after_them(
        self,
        killer: Killer,
        is_slow: bool,
        sizes: list[int],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        await fill()
        for _ in range(3):
            await Genre.objects.count()
        if is_slow:
            monkeypatch.setattr(pipelines, "ABANDONED_TIMEOUT", 0.05)

        async def work() -> None:
            async with transaction.atomic():
                await Artist.objects.create(name="new")
                async with killer.locked("LOCK TABLE records_label"):
                    async with killer.locked("LOCK TABLE records_genre"):
                        tasks = tasks_of(Genre.objects.count(), label(2))
                        await killer.waiting()
                        tasks[1].cancel()
                        with pytest.raises(asyncio.CancelledError):
                            await tasks[1]
                        assert not tasks[0].done()
                    assert await tasks[0] == 0
                    if is_slow:
                        await until(lambda: not lock_here().locked)
                if not is_slow:
                    assert await artist(3) == "3"

        if is_slow:
            with pytest.raises(TransactionManagementError, match="was cancelled"):
                await work()
        else:
            await work()
        assert sizes == [2]
        assert await Artist.objects.count() == (10 if is_slow else 11)
        await sound()

    async def test_whose_read_fails_loses_the_transaction(
        self, killer: Killer, sizes: list[int]
    ) -> None:
        """Although no other task gets its error."""
        await fill()
        with (
            default_at(OPTIONS={"options": "-c lock_timeout=100"}),
            pytest.raises(TransactionManagementError, match="was cancelled"),
        ):
            await close_pools()
            async with transaction.atomic():
                await Artist.objects.create(name="never")
                async with killer.locked("LOCK TABLE records_label"):
                    tasks = tasks_of(artist(1), label(2), artist(3))
                    await taken()
                    tasks[1].cancel()
                    found = await outcomes(tasks)
                    assert found[0] == "1"
                    assert isinstance(found[2], InternalError)
        await close_pools()
        assert sizes == [3]
        assert await Artist.objects.count() == 10

    async def test_in_its_turn_lets_the_others_go_on(self, sizes: list[int]) -> None:
        await fill()
        async with transaction.atomic():
            tasks = tasks_of(*(artist(n) for n in range(4)))
            await asyncio.sleep(0)
            tasks[0].cancel()
            found = await outcomes(tasks)
            assert isinstance(found[0], asyncio.CancelledError)
            assert found[1:] == ["1", "2", "3"]
            assert await Label.objects.count() == 10
        assert sizes == [3]
        await sound()

    async def test_that_is_collected_is_as_a_cancelled_one(
        self, sizes: list[int]
    ) -> None:
        await fill()
        async with transaction.atomic():
            coroutine = artist(1)
            tasks = tasks_of(artist(2), artist(3))
            await asyncio.sleep(0)
            coroutine.send(None)
            await until(lambda: sizes)
            coroutine.close()
            assert await asyncio.gather(*tasks) == ["2", "3"]
            assert await artist(4) == "4"
        assert sizes == [3]
        await sound()

    @pytest.mark.parametrize("late", [True, False])
    @blocks
    async def test_at_any_of_its_waits_harms_no_other(
        self, block: str, late: bool
    ) -> None:
        await fill()
        for position in range(3):
            for step in range(1, 12):
                async with entered(block):
                    await Artist.objects.count()
                    # All in the same way, so that they ask in the same turn.
                    found = await asyncio.gather(
                        *(
                            cancel_at(
                                step if n == position else 99, artist(n), late=late
                            )
                            for n in range(3)
                        )
                    )
                    outcome, reached = found.pop(position)
                    others = [f"{n}" for n in range(3) if n != position]
                    assert [other for other, _ in found] == others
                    assert outcome == f"{position}" or isinstance(
                        outcome, asyncio.CancelledError
                    )
                    assert await label(7) == "7"
                if not reached:
                    break
            else:
                pytest.fail("The last wait was not reached.")
        await sound()


class TestAllCancelled:
    @blocks
    async def test_are_cancelled_in_the_server(
        self, killer: Killer, block: str, sizes: list[int]
    ) -> None:
        await fill()
        with suppress(TransactionManagementError):
            async with entered(block):
                await Artist.objects.count()
                async with killer.locked("LOCK TABLE records_label"):
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(0.1):
                            await asyncio.gather(*(label(n) for n in range(4)))
                    await until(lambda: not lock_here().locked)
                    wrapper = connections["default"]
                    assert wrapper.needs_rollback == (block == "atomic")
                if block == "pinned":
                    assert await label(5) == "5"
        assert sizes == [4]
        await sound()

    async def test_one_by_one_lose_the_transaction(self, killer: Killer) -> None:
        await fill()
        with pytest.raises(TransactionManagementError, match="was cancelled"):
            async with transaction.atomic():
                await Artist.objects.create(name="never")
                async with killer.locked("LOCK TABLE records_label"):
                    tasks = tasks_of(*(label(n) for n in range(4)))
                    await killer.waiting()
                    for task in tasks:
                        task.cancel()
                        with pytest.raises(asyncio.CancelledError):
                            await task
                    # The last one has waited for the connection.
                    assert not lock_here().locked
        assert await Artist.objects.count() == 10
        await sound()

    async def test_before_they_are_sent_harm_nothing(self, sizes: list[int]) -> None:
        await fill()
        async with transaction.atomic():
            await Artist.objects.create(name="kept")
            tasks = tasks_of(*(label(n) for n in range(4)))
            await until(lambda: sizes)
            for task in tasks:
                task.cancel()
            assert {type(one) for one in await outcomes(tasks)} == {
                asyncio.CancelledError
            }
            assert await label(1) == "1"
        assert await Artist.objects.count() == 11
        await sound()

    async def test_with_a_read_that_failed_at_once(self, killer: Killer) -> None:
        """A task group cancels the others."""
        await fill()
        with (
            default_at(OPTIONS={"options": "-c lock_timeout=50"}),
            pytest.raises(ExceptionGroup) as caught,
        ):
            await close_pools()
            async with killer.locked("LOCK TABLE records_label"):
                async with transaction.atomic(), asyncio.TaskGroup() as group:
                    for n in range(4):
                        group.create_task(label(n))
        [error] = caught.value.exceptions[:1]
        assert isinstance(error, OperationalError)
        await close_pools()
        await sound()


async def free() -> None:
    """Wait until no task uses the connection of the block."""
    lock = lock_here()
    await until(lambda: not lock.locked)


async def test_random_cancellations_mix_nothing_up() -> None:
    await fill()
    randomly = random.Random(5)

    async def check(n: int) -> None:
        for _ in range(3):
            assert await artist(n) == f"{n}"
            assert await label(n) == f"{n}"

    for _ in range(60):
        with suppress(TransactionManagementError):
            async with entered(randomly.choice(["atomic", "pinned"])):
                tasks = tasks_of(*(check(n) for n in range(10)))
                for _ in range(randomly.randrange(12)):
                    await asyncio.sleep(randomly.choice([0, 0, 0.0003]))
                    randomly.choice(tasks).cancel()
                for one in await outcomes(tasks):
                    assert one is None or isinstance(
                        one, asyncio.CancelledError | TransactionManagementError
                    )
                await free()
                if not connections["default"].needs_rollback:
                    assert await artist(4) == "4"
        await sound()
    gc.collect()


class TestALostSession:
    @blocks
    async def test_fails_each_read_under_way(
        self, killer: Killer, block: str, sizes: list[int]
    ) -> None:
        await fill()
        with suppress(DatabaseError):
            async with entered(block):
                await Artist.objects.count()
                async with killer.killing(lock="LOCK TABLE records_label"):
                    tasks = tasks_of(artist(1), label(2), artist(3), label(4))
                    found = await outcomes(tasks)
                assert found[0] == "1"
                assert isinstance(found[1], OperationalError)
                assert "terminating" in str(found[1])
                assert all(isinstance(one, DatabaseError) for one in found[1:])
        assert sizes == [4]
        await sound()

    @blocks
    async def test_before_the_reads_fails_each(
        self, admin: psycopg.Connection, block: str
    ) -> None:
        await fill()
        with suppress(DatabaseError):
            async with entered(block):
                await Artist.objects.count()
                kill(admin, connections["default"].connection.info.backend_pid)
                found = await outcomes(tasks_of(*(artist(n) for n in range(4))))
                assert all(isinstance(one, DatabaseError) for one in found)
                assert isinstance(found[0], OperationalError)
        await sound()

    @blocks
    async def test_in_a_frozen_network_ends_with_the_timeout(
        self, network: Proxy, block: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(psycopg_waiting, "CANCEL_TIMEOUT", 0.2)
        monkeypatch.setattr(pool, "CHECK_TIMEOUT", 0.2)
        await fill()
        with pytest.raises(TimeoutError):
            async with entered(block):
                await Artist.objects.count()
                network.freeze()
                async with asyncio.timeout(0.1):
                    await asyncio.gather(*(artist(n) for n in range(4)))
        network.thaw()
        await sound()

    async def test_in_a_network_that_is_cut(self, network: Proxy) -> None:
        await fill()
        with pytest.raises(DatabaseError):
            async with transaction.atomic():
                await Artist.objects.count()
                network.freeze()
                tasks = tasks_of(*(artist(n) for n in range(4)))
                await asyncio.sleep(0.05)
                network.cut()
                found = await outcomes(tasks)
                assert all(isinstance(one, DatabaseError) for one in found)
        network.thaw()
        await sound()

    @pytest.mark.parametrize("number", [0, 1])
    async def test_is_not_a_statement_timeout(
        self, killer: Killer, number: int
    ) -> None:
        await fill()
        with default_at(OPTIONS={"options": "-c statement_timeout=100"}):
            await close_pools()
            async with connection.pinned():
                await Artist.objects.count()
                async with killer.locked("LOCK TABLE records_label"):
                    waits = [artist(1), artist(2)]
                    waits.insert(number, label(3))
                    found = await outcomes(tasks_of(*waits))
                error = found.pop(number)
                assert isinstance(error, OperationalError)
                assert "statement timeout" in str(error)
                assert found == ["1", "2"]
                assert await label(3) == "3"
            await close_pools()


class TestAPreparedStatement:
    @pytest.fixture(autouse=True)
    async def prepared(self, db: str) -> Any:
        with default_at(OPTIONS={"prepare_threshold": 1}):
            await close_pools()
            await fill()
            yield
            await close_pools()

    async def deallocate(self) -> None:
        # Not with a cursor, which would note it.
        statement = Statement("DEALLOCATE ALL", counts=True)
        await connections["default"].fetch_on_loop(statement, ())

    async def test_that_is_gone_is_prepared_again(self, network: Proxy) -> None:
        await close_pools()
        async with connection.pinned():
            for _ in range(3):
                await asyncio.gather(artist(1), label(2))
            await self.deallocate()
            with trips(network) as count:
                found = await asyncio.gather(*(artist(n) for n in range(4)))
            assert found == ["0", "1", "2", "3"]
            assert count[0] <= 3

    async def test_that_is_gone_ends_a_transaction(self) -> None:
        async with transaction.atomic():
            for _ in range(3):
                await asyncio.gather(artist(1), label(2))
        with pytest.raises((InternalError, OperationalError, DatabaseError)) as caught:
            async with transaction.atomic():
                await Artist.objects.count()
                await self.deallocate()
                await asyncio.gather(*(artist(n) for n in range(4)))
        cause = caught.value.__cause__
        assert isinstance(cause, psycopg.errors.InvalidSqlStatementName)
        assert "prepared again" in cause.__notes__[0]
        async with transaction.atomic():
            assert await asyncio.gather(artist(1), artist(2)) == ["1", "2"]

    @blocks
    async def test_whose_columns_have_changed(
        self, admin: psycopg.Connection, block: str
    ) -> None:
        async def change(kind: str) -> None:
            alter = f"ALTER TABLE records_label ALTER name TYPE {kind}"
            admin.execute(alter)  # type: ignore[call-overload,unused-ignore]

        async def read() -> list[str]:
            return await asyncio.gather(artist(1), label(2), label(3), artist(4))

        async with connection.pinned():
            for _ in range(3):
                await read()
            await change("text")
            try:
                if block == "pinned":
                    assert await read() == ["1", "2", "3", "4"]
                else:
                    with pytest.raises(NotSupportedError, match="cached plan"):
                        async with transaction.atomic():
                            await read()
                    async with transaction.atomic():
                        assert await read() == ["1", "2", "3", "4"]
            finally:
                await change("varchar(100)")
