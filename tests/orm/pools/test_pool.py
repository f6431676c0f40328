"""The pool lends in order, never too many, and takes back only what is sound."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import ProgrammingError, connections

from tests.fix_db import only_postgresql
from tests.records.models import Artist
from vinyl.exceptions import PoolFull, PoolTimeout
from vinyl.orm import connection, run, transaction
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


@pytest.fixture
def options(db: str) -> Iterator[dict[str, Any]]:
    """The pool options of the database, to be set before its first use."""
    settings = connections.settings["default"]["OPTIONS"]
    settings["pool"] = options = {}
    yield options
    del settings["pool"]


async def test_lends_no_more_than_its_size(options: dict[str, Any]) -> None:
    options["max_size"] = 3
    pool = pool_for("default")
    most = 0

    def count() -> None:
        nonlocal most
        Artist.objects.count()
        most = max(most, len(pool.in_use))

    await asyncio.gather(*(run(count) for _ in range(40)))
    assert most == 3
    assert pool.in_use == {}
    assert len(pool.idle) == 3


async def test_lends_the_same_connection_again() -> None:
    await Artist.objects.count()
    first = await run(lambda: connection.connection)
    assert await run(lambda: connection.connection) is first


async def test_serves_waiters_in_order(options: dict[str, Any]) -> None:
    options["max_size"] = 1
    served: list[int] = []

    async def use(number: int) -> None:
        await Artist.objects.count()
        served.append(number)

    await asyncio.gather(*(use(n) for n in range(20)))
    assert served == list(range(20))


class TestOneOperationAfterTheOther:
    """A task that releases a connection and acquires it again before others get it."""

    @pytest.mark.parametrize(
        ("keep", "order"),
        [(60, "aaabbb"), (0, "ababab")],
        ids=["within its time", "after its time"],
    )
    async def test_goes_first_for_a_while(
        self,
        options: dict[str, Any],
        monkeypatch: pytest.MonkeyPatch,
        keep: float,
        order: str,
    ) -> None:
        monkeypatch.setattr("vinyl.orm.pools.pool.KEEP", keep)
        options["max_size"] = 1
        for _ in range(3):
            # Its plan is made, so that it needs no bridge.
            await Artist.objects.count()
        served = ""

        async def use(name: str) -> None:
            nonlocal served
            for _ in range(3):
                await Artist.objects.count()
                served += name

        await asyncio.gather(use("a"), use("b"))
        assert served == order
        assert pool_for("default").in_use == {}

    async def test_is_over_when_its_task_waits_for_something_else(
        self, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("vinyl.orm.pools.pool.KEEP", 60)
        options["max_size"] = 1
        await Artist.objects.count()
        pool = pool_for("default")
        held = await pool.acquire()
        waiters = [asyncio.create_task(pool.acquire()) for _ in range(2)]
        await asyncio.sleep(0)
        for _ in range(3):
            pool.release_briefly(held)
            assert pool.acquire_nowait() is held
        pool.release_briefly(held)
        assert not waiters[0].done()
        assert await waiters[0] is held
        # It is not this task that has it now.
        pool.release_briefly(held)
        assert pool.acquire_nowait() is None
        assert await waiters[1] is held
        pool.release(held)
        assert pool.in_use == {}

    async def test_takes_no_connection_of_others(
        self, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("vinyl.orm.pools.pool.KEEP", 60)
        options["max_size"] = 1
        await Artist.objects.count()
        pool = pool_for("default")
        held = await pool.acquire()
        waiter = asyncio.create_task(pool.acquire())
        await asyncio.sleep(0)
        pool.release_briefly(held)
        late = asyncio.create_task(pool.acquire())
        assert await waiter is held
        assert not late.done()
        pool.release(held)
        assert await late is held
        pool.release(held)

    @only_postgresql
    async def test_reads_again_if_the_session_has_ended_in_between(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Its socket is not polled.
        monkeypatch.setattr("vinyl.orm.pools.pool.FRESH", 60)
        for _ in range(3):
            await Artist.objects.count()
        [pooled] = pool_for("default").idle
        await asyncio.to_thread(kill, pooled.wrapper.connection.info.backend_pid)
        assert await Artist.objects.count() == 0
        assert pool_for("default").stats()["discarded"] == 1


async def test_a_wait_that_is_too_long_names_size_and_remedy(
    options: dict[str, Any],
) -> None:
    options.update(max_size=1, timeout=0.05)
    pool = pool_for("default")
    wrapper = await pool.acquire()
    with pytest.raises(PoolTimeout, match=r"within 0\.05 s.*max_size") as caught:
        await Artist.objects.count()
    assert (caught.value.alias, caught.value.size) == ("default", 1)
    pool.release(wrapper)
    assert await Artist.objects.count() == 0


async def test_a_cancelled_wait_leaves_the_queue(options: dict[str, Any]) -> None:
    options["max_size"] = 1
    pool = pool_for("default")
    wrapper = await pool.acquire()
    task = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    assert len(pool.waiters) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not pool.waiters
    pool.release(wrapper)
    assert pool.in_use == {}
    assert await Artist.objects.count() == 0


async def test_a_wait_cancelled_as_it_is_served_loses_nothing(
    options: dict[str, Any],
) -> None:
    options["max_size"] = 1
    pool = pool_for("default")
    wrapper = await pool.acquire()
    task = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    pool.release(wrapper)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert pool.in_use == {}
    assert await Artist.objects.count() == 0


async def test_a_connection_left_in_a_transaction_is_discarded() -> None:
    def leave_open() -> object:
        transaction_connection = connection.connection
        connection.ensure_connection()
        connection.set_autocommit(False)
        Artist.objects.create(name="never committed")
        return transaction_connection

    await run(leave_open)
    pool = pool_for("default")
    assert pool.in_use == {}
    assert pool.idle == []
    assert await Artist.objects.count() == 0


async def test_connections_past_their_life_are_replaced(
    options: dict[str, Any],
) -> None:
    options["max_lifetime"] = 1e-9
    await Artist.objects.count()

    def opened() -> Any:
        connection.ensure_connection()
        return connection.connection

    assert await run(opened) is not await run(opened)


def session() -> int:
    """Which session of the server this run has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]


