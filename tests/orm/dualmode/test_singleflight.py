"""One evaluation or fetch for several tasks, and nothing of it left on the objects."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, call-overload, comparison-overlap, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.fix_gates import Gate
from tests.records.models import Album, Artist, Track
from vinyl.orm import (
    await_,
    connection,
    fetch,
    prefetch_related_objects,
    run,
    transaction,
)
from vinyl.orm.dualmode import singleflight

anyio = pytest.mark.anyio
pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture(autouse=True)
def nothing_left() -> Any:
    yield
    gc.collect()
    assert singleflight._flights == {}


async def make_albums(number: int = 3) -> None:
    artist = await Artist.objects.create(name="Nina Simone")
    for n in range(number):
        album = await artist.albums.create(title=f"Album {n}")
        await Track.objects.create(title=f"Track {n}", album=album)


async def done_or_waiting(task: asyncio.Task) -> None:
    """Until *task* has ended by itself, or waits for another's work."""
    while not task.done():
        flights = [*singleflight._flights.values()]
        waits = [one.ended for by_id in flights for one in by_id.values()]
        if any(ended and ended._waiters for ended in waits):
            return
        await asyncio.sleep(0)


ALBUMS, TRACKS = '"records_album"', 'FROM "records_track"'


async def titles(queryset: Any) -> list[list[str]]:
    """What a task sees that iterates over *queryset*, with what was prefetched."""
    return [[track.title for track in album.tracks.all()] async for album in queryset]


RIGHT = [["Track 0"], ["Track 1"], ["Track 2"]]


def in_view(queryset: Any) -> Callable[[], Any]:
    """The same in sync code, in a run of the bridge that holds a connection."""

    def view() -> list[list[str]]:
        Artist.objects.count()
        return [[track.title for track in album.tracks.all()] for album in queryset]

    return lambda: run(view)


async def in_block(queryset: Any) -> list[list[str]]:
    async with transaction.atomic():
        return await titles(queryset)


def evaluated(queryset: Any) -> Callable[[], Any]:
    async def work() -> Any:
        await queryset
        return [[track.title for track in album.tracks.all()] for album in queryset]

    return work


KINDS: dict[str, Callable[[Any], Callable[[], Any]]] = {
    "async for": lambda queryset: lambda: titles(queryset),
    "await": evaluated,
    "plain view": in_view,
    "in a block": lambda queryset: lambda: in_block(queryset),
}
pairs = pytest.mark.parametrize(
    ("first", "second"),
    [(a, b) for a in KINDS for b in KINDS if (a, b) != ("in a block", "in a block")],
)


