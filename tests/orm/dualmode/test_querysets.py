"""Awaiting and iterating querysets, and refusing to block."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="call-overload, misc"

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.core.exceptions import SynchronousOnlyOperation

from tests.bridge.test_dropped import OURS, PACKAGES, compiled
from tests.records.models import Album, Artist, Track
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import run

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def make_tracks(number: int = 5) -> Album:
    artist = await Artist.objects.create(name="Nina Simone")
    album = await Album.objects.create(title="Pastel Blues", artist=artist)
    await Track.objects.bulk_create(
        Track(title=f"Track {n}", position=n, album=album) for n in range(number)
    )
    return album


class TestAwaiting:
    async def test_gives_a_list_and_fills_the_cache(self, queries: list[str]) -> None:
        await make_tracks()
        tracks = Track.objects.all()
        queries.clear()
        result = await tracks
        assert type(result) is list
        assert len(result) == 5
        assert [track.position for track in tracks] == [0, 1, 2, 3, 4]
        assert len(tracks) == 5
        assert tracks
        assert result[2] in tracks
        assert tracks[3] is result[3]
        assert len(queries) == 1

    async def test_the_list_is_the_callers_own(self) -> None:
        await make_tracks()
        tracks = Track.objects.all()
        (await tracks).clear()
        assert len(tracks) == 5

    async def test_of_values_and_slices(self) -> None:
        await make_tracks()
        titles = Track.objects.values_list("title", flat=True)
        assert await titles[1:3] == ["Track 1", "Track 2"]
        assert await titles[::2] == ["Track 0", "Track 2", "Track 4"]

    async def test_of_an_index_gives_one_object(self) -> None:
        await make_tracks()
        assert (await Track.objects.all()[3]).position == 3
        with pytest.raises(IndexError):
            await Track.objects.all()[50]

    async def test_of_raw_sql(self) -> None:
        await make_tracks()
        tracks = Track.objects.raw("SELECT * FROM records_track ORDER BY position")
        assert [track.position for track in await tracks] == [0, 1, 2, 3, 4]
        assert (await tracks)[1].title == "Track 1"

    async def test_with_prefetch(self, queries: list[str]) -> None:
        await make_tracks()
        queries.clear()
        (artist,) = await Artist.objects.prefetch_related("albums__tracks")
        (album,) = artist.albums.all()
        assert len(album.tracks.all()) == 5
        assert len(queries) == 3

    @pytest.mark.parametrize(
        "make",
        [
            lambda: Artist.objects.all(),
            lambda: Artist.objects.raw("SELECT * FROM records_artist"),
        ],
        ids=["queryset", "raw SQL"],
    )
    def test_keeps_the_rows_if_a_prefetch_fails(self, make: Any) -> None:
        asyncio.run(make_tracks())

        def evaluated() -> Any:
            artists = make().prefetch_related("albums", "nothing")
            for _ in range(2):
                with pytest.raises(AttributeError, match="Cannot find 'nothing'"):
                    list(artists)
            [artist] = artists._result_cache
            return artists._prefetch_done, artist, [*artist.albums.all()]

        async def in_the_bridge() -> Any:
            return await run(evaluated)

        assert asyncio.run(in_the_bridge()) == evaluated()

    async def test_async_for_fetches_at_once(self, queries: list[str]) -> None:
        await make_tracks()
        queries.clear()
        assert [track.position async for track in Track.objects.all()] == [
            0,
            1,
            2,
            3,
            4,
        ]
        assert len(queries) == 1

    async def test_runs_side_by_side(self) -> None:
        await make_tracks()
        counts = await asyncio.gather(*(Track.objects.count() for _ in range(30)))
        assert counts == [5] * 30

    async def test_errors_are_djangos(self) -> None:
        await make_tracks()
        with pytest.raises(Track.DoesNotExist):
            await Track.objects.get(position=50)
        with pytest.raises(Track.MultipleObjectsReturned):
            await Track.objects.get()


class TestRefusing:
    @pytest.mark.parametrize(
        "use",
        [
            lambda qs: list(qs),
            lambda qs: len(qs),
            lambda qs: bool(qs),
            lambda qs: 1 in qs,
            lambda qs: [x for x in qs if x],
        ],
        ids=["list", "len", "bool", "in", "for"],
    )
    async def test_using_one_that_was_not_awaited(self, use: Any) -> None:
        with pytest.raises(NotAwaitedError, match="QuerySet of Track .*await"):
            use(Track.objects.all())
        with pytest.raises(SynchronousOnlyOperation):
            use(Track.objects.raw("SELECT 1"))

    async def test_the_columns_of_raw_sql(self) -> None:
        tracks = Track.objects.raw("SELECT id, title FROM records_track")
        with pytest.raises(NotAwaitedError, match=r"RawQuerySet\.columns.*`await`"):
            list(tracks.columns)
        assert await tracks.columns == ["id", "title"]
        assert tracks.columns == ["id", "title"]
        assert await tracks == []
        awaited = Track.objects.raw("SELECT id FROM records_track")
        await awaited
        assert awaited.columns == ["id"]
        assert "title" in awaited.model_fields

    async def test_a_for_loop_over_a_stream(self) -> None:
        with pytest.raises(NotAwaitedError, match="async for"):
            for _ in Track.objects.iterator():
                pass

    async def test_repr_never_raises(self, queries: list[str]) -> None:
        assert repr(Track.objects.all()) == "<QuerySet of Track, not awaited>"
        assert "RawQuerySet" in repr(Track.objects.raw("SELECT 1"))
        assert queries == []
        await make_tracks(1)
        tracks = Track.objects.all()
        await tracks
        assert repr(tracks) == "<QuerySet [<Track: Track 0>]>"

    async def test_prefetching_that_has_not_been_done(self) -> None:
        await make_tracks()
        albums = Album.objects.all()
        await albums
        again = albums.prefetch_related("tracks")
        with pytest.raises(NotAwaitedError):
            list(again)


USES = (
    "list(qs)",
    "[x for x in qs]",
    "len(qs)",
    "1 if qs else 2",
    "None in qs",
    "f'{qs}'",
)


@pytest.mark.parametrize("use", USES)
async def test_a_use_by_sync_code_of_a_package_says_what_to_run(use: str) -> None:
    source = f"def uses(qs):\n    return {use}\ndef work(qs):\n    return uses(qs)"
    of_package = compiled(source, PACKAGES, {})
    with pytest.raises(NotAwaitedError) as caught:
        of_package(Artist.objects.all())
    text = str(caught.value)
    assert "but uses() of made_up.factory, sync code, uses them" in text
    assert "`await vinyl.orm.run(work, ...)`" in text
    # There it works.
    await run(of_package, Artist.objects.all())
    # Elsewhere it is the queryset that has to be awaited.
    with pytest.raises(NotAwaitedError, match="Write `results = await queryset`"):
        compiled(source, OURS, {})(Artist.objects.all())
    source = f"async def work(qs):\n    return {use}"
    with pytest.raises(NotAwaitedError, match="Write `results = await queryset`"):
        await compiled(source, PACKAGES, {})(Artist.objects.all())