def kill(*pids: int) -> None:
    """End sessions of the server, from a thread, and see that they are gone."""
    with connection.cursor() as cursor:
        for pid in pids:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
            assert cursor.fetchone() == (True,)
    connection.close()


@only_postgresql
class TestHealth:
    async def test_a_connection_that_the_server_closed_is_not_lent(self) -> None:
        pool = pool_for("default")
        pids = await asyncio.gather(*(run(session) for _ in range(3)))
        assert len(set(pids)) == 3
        await asyncio.to_thread(kill, *pids)
        # No query fails: a glance at the socket tells.
        assert await run(session) not in pids
        stats = pool.stats()
        assert (stats["discarded"], stats["size"]) == (3, 1)

    async def test_a_connection_that_was_idle_long_is_checked_first(
        self, options: dict[str, Any]
    ) -> None:
        options["check_idle"] = 0
        pid = await run(session)
        seen: list[bool] = []
        pool = pool_for("default")
        [pooled] = pool.idle
        is_usable = pooled.wrapper.is_usable

        def asked() -> bool:
            seen.append(is_usable())
            return seen[-1]

        pooled.wrapper.is_usable = asked  # type: ignore[method-assign]
        assert await run(session) == pid
        assert seen == [True]
        assert pool.stats()["discarded"] == 0

    async def test_an_error_of_sql_keeps_the_connection(self) -> None:
        pid = await run(session)
        async with connection.cursor() as cursor:
            with pytest.raises(ProgrammingError):
                await cursor.execute("SELECT nothing")
        assert await run(session) == pid


class TestStats:
    async def test_count_loans_and_waits(self, options: dict[str, Any]) -> None:
        options["max_size"] = 2
        pool = pool_for("default")
        assert set(pool.stats().values()) == {0}
        held = [await pool.acquire(), await pool.acquire()]
        tasks = [asyncio.create_task(run(Artist.objects.count)) for _ in range(3)]
        while pool.stats()["waiting"] < 3:
            await asyncio.sleep(0)
        # What they wait for certain, at the least.
        await asyncio.sleep(0.02)
        stats = pool.stats()
        assert (stats["in_use"], stats["waiting"], stats["idle"]) == (2, 3, 0)
        for wrapper in held:
            pool.release(wrapper)
        await asyncio.gather(*tasks)
        stats = pool.stats()
        assert (stats["in_use"], stats["waiting"]) == (0, 0)
        assert stats["size"] == stats["idle"] > 0
        assert stats["acquired_total"] == 5
        assert stats["wait_ms"] >= 3 * 15
        assert stats["discarded"] == 0


class TestTheQueue:
    async def test_is_bounded(self, options: dict[str, Any]) -> None:
        options.update(max_size=1, max_waiting=2)
        pool = pool_for("default")
        held = await pool.acquire()
        tasks = [asyncio.create_task(run(Artist.objects.count)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(PoolFull, match="and the queue is full.*max_waiting"):
            await Artist.objects.count()
        pool.release(held)
        assert await asyncio.gather(*tasks) == [0, 0]

    async def test_a_timeout_names_the_tasks_that_hold_connections_longest(
        self, options: dict[str, Any]
    ) -> None:
        options.update(max_size=2, timeout=0.05)
        done = asyncio.Event()

        async def selfish() -> None:
            async with transaction.atomic():
                await Artist.objects.count()
                await done.wait()

        tasks = [asyncio.create_task(selfish(), name=f"selfish {n}") for n in range(2)]
        while len(pool_for("default").in_use) < 2:
            await asyncio.sleep(0)
        with pytest.raises(PoolTimeout) as caught:
            await Artist.objects.count()
        first, second = caught.value.holders
        assert re.match(
            r"\d+\.\d s by task 'selfish 0' in .*selfish\(\) at .*/test_pool\.py:\d+",
            first,
        )
        assert "selfish 1" in second
        assert first in str(caught.value)
        assert pool_for("default").stats()["timeouts"] == 1
        done.set()
        await asyncio.gather(*tasks)


@only_postgresql
async def test_a_connection_that_the_server_closes_on_loan_is_discarded(
    options: dict[str, Any],
) -> None:
    options["max_size"] = 1
    pool = pool_for("default")
    held = await pool.acquire()
    pid = await run(held.use, session)
    waiter = asyncio.create_task(run(session))
    while not pool.waiters:
        await asyncio.sleep(0)
    await asyncio.to_thread(kill, pid)
    pool.release(held)
    assert await waiter != pid
