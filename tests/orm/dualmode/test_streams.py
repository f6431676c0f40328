"""Streaming querysets: what the loop's body may do, and leaving it."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload"
# mypy: disable-error-code="func-returns-value, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

import asyncio
import contextlib
import gc
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections
from django.http import StreamingHttpResponse

from tests.fix_db import default_database, only_sqlite
from tests.fix_sqlite import set_journal
from tests.records.models import Album, Artist, Track
from vinyl.exceptions import PoolTimeout, ScopeClosedError
from vinyl.orm import connection, run, transaction
from vinyl.orm.dualmode.streams import CHUNK_ROWS, _next_rows
from vinyl.orm.pools import registry
from vinyl.orm.pools.registry import close_pools, pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def make_tracks(number: int = 5) -> Album:
    artist = await Artist.objects.create(name="Nina Simone")
    album = await Album.objects.create(title="Pastel Blues", artist=artist)
    await Track.objects.bulk_create(
        Track(title=f"Track {n}", position=n, album=album) for n in range(number)
    )
    return album


def nested(*lists: list[int]) -> Iterator[int]:
    """As Django's iterator: generators that yield from each other, and from lists."""

    def inner() -> Iterator[int]:
        for numbers in lists:
            yield from numbers

    yield from inner()


def test_rows_are_read_a_list_at_a_time() -> None:
    whole, rest = [*range(CHUNK_ROWS + 50)], [1, 2]
    rows = nested(whole, [], rest)
    assert _next_rows(rows) == whole
    assert _next_rows(rows) == rest
    assert _next_rows(rows) == []


def test_rows_that_come_one_by_one_are_read_together() -> None:
    single = nested(*[[number] for number in range(CHUNK_ROWS + 1)])
    for rows in (single, (n for n in range(CHUNK_ROWS + 1))):
        assert _next_rows(rows) == [*range(CHUNK_ROWS)]
        assert _next_rows(rows) == [CHUNK_ROWS]
        assert _next_rows(rows) == []


class TestStreaming:
    async def test_gives_every_row(self) -> None:
        await make_tracks(250)
        positions = [track.position async for track in Track.objects.iterator(20)]
        assert positions == list(range(250))

    async def test_under_djangos_async_name(self) -> None:
        await make_tracks(5)
        positions = [t.position async for t in Track.objects.aiterator(chunk_size=2)]
        assert positions == list(range(5))

    async def test_prefetches_by_chunk(self) -> None:
        await make_tracks(5)
        stream = Track.objects.prefetch_related("album").iterator(chunk_size=2)
        titles = {track.album.title async for track in stream}
        assert titles == {"Pastel Blues"}

    async def test_the_body_may_use_the_database(self) -> None:
        await make_tracks(5)
        async for track in Track.objects.iterator():
            assert await Track.objects.filter(pk=track.pk).exists()

    async def test_the_body_may_use_the_same_transaction(self) -> None:
        await make_tracks(5)
        async with transaction.atomic():
            async for track in Track.objects.iterator():
                track.title = "Changed"
                await track.save()
        assert await Track.objects.filter(title="Changed").count() == 5

    async def test_leaving_early_gives_the_connection_back(self) -> None:
        await make_tracks(250)
        stream = aiter(Track.objects.iterator(20))
        async for track in stream:
            if track.position == 30:
                break
        await stream.aclose()
        assert registry.pool_for("default").in_use == {}
        assert await Track.objects.count() == 250

    async def test_refuses_a_bad_chunk_size_at_once(self) -> None:
        with pytest.raises(ValueError, match="strictly positive"):
            Track.objects.iterator(0)

    async def test_is_djangos_own_inside_the_bridge(self) -> None:
        await make_tracks(5)
        rows = await run(lambda: list(Track.objects.iterator(2)))
        assert len(rows) == 5


