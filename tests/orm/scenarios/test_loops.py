"""Several event loops: in threads at once, and closed without their clean-up."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import asyncio
import contextlib
import gc
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from tests.records.models import Album, Artist
from vinyl.orm import connection, run, transaction
from vinyl.orm.pools import registry
from vinyl.orm.pools.pool import Pool

pytestmark = pytest.mark.usefixtures("db")


def driver_connection() -> Any:
    """In the bridge: the driver's object, which the caller keeps alive."""
    connection.ensure_connection()
    return connection.connection


class TestThreads:
    def test_loops_share_no_connection(self) -> None:
        all_here = Barrier(4)
        rounds = 12

        async def work(number: int, seen: set[Any]) -> None:
            for step in range(rounds):
                seen.add(await run(driver_connection))
                artist = await Artist.objects.create(name=f"{number} {step}")
                async with transaction.atomic():
                    album = await artist.albums.create(title="Doomed")
                    seen.add(await run(driver_connection))
                    if step % 2:
                        transaction.set_rollback(True)
                assert await Album.objects.filter(pk=album.pk).exists() is not step % 2

        async def main(thread: int) -> tuple[set[Any], set[Pool]]:
            seen: set[Any] = set()
            all_here.wait(30)
            await asyncio.gather(*(work(thread * 10 + n, seen) for n in range(4)))
            return seen, {registry.pool_for("default")}

        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda n: asyncio.run(main(n)), range(4)))
        connections, used = map(list, zip(*found, strict=True))
        assert len(set.union(*connections)) == sum(map(len, connections))
        assert len(set.union(*used)) == 4
        assert all(p.closed and not p.idle for p in set.union(*used))
        assert Artist.objects.count() == 4 * 4 * rounds
        assert Album.objects.count() == 4 * 4 * rounds / 2

    def test_sync_code_in_threads_beside_a_loop(self) -> None:
        """Each thread has its own connection, as in Django; the loop has others."""

        def work(number: int) -> Any:
            Artist.objects.create(name=f"Artist {number}")
            mine = connection.connection
            connection.close()
            return mine

        async def main() -> None:
            seen = await run(driver_connection)
            with ThreadPoolExecutor(3) as threads:
                loop = asyncio.get_running_loop()
                calls = [loop.run_in_executor(threads, work, n) for n in range(9)]
                others = await asyncio.gather(*calls)
            assert seen not in others
            assert await Artist.objects.count() == 9

        asyncio.run(main())


class TestClosedLoops:
    def test_the_next_loop_closes_the_connections_of_an_abandoned_one(self) -> None:
        """Closed without `shutdown_asyncgens()`, which would have closed its pools."""

        async def use() -> Pool:
            await asyncio.gather(*(run(driver_connection) for _ in range(3)))
            return registry.pool_for("default")

        left = []
        for _ in range(3):
            loop = asyncio.new_event_loop()
            left.append(loop.run_until_complete(use()))
            loop.close()
        last = asyncio.run(use())

        assert [p.closed for p in [*left, last]] == [True] * 4
        assert not any(p.idle or p.in_use for p in [*left, last])
        del loop
        gc.collect()
        assert not any(loop.is_closed() for loop in registry._pools)

    def test_a_transaction_left_open_in_a_closed_loop_is_rolled_back(self) -> None:
        async def hold(entered: asyncio.Event) -> None:
            async with transaction.atomic():
                await Artist.objects.create(name="Nobody")
                entered.set()
                await asyncio.sleep(60)

        async def leave() -> tuple[Pool, asyncio.Task[None]]:
            entered = asyncio.Event()
            task = asyncio.create_task(hold(entered))
            await entered.wait()
            return registry.pool_for("default"), task

        async def create() -> None:
            # On SQLite there can be one writer at a time.
            await Artist.objects.create(name="Nina")

        loop = asyncio.new_event_loop()
        left, task = loop.run_until_complete(leave())
        loop.close()
        asyncio.run(create())
        assert [artist.name for artist in Artist.objects.all()] == ["Nina"]
        assert left.closed
        # This test means to leave it pending.
        task._log_destroy_pending = False
        with contextlib.suppress(transaction.TransactionManagementError):
            task.get_coro().close()
