"""
What the pool costs, and how it serves more tasks than it has connections.

    scripts/bench pool

Check-out and check-in of a connection that nobody else wants, beside psycopg_pool's in
the same process and against the same server; then the throughput of get() by key, and
the waits for a connection, with 1 to 1,000 tasks on a pool of 10.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="call-overload, misc"

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

ROUNDS = 15
LOANS = 2_000
OPERATIONS = 3_000


async def microseconds(fn: Callable[[], Awaitable[None]]) -> float:
    start = time.perf_counter()
    await fn()
    return (time.perf_counter() - start) / LOANS * 1e6


async def loans(url: str) -> None:
    from psycopg_pool import AsyncConnectionPool

    from vinyl.orm.pools.registry import pool_for

    pool = pool_for("default")
    peer = AsyncConnectionPool(url, min_size=10, max_size=10, open=False)
    checking = AsyncConnectionPool(
        url,
        min_size=10,
        max_size=10,
        open=False,
        check=AsyncConnectionPool.check_connection,
    )

    async def ours() -> None:
        for _ in range(LOANS):
            wrapper = pool.acquire_nowait()
            assert wrapper is not None
            pool.release(wrapper)

    def theirs(peer: AsyncConnectionPool) -> Callable[[], Awaitable[None]]:
        async def check_out() -> None:
            for _ in range(LOANS):
                connection = await peer.getconn()
                await peer.putconn(connection)

        return check_out

    async with peer, checking:
        await peer.wait()
        await checking.wait()
        contestants = {
            "vinyl, which looks at the socket": ours,
            "psycopg_pool, unchecked": theirs(peer),
            "psycopg_pool, check_connection": theirs(checking),
        }
        times: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(ROUNDS):
            for name, fn in contestants.items():
                times[name].append(await microseconds(fn))
    sys.stdout.write("Check-out and check-in, uncontended, median µs\n")
    for name, values in times.items():
        sys.stdout.write(f"    {name:<36}{statistics.median(values):>9.2f}\n")


async def throughput() -> None:
    from tests.records.models import Artist
    from vinyl.orm.pools.pool import Pool
    from vinyl.orm.pools.registry import pool_for

    artist = await Artist.objects.create(name="Nina Simone")
    waits: list[float] = []
    pool = pool_for("default")
    acquire = Pool.acquire

    async def timed(self: Pool) -> Any:
        start = time.perf_counter()
        try:
            return await acquire(self)
        finally:
            waits.append((time.perf_counter() - start) * 1e3)

    async def work(operations: int) -> None:
        for _ in range(operations):
            await Artist.objects.get(pk=artist.pk)

    sys.stdout.write("get() by key on a pool of 10: per second, and the waits in ms\n")
    Pool.acquire = timed  # type: ignore[method-assign]
    try:
        for tasks in (1, 10, 100, 1_000):
            rates = []
            waits.clear()
            for _ in range(3):
                start = time.perf_counter()
                each = max(OPERATIONS // tasks, 3)
                await asyncio.gather(*(work(each) for _ in range(tasks)))
                rates.append(tasks * each / (time.perf_counter() - start))
            assert not pool.in_use
            if waits:
                p50 = statistics.median(waits)
                p99 = statistics.quantiles(waits, n=100)[98]
                told = f"p50 {p50:.2f}, p99 {p99:.2f}, p99 / p50 {p99 / p50:.2f}"
            else:
                told = "none"
            rate = statistics.median(rates)
            sys.stdout.write(f"    {tasks:>5} tasks{rate:>8,.0f} /s    waits: {told}\n")
    finally:
        Pool.acquire = acquire  # type: ignore[method-assign]
    await artist.delete()


async def main(url: str) -> None:
    from tests.records.models import Artist

    await asyncio.gather(*(Artist.objects.count() for _ in range(10)))
    await loans(url)
    await throughput()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    from django.core.management import call_command

    from tests.fix_db import default_database
    from tests.postgres import empty_database, postgres_server
    from tests.settings import database

    with postgres_server() as server, empty_database(server) as url:
        with default_database(database(url)):
            call_command("migrate", verbosity=0)
            asyncio.run(main(url))