@anyio
class TestOneQuerysetObject:
    @pairs
    @pytest.mark.parametrize("stop", [ALBUMS, TRACKS], ids=["rows", "prefetch"])
    async def test_is_complete_for_two_tasks(
        self, first: str, second: str, stop: str
    ) -> None:
        """Whichever of the two is ahead, wherever the other one stops meanwhile."""
        await make_albums()
        queryset = Album.objects.prefetch_related("tracks")
        gate = Gate(stop)
        slow = asyncio.create_task(gate.around(KINDS[first](queryset)))
        await gate.arrived.wait()
        fast = asyncio.create_task(KINDS[second](queryset)())
        await done_or_waiting(fast)
        gate.opened.set()
        assert await asyncio.gather(slow, fast) == [RIGHT, RIGHT]
        assert [[t.title for t in album.tracks.all()] for album in queryset] == RIGHT

    async def test_is_evaluated_once(self, queries: list[str]) -> None:
        await make_albums()
        queryset = Album.objects.prefetch_related("tracks")
        queries.clear()
        results = await asyncio.gather(
            *(titles(queryset) for _ in range(5)), fetch(queryset, "artist")
        )
        assert results[:5] == [RIGHT] * 5
        assert len(queries) == 3

    async def test_is_evaluated_once_by_runs_of_the_bridge(
        self, queries: list[str]
    ) -> None:
        await make_albums()
        queryset = Album.objects.prefetch_related("tracks")
        queries.clear()
        await asyncio.gather(*(run(list, queryset) for _ in range(3)), queryset)
        assert len(queries) == 2

    async def test_gives_both_tasks_the_same_objects(self) -> None:
        await make_albums()
        queryset = Album.objects.prefetch_related("tracks")
        gate = Gate(ALBUMS)
        slow = asyncio.create_task(gate.around(lambda: queryset))
        await gate.arrived.wait()
        # It holds a connection, so it does not wait for the other.
        fast = await run(lambda: (Artist.objects.count(), list(queryset))[1])
        gate.opened.set()
        assert all(a is b for a, b in zip(await slow, fast, strict=True))

    async def test_continues_if_the_task_that_evaluates_is_cancelled(self) -> None:
        await make_albums()
        queryset = Album.objects.prefetch_related("tracks")
        gate = Gate(TRACKS)
        first = asyncio.create_task(gate.around(lambda: titles(queryset)))
        await gate.arrived.wait()
        others = [asyncio.create_task(titles(queryset)) for _ in range(2)]
        await asyncio.sleep(0)
        first.cancel()
        assert await asyncio.gather(*others) == [RIGHT, RIGHT]
        with pytest.raises(asyncio.CancelledError):
            await first

    async def test_lets_a_waiting_task_be_cancelled_alone(self) -> None:
        await make_albums()
        queryset = Album.objects.prefetch_related("tracks")
        gate = Gate(TRACKS)
        first = asyncio.create_task(gate.around(lambda: titles(queryset)))
        await gate.arrived.wait()
        second, third = (asyncio.create_task(titles(queryset)) for _ in range(2))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])
        gate.opened.set()
        assert await asyncio.gather(first, third) == [RIGHT, RIGHT]
        assert second.cancelled()

    async def test_gives_an_error_to_the_task_that_met_it(self) -> None:
        await make_albums()
        queryset = Album.objects.prefetch_related("tracks")
        gate = Gate(TRACKS)

        async def failing() -> None:
            def fail(execute: Any, sql: str, *rest: Any) -> Any:
                if TRACKS in sql:
                    raise LookupError(sql)
                return execute(sql, *rest)

            with connection.execute_wrapper(fail):
                await titles(queryset)

        first = asyncio.create_task(gate.around(failing))
        await gate.arrived.wait()
        second = asyncio.create_task(titles(queryset))
        await asyncio.sleep(0)
        gate.opened.set()
        assert await second == RIGHT
        with pytest.raises(LookupError):
            await first

    async def test_does_not_keep_a_nested_block_waiting(self) -> None:
        """The sibling's evaluation waits for the block that asks for the same."""
        await make_albums()
        queryset = Album.objects.prefetch_related("tracks")
        async with transaction.atomic():
            async with transaction.atomic():
                outside = asyncio.create_task(titles(queryset))
                sibling = asyncio.Event()

                async def wait() -> Any:
                    sibling.set()
                    return await titles(queryset)

                inside = asyncio.create_task(wait())
                await sibling.wait()
                assert await titles(queryset) == RIGHT
                assert await inside == RIGHT
            assert await outside == RIGHT

    async def test_of_raw_sql(self) -> None:
        await make_albums()
        raw = Album.objects.raw("SELECT * FROM records_album ORDER BY title")
        queryset = raw.prefetch_related("tracks")
        for stop in ("FROM records_album", TRACKS):
            gate = Gate(stop)
            slow = asyncio.create_task(gate.around(KINDS["await"](queryset)))
            await gate.arrived.wait()
            # The second shares the query with the first, which keeps the cursor.
            fast = await asyncio.gather(run(list, raw), in_view(queryset)())
            gate.opened.set()
            assert [len(fast[0]), fast[1], await slow] == [3, RIGHT, RIGHT]
            queryset = raw.prefetch_related("tracks")

    async def test_of_a_relation_that_is_filtered_late(self) -> None:
        """A filter that Django puts off is applied once, be it tried twice."""
        await make_albums(1)
        album = await Album.objects.get()
        genre = await album.genres.create(name="Jazz")
        queryset = genre.albums.all()
        gate = Gate(ALBUMS)
        first = asyncio.create_task(gate.around(lambda: queryset))
        await gate.arrived.wait()
        first.cancel()
        await asyncio.wait([first])
        assert await queryset == [album]
        assert str(queryset.query).count("JOIN") == 1