class TestInterface:
    """That of an async generator."""

    async def test_anext_and_going_on(self) -> None:
        await make_tracks(250)
        stream = Track.objects.iterator(20)
        assert (await anext(stream)).position == 0
        second: Any = await anext(stream, None)
        assert second.position == 1
        async for track in stream:
            if track.position == 120:
                break
        assert [track.position async for track in stream] == list(range(121, 250))
        assert await anext(stream, None) is None
        assert [track async for track in stream] == []
        with pytest.raises(StopAsyncIteration):
            await anext(stream)

    @pytest.mark.parametrize("name", ["iterator", "aiterator"])
    async def test_aclosing(self, name: str) -> None:
        await make_tracks(250)
        async with contextlib.aclosing(getattr(Track.objects, name)()) as stream:
            async for track in stream:
                if track.position == 130:
                    break
        assert pool_for("default").in_use == {}
        assert [track async for track in stream] == []

    async def test_throwing_an_error_into_it(self) -> None:
        await make_tracks(250)
        stream = Track.objects.iterator(20)
        assert (await stream.asend(None)).position == 0
        with pytest.raises(LookupError):
            await stream.athrow(LookupError("lost"))
        assert pool_for("default").in_use == {}

    async def test_in_djangos_streaming_response(self) -> None:
        await make_tracks(3)
        titles = Track.objects.values_list("title", flat=True)
        for content in (titles.iterator(), titles.aiterator()):
            response = StreamingHttpResponse(content)
            assert [part async for part in response] == [
                b"Track 0",
                b"Track 1",
                b"Track 2",
            ]

    async def test_dropping_it_gives_the_connection_back(self) -> None:
        await make_tracks(250)
        async for _ in Track.objects.iterator(20):
            break
        while pool_for("default").in_use:
            await asyncio.sleep(0)

    async def test_that_finds_no_connection(self) -> None:
        connections.settings["default"]["OPTIONS"]["pool"] = {"timeout": 0.01}
        await close_pools()
        pool = pool_for("default")
        held = [await pool.acquire() for _ in range(pool.max_size)]
        with pytest.raises(PoolTimeout):
            await anext(Track.objects.iterator())
        for wrapper in held:
            pool.release(wrapper)
        await close_pools()

    async def test_is_awaited_by_one_task_at_a_time(self) -> None:
        await make_tracks(5)
        stream = Track.objects.iterator()
        both = await asyncio.gather(
            anext(stream), anext(stream), return_exceptions=True
        )
        assert [type(one) for one in both] == [Track, RuntimeError]


async def use_journal(mode: str) -> None:
    """Have the SQLite database keep its journal in *mode*."""
    await close_pools()
    set_journal(mode)


