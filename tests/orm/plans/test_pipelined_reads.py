"""Reads of several tasks of a block travel together, and end as if each were alone."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, call-overload, comparison-overlap, misc"
# mypy: disable-error-code="unreachable, var-annotated"

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from typing import Any

import pytest
from django.db import DataError, InternalError, ProgrammingError

from tests.fix_db import default_at, only_postgresql
from tests.orm.plans.pipelining import (
    artist,
    fill,
    label,
    network,
    sizes,
    sound,
    trips,
)
from tests.orm.plans.planning import catalogue
from tests.proxy import Proxy
from tests.records.models import Album, Artist, Biography, Label
from vinyl.orm import connection, run, transaction
from vinyl.orm.observe.events import QueryEvent, observe
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


async def each_kind() -> list[Any]:
    albums = Album.objects.order_by("year")
    return await asyncio.gather(
        albums.get(year=1),
        Artist.objects.filter(name="Nina Simone").count(),
        albums.filter(year=7).exists(),
        albums.first(),
        albums.filter(year=9).first(),
        albums.values_list("title", flat=True),
        albums.get(year=9),
        albums,
        return_exceptions=True,
    )


def shown(results: list[Any]) -> list[str]:
    return [
        ascii([vars(one) | {"_state": 0} for one in result])
        if isinstance(result, list) and isinstance(result[0], Album)
        else ascii(vars(result) | {"_state": 0})
        if isinstance(result, Album)
        else repr(result)
        for result in results
    ]


class TestReads:
    @blocks
    async def test_take_one_round_trip_and_have_the_same_results(
        self, network: Proxy, block: str
    ) -> None:
        await run(catalogue)
        for _ in range(3):
            expected = shown(await each_kind())
        async with entered(block):
            if block == "pinned":
                await Artist.objects.count()
            # BEGIN is in the same round trip.
            with trips(network) as found:
                assert shown(await each_kind()) == expected
            assert found == [1]
            # Some of the statements are prepared on the way.
            for _ in range(12):
                with trips(network) as found:
                    assert shown(await each_kind()) == expected
                assert found == [1]
            async with connection.cursor() as cursor:
                await cursor.execute(
                    "SELECT name FROM pg_prepared_statements WHERE name LIKE '_vinyl_%'"
                )
                assert len(await cursor.fetchall()) == len(expected) - 1

    async def test_in_a_row_of_each_task_take_one_round_trip_each(
        self, network: Proxy
    ) -> None:
        await fill()

        async def three(n: int) -> list[str]:
            return [await artist(n), await label(n), await artist(n)]

        async with transaction.atomic():
            with trips(network) as found:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(three(n)) for n in range(10)]
            assert [task.result() for task in tasks] == [
                [f"{n}"] * 3 for n in range(10)
            ]
        assert found == [3]

    async def test_with_prefetches_travel_together(self, network: Proxy) -> None:
        album = await run(catalogue)
        albums = Album.objects.filter(artist=album.artist_id)

        async def both() -> list[Any]:
            return await asyncio.gather(
                albums.prefetch_related("tracks"), albums.prefetch_related("tracks")
            )

        for _ in range(4):
            await both()
        async with transaction.atomic():
            with trips(network) as found:
                one, other = await both()
        assert found == [2]
        for found_albums in (one, other):
            assert [len(each.tracks.all()) for each in found_albums] == [2, 2, 2]

    @blocks
    async def test_many_with_long_values_do_not_wait_for_room(
        self, block: str, sizes: list[int]
    ) -> None:
        """Both sides send more than fits into the buffers of the socket."""
        long = "x" * 20_000
        count = 500
        await Artist.objects.bulk_create(Artist(name=f"{n}") for n in range(count))
        artists = {artist.name: artist async for artist in Artist.objects.all()}
        await Biography.objects.bulk_create(
            Biography(artist=artists[f"{n}"], text=f"{n} {long}") for n in range(count)
        )

        async def biography(n: int) -> str:
            found = await Biography.objects.get(text=f"{n} {long}")
            text: str = found.text
            return text

        for n in range(3):
            await biography(n)
        async with entered(block):
            await Artist.objects.count()
            texts = await asyncio.gather(*(biography(n) for n in range(count)))
        assert texts == [f"{n} {long}" for n in range(count)]
        assert sizes == [count]

    async def test_and_writes_keep_their_order(self, network: Proxy) -> None:
        await fill()
        count = Artist.objects.filter(name="new").count
        for _ in range(3):
            await count()

        async def write() -> None:
            await Artist.objects.create(name="new")

        async def remove() -> None:
            await Artist.objects.filter(name="new").delete()

        for _ in range(3):
            await write()
            await remove()
        async with transaction.atomic():
            with trips(network) as found:
                results = await asyncio.gather(
                    count(), count(), write(), count(), count(), remove(), count()
                )
            assert [results[n] for n in (0, 1, 3, 4, 6)] == [0, 0, 1, 1, 0]
        assert found[0] < 10

    async def test_of_other_blocks_are_not_mixed_in(self, sizes: list[int]) -> None:
        await fill()

        async def inner(n: int) -> list[str]:
            try:
                async with transaction.atomic():
                    await Artist.objects.create(name=f"new {n}")
                    found = await asyncio.gather(artist(n), label(n))
                    count = await Artist.objects.filter(name__startswith="new").count()
                    assert count == 1
                    raise LookupError
            except LookupError:
                return [*found, await artist(n)]

        async with transaction.atomic():
            found = await asyncio.gather(inner(1), artist(8), inner(2), artist(9))
        assert found == [["1"] * 3, "8", ["2"] * 3, "9"]
        assert await Artist.objects.count() == 10
        assert max(sizes) <= 3

    async def test_outside_of_blocks_have_connections_of_their_own(
        self, sizes: list[int]
    ) -> None:
        await fill()
        found = await asyncio.gather(*(artist(n) for n in range(10)))
        assert found == [f"{n}" for n in range(10)]
        assert sizes == []

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="Since Python 3.12.")
    async def test_of_eager_tasks_travel_together(self, sizes: list[int]) -> None:
        await fill()
        loop = asyncio.get_running_loop()
        async with transaction.atomic():
            await artist(0)
            loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
            try:
                found = await asyncio.gather(*(artist(n) for n in range(10)))
            finally:
                loop.set_task_factory(None)
        assert found == [f"{n}" for n in range(10)]
        assert sum(sizes) >= 9


class TestAnError:
    @blocks
    async def test_ends_as_one_after_the_other(
        self, network: Proxy, block: str
    ) -> None:
        """Those before have rows; those after have what the transaction demands."""
        await fill()

        async def fetched(*waits: Any) -> list[Any]:
            return await asyncio.gather(*waits, return_exceptions=True)

        async def singly(*waits: Any) -> list[Any]:
            return [(await fetched(one))[0] for one in waits]

        found = []
        async with connection.cursor() as cursor:
            await cursor.execute("ALTER TABLE records_label RENAME TO gone")
        try:
            for get in (fetched, singly):
                with suppress(InternalError):
                    async with entered(block):
                        await Artist.objects.count()
                        with trips(network) as count:
                            results = await get(
                                artist(1), label(2), artist(3), label(4), artist(99)
                            )
                        assert count == [1 if get is fetched else 5]
                        found.append([(type(one), str(one)) for one in results])
                        if block == "pinned":
                            assert await artist(4) == "4"
        finally:
            async with connection.cursor() as cursor:
                await cursor.execute("ALTER TABLE gone RENAME TO records_label")
        together, alone = found
        assert together == alone
        assert together[0] == (str, "1")
        assert together[1][0] is ProgrammingError
        if block == "pinned":
            assert together[2] == (str, "3")
        else:
            assert together[2][0] is InternalError
            assert "current transaction is aborted" in together[2][1]

    async def test_of_a_value_is_that_of_its_task_alone(self, sizes: list[int]) -> None:
        await fill()
        async with transaction.atomic():
            results = await asyncio.gather(
                Artist.objects.get(name="a\0"), artist(1), return_exceptions=True
            )
            assert isinstance(results[0], (DataError, ValueError))
            assert results[1] == "1"
            assert await artist(2) == "2"
        assert sizes == [2]

    async def test_of_values_in_all_sends_nothing(self) -> None:
        await fill()
        async with transaction.atomic():
            for error in await asyncio.gather(
                *(Artist.objects.get(name="a\0") for _ in range(3)),
                return_exceptions=True,
            ):
                assert isinstance(error, (DataError, ValueError))
            assert await artist(2) == "2"

    @pytest.mark.parametrize("flag", [True, False])
    async def test_set_for_the_block_refuses_each(
        self, flag: bool, sizes: list[int]
    ) -> None:
        await fill()
        async with transaction.atomic():
            transaction.set_rollback(flag)
            found = await asyncio.gather(
                artist(1), artist(2), artist(3), return_exceptions=True
            )
            refused = [
                isinstance(one, transaction.TransactionManagementError) for one in found
            ]
            assert refused == [flag] * 3
        assert sizes == ([] if flag else [3])


class TestOneAfterTheOther:
    async def in_turn(self, sizes: list[int]) -> None:
        found = await asyncio.gather(*(artist(n) for n in range(10)))
        assert found == [f"{n}" for n in range(10)]
        assert sizes == []

    async def test_if_a_wrapper_sees_them(self, sizes: list[int]) -> None:
        await fill()
        seen: list[str] = []

        def note(execute: Any, sql: str, *args: Any) -> Any:
            seen.append(sql)
            return execute(sql, *args)

        async with transaction.atomic():
            with connection.execute_wrapper(note):
                await self.in_turn(sizes)
        assert len(seen) == 10

    async def test_if_an_observer_sees_them(self, sizes: list[int]) -> None:
        await fill()
        begun: list[QueryEvent] = []
        running: set[QueryEvent] = set()

        class Observer:
            def begin(self, query: QueryEvent) -> None:
                assert not running
                running.add(query)
                begun.append(query)

            def end(self, query: QueryEvent) -> None:
                running.discard(query)

        async with transaction.atomic():
            with observe(Observer()):
                await self.in_turn(sizes)
        assert len(begun) == 10

    async def test_behind_a_pooler(self, sizes: list[int]) -> None:
        with default_at(DISABLE_SERVER_SIDE_CURSORS=True):
            await close_pools()
            await fill()
            async with transaction.atomic():
                await self.in_turn(sizes)
            await sound()
            await close_pools()


@blocks
async def test_the_first_to_be_cancelled_in_its_turn_lets_the_others_go_on(
    block: str, sizes: list[int]
) -> None:
    await fill()
    async with entered(block):
        tasks = [asyncio.create_task(artist(n)) for n in range(4)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert found[1:] == ["1", "2", "3"]
        assert await Label.objects.count() == 10
    assert sizes == [3]
    await sound()
