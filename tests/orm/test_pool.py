"""The pool lends in order, never too many, and takes back only what is sound."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError, connections

from tests.fix_db import only_postgresql
from tests.records.models import Artist
from vinyl.exceptions import PoolTimeout
from vinyl.orm import connection, run
from vinyl.orm.pool import close_pools, pool_for

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
        most = max(most, len(pool.lent))

    await asyncio.gather(*(run(count) for _ in range(40)))
    assert most == 3
    assert pool.lent == {}
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


async def test_a_wait_that_is_too_long_names_size_and_remedy(
    options: dict[str, Any],
) -> None:
    options.update(max_size=1, timeout=0.05)
    pool = pool_for("default")
    wrapper = await pool.lend()
    with pytest.raises(PoolTimeout, match=r"within 0\.05 s.*max_size") as caught:
        await Artist.objects.count()
    assert (caught.value.alias, caught.value.size) == ("default", 1)
    pool.give_back(wrapper)
    assert await Artist.objects.count() == 0


async def test_a_cancelled_wait_leaves_the_queue(options: dict[str, Any]) -> None:
    options["max_size"] = 1
    pool = pool_for("default")
    wrapper = await pool.lend()
    task = asyncio.create_task(pool.lend())
    await asyncio.sleep(0)
    assert len(pool.waiters) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not pool.waiters
    pool.give_back(wrapper)
    assert pool.lend_nowait() is wrapper
    pool.give_back(wrapper)


async def test_a_wait_cancelled_as_it_is_served_loses_nothing(
    options: dict[str, Any],
) -> None:
    options["max_size"] = 1
    pool = pool_for("default")
    wrapper = await pool.lend()
    task = asyncio.create_task(pool.lend())
    await asyncio.sleep(0)
    pool.give_back(wrapper)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert pool.lent == {}
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
    assert pool.lent == {}
    assert pool.idle == []
    assert await Artist.objects.count() == 0


async def test_connections_past_their_life_are_replaced(
    options: dict[str, Any],
) -> None:
    options["max_lifetime"] = 0
    await Artist.objects.count()
    first = await run(lambda: (connection.ensure_connection(), connection.connection))
    second = await run(lambda: (connection.ensure_connection(), connection.connection))
    assert first[1] is not second[1]


@only_postgresql
async def test_a_killed_connection_is_replaced() -> None:
    def backend() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            return cursor.fetchone()[0]

    def kill(pid: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
        connection.close()

    pid = await run(backend)
    await asyncio.to_thread(kill, pid)
    with pytest.raises(OperationalError):
        await Artist.objects.count()
    assert await run(backend) != pid
    assert pool_for("default").lent == {}


async def test_closing_drops_what_is_idle_and_reopens_on_use() -> None:
    await Artist.objects.count()
    pool = pool_for("default")
    await close_pools()
    assert pool.idle == []
    assert await Artist.objects.count() == 0
    assert pool_for("default") is not pool


def test_the_pool_closes_with_its_loop(db: str) -> None:
    async def main() -> Any:
        await Artist.objects.count()
        return pool_for("default")

    pool = asyncio.run(main())
    assert pool.closed
    assert pool.idle == []


def test_each_loop_has_a_pool_of_its_own(db: str) -> None:
    async def main() -> Any:
        await Artist.objects.count()
        return pool_for("default")

    assert asyncio.run(main()) is not asyncio.run(main())