@anyio
class TestPrefetching:
    async def test_the_same_instances_in_two_tasks(self, queries: list[str]) -> None:
        await make_albums()
        artists = await Artist.objects.all()
        gate = Gate(TRACKS)

        async def prefetched() -> list[str]:
            await prefetch_related_objects(artists, "albums__tracks")
            albums = [album for artist in artists for album in artist.albums.all()]
            return [track.title for album in albums for track in album.tracks.all()]

        queries.clear()
        first = asyncio.create_task(gate.around(prefetched))
        await gate.arrived.wait()
        second = asyncio.create_task(prefetched())
        third = asyncio.create_task(fetch(artists, "albums"))
        await asyncio.sleep(0)
        gate.opened.set()
        names = ["Track 0", "Track 1", "Track 2"]
        assert await asyncio.gather(first, second, third) == [names, names, None]
        assert len(queries) == 2


@pytest.fixture
async def fetching() -> AsyncIterator[tuple[Album, asyncio.Task]]:
    """An album whose artist is being fetched, and the task that does it."""
    await make_albums(1)
    album = await Album.objects.get()
    gate = Gate('FROM "records_artist"')

    async def read() -> Any:
        return await album.artist

    async with AsyncExitStack() as stack:
        task = asyncio.create_task(gate.around(read))
        await gate.arrived.wait()
        stack.callback(gate.opened.set)
        yield album, task
        gate.opened.set()
        assert (await task).name == "Nina Simone"


@anyio
class TestAnInstanceWhileItFetches:
    async def test_has_no_trace_of_the_fetch_in_its_state(self, fetching: Any) -> None:
        album, _ = fetching
        other = await Album.objects.get()
        assert vars(album._state).keys() == vars(other._state).keys()

    @pytest.mark.parametrize(
        "copied",
        [copy.copy, copy.deepcopy, lambda album: pickle.loads(pickle.dumps(album))],
        ids=["copy", "deepcopy", "pickle"],
    )
    async def test_can_be_copied(self, fetching: Any, copied: Any) -> None:
        album, _ = fetching
        other = copied(album)
        # Neither waits for the other's fetch.
        assert (await other.artist).name == "Nina Simone"
        assert other.artist is not None

    async def test_serves_a_second_task(self, fetching: Any, queries: Any) -> None:
        album, first = fetching
        second = asyncio.ensure_future(fetch(album, "artist"))
        await asyncio.sleep(0)
        assert not second.done()
        assert queries == []


def get_album() -> Album:
    """An album, fetched in a loop of its own; nobody has looked at it yet."""
    found: list[Album] = []

    async def get() -> None:
        found.append(await Album.objects.get())

    asyncio.run(make_albums(1))
    asyncio.run(get())
    return found[0]


def test_an_instance_in_two_event_loops() -> None:
    """Each loop fetches for itself, at the same time, and gets the value."""
    album = get_album()
    querying = threading.Barrier(2, timeout=30)

    def meet(execute: Any, *args: Any) -> Any:
        await_(asyncio.to_thread(querying.wait))
        return execute(*args)

    async def main() -> set[str]:
        with connection.execute_wrapper(meet):
            three = await asyncio.gather(*(read(album) for _ in range(3)))
        return set(three)

    with ThreadPoolExecutor(2) as threads:
        work = [threads.submit(lambda: asyncio.run(main())) for _ in range(2)]
        assert [done.result(60) for done in work] == [{"Nina Simone"}] * 2


async def read(album: Album) -> str:
    return (await album.artist).name


def test_a_queryset_in_two_event_loops() -> None:
    asyncio.run(make_albums())
    queryset = Album.objects.prefetch_related("tracks")
    together = threading.Barrier(2, timeout=30)

    def main() -> list[list[str]]:
        together.wait()
        return asyncio.run(titles(queryset))

    with ThreadPoolExecutor(2) as threads:
        work = [threads.submit(main) for _ in range(2)]
        assert [done.result(60) for done in work] == [RIGHT] * 2


def test_a_fetch_in_a_loop_that_stands_still_keeps_no_other_waiting() -> None:
    album = get_album()
    tasks: list[asyncio.Task] = []

    async def begin() -> None:
        gate = Gate('FROM "records_artist"')
        tasks.append(asyncio.create_task(gate.around(lambda: read(album))))
        await gate.arrived.wait()

    with asyncio.Runner() as runner:
        runner.run(begin())
        with ThreadPoolExecutor(1) as thread:
            name = thread.submit(lambda: asyncio.run(read(album))).result(60)
        assert name == "Nina Simone"
        # The runner cancels it at its end.
        assert not tasks[0].done()