@pytest.fixture(params=["file", "memory"])
def place(db: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """Where the database is, which for PostgreSQL is one and the same."""
    if request.param == "file":
        yield db
    elif db == "postgresql":
        pytest.skip("Only SQLite has databases in memory")
    else:
        settings = {
            "ENGINE": connections.settings["default"]["ENGINE"],
            "NAME": "file:streams?mode=memory&cache=shared",
            "OPTIONS": {"pool": {"timeout": 2}},
        }
        with default_database(settings):
            call_command("migrate", verbosity=0)
            # That connection stays open, or the database would go.
            yield request.param
            # Django itself never closes it.
            connections["default"].connection.close()


@pytest.fixture(params=["wal", "delete"])
async def journal(place: str, request: pytest.FixtureRequest) -> AsyncIterator[None]:
    """The journal: with a WAL one connection may write while another one reads."""
    if request.param == "wal":
        yield
    elif place != "sqlite":
        pytest.skip("Only SQLite has journal modes, in a file")
    else:
        settings = connections.settings["default"]
        settings["OPTIONS"] = {"timeout": 1}
        await use_journal("delete")
        yield
        await use_journal("wal")


MANY = 2_500


@pytest.mark.usefixtures("journal")
class TestWritingInTheBody:
    """More rows than Django reads at once, so that the query is still open."""

    @pytest.fixture(autouse=True)
    async def many(self, journal: None) -> AsyncIterator[None]:
        await make_tracks(MANY)
        yield
        assert pool_for("default").in_use == {}
        await close_pools()

    async def changed(self) -> int:
        return await Track.objects.filter(title="Changed").count()

    async def change(self, track: Track) -> None:
        track.title = "Changed"
        await track.save()

    async def test_saves(self) -> None:
        async for track in Track.objects.iterator():
            if track.position % 50 == 0:
                await self.change(track)
        assert await self.changed() == MANY / 50

    async def test_deletes_the_row_just_read(self) -> None:
        seen = 0
        async for track in Track.objects.aiterator(chunk_size=100):
            seen += 1
            if track.position % 50 == 0:
                await track.delete()
        assert seen == MANY
        assert await Track.objects.count() == MANY - MANY / 50

    async def test_commits_and_rolls_back(self) -> None:
        async for track in Track.objects.iterator(chunk_size=500):
            if track.position % 100 == 0:
                with contextlib.suppress(LookupError):
                    async with transaction.atomic():
                        await self.change(track)
                        if track.position % 200 == 0:
                            raise LookupError
        assert await self.changed() == 12

    async def test_in_child_tasks_and_tasks_from_before(self) -> None:
        queue: asyncio.Queue[Track] = asyncio.Queue(maxsize=1)

        async def work() -> None:
            while (track := await queue.get()) is not None:
                await self.change(track)

        before = asyncio.create_task(work())
        async for track in Track.objects.iterator():
            if track.position % 100 == 0:
                await queue.put(track)
            if track.position % 100 == 50:
                await asyncio.gather(self.change(track), Track.objects.count())
        await queue.put(None)
        await before
        assert await self.changed() == MANY / 50

    async def test_with_prefetching_and_other_rows(self) -> None:
        tracks = Track.objects.prefetch_related("album__artist")
        async for track in tracks.iterator(chunk_size=300):
            if track.position % 100 == 0:
                assert track.album.artist.name == "Nina Simone"
                await self.change(track)
        async for row in Track.objects.values("pk", "position").iterator():
            if row["position"] % 100 == 50:
                await Track.objects.filter(pk=row["pk"]).update(title="Changed")
        raw = Track.objects.raw("SELECT * FROM records_track ORDER BY position")
        async for track in raw.iterator():
            if track.position % 100 == 75:
                await self.change(track)
        assert await self.changed() == MANY / 100 * 3

    async def test_of_a_nested_stream_and_one_beside_it(self) -> None:
        async for track in Track.objects.iterator():
            if track.position % 1000 == 0:
                async for other in Track.objects.iterator():
                    if other.position % 1000 == 999:
                        await self.change(other)
        one, two = Track.objects.iterator(), Track.objects.reverse().iterator()
        for number in range(MANY):
            first, second = await asyncio.gather(anext(one), anext(two))
            assert (first.position, second.position) == (number, MANY - 1 - number)
            if number % 500 == 0:
                await self.change(first)
        assert await anext(one, None) is await anext(two, None) is None
        assert await self.changed() == 2 + 5

    async def test_where_each_step_is_a_task_of_its_own(self) -> None:
        stream = Track.objects.iterator()
        for number in range(MANY):
            track = await asyncio.wait_for(asyncio.ensure_future(anext(stream)), 60)
            if number % 100 == 0:
                await self.change(track)
        await stream.aclose()
        assert await self.changed() == MANY / 100

    async def test_after_leaving_it_early(self) -> None:
        async for track in Track.objects.iterator():
            if track.position == 2_200:
                break
        await self.change(track)
        with pytest.raises(LookupError):
            async for track in Track.objects.iterator():
                await self.change(track)
                raise LookupError
        await asyncio.gather(*(self.change(track) for _ in range(3)))
        async with transaction.atomic():
            await self.change(track)
        while pool_for("default").in_use:
            await asyncio.sleep(0)

    async def test_with_a_wait_that_times_out(self) -> None:
        seen = 0
        async for track in Track.objects.iterator():
            seen += 1
            if track.position in (10, 2_100):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0):
                        await self.change(track)
                await Track.objects.filter(position=11).update(title="Changed")
        assert seen == MANY
        assert await self.changed() >= 1

    async def test_when_the_task_is_cancelled(self) -> None:
        arrived = asyncio.Event()

        async def stream(stop: int) -> None:
            async for track in Track.objects.iterator():
                if track.position == stop:
                    arrived.set()
                    await self.change(track)
                    await asyncio.Event().wait()

        for stop in (0, 2_200):
            arrived.clear()
            task = asyncio.create_task(stream(stop))
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        while pool_for("default").in_use:
            await asyncio.sleep(0)
        assert await Track.objects.count() == MANY

    async def test_around_which_there_is_a_transaction(self) -> None:
        async with transaction.atomic():
            async for track in Track.objects.iterator():
                if track.position % 500 == 0:
                    async with transaction.atomic():
                        await self.change(track)
        assert await self.changed() == MANY / 500

    async def test_inside_the_bridge(self) -> None:
        def change_all() -> None:
            for track in Track.objects.iterator():
                if track.position % 100 == 0:
                    track.title = "Changed"
                    track.save()

        await run(change_all)
        assert await self.changed() == MANY / 100

    async def test_of_a_raw_cursor(self) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT id, position FROM records_track")
            async for pk, position in cursor:
                if position % 500 == 0:
                    await Track.objects.filter(pk=pk).update(title="Changed")
        assert await self.changed() == MANY / 500

    async def test_by_the_reader_of_an_outer_generator(self) -> None:
        async def positions() -> AsyncIterator[Track]:
            async for track in Track.objects.iterator():
                if track.position % 100 == 0:
                    yield track

        stream = positions()

        async def step() -> None:
            await self.change(await anext(stream))

        for _ in range(MANY // 100):
            await asyncio.create_task(step())
        await stream.aclose()
        # The stream inside is dropped with it, and closed by a task of the loop's.
        while pool_for("default").in_use:
            await asyncio.sleep(0)
        assert await self.changed() == MANY / 100

    async def test_in_constant_memory(self) -> None:
        async def peak(queryset: Any) -> int:
            gc.collect()
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            async for _ in queryset.iterator(chunk_size=100):
                pass
            return tracemalloc.get_traced_memory()[1] - before

        await Track.objects.update(title="x" * 190)
        everything = Track.objects.values_list("pk", "title", "album__notes")
        await Album.objects.update(notes="y" * 4_000)
        await peak(everything)
        tracemalloc.start()
        try:
            few, many = await peak(everything[:1_200]), await peak(everything)
        finally:
            tracemalloc.stop()
        assert many < few + 4_000_000 < MANY * 4_000


class TestReadingOn:
    async def test_in_a_nested_block(self) -> None:
        """It has the lock, which the stream must not wait for in the block around."""
        await make_tracks(250)
        async with transaction.atomic():
            stream = Track.objects.iterator(chunk_size=20)
            await anext(stream)
            async with transaction.atomic():
                rest = [track.position async for track in stream]
        assert rest == list(range(1, 250))

    async def test_in_a_block_that_began_later(self) -> None:
        await make_tracks(250)
        stream = Track.objects.iterator(chunk_size=20)
        await anext(stream)
        async with transaction.atomic():
            async for track in stream:
                if track.position % 100 == 0:
                    await track.delete()
        assert await Track.objects.count() == 248

    async def test_after_its_block(self) -> None:
        await make_tracks(250)
        async with transaction.atomic():
            stream = Track.objects.iterator(chunk_size=20)
            await anext(stream)
        with pytest.raises(ScopeClosedError, match="Read it to the end"):
            _ = [track async for track in stream]
        await stream.aclose()


@only_sqlite
@pytest.mark.parametrize(
    ("place", "journal"), [("file", "delete")], indirect=True, ids=["no WAL"]
)
async def test_a_stream_keeps_no_one_waiting(journal: None) -> None:
    """Not only this loop's writers: nobody has to wait for the last row."""
    await make_tracks(MANY)
    stream = Track.objects.iterator()
    await anext(stream)
    assert pool_for("default").in_use == {}
    await Track.objects.all().delete()
    # It shows what was there when it began.
    assert len([track async for track in stream]) == MANY - 1
