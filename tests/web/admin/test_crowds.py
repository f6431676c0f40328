"""Relations to many objects that columns read, for all rows of a list together."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Any

import pytest

from tests.records.models import Album, Artist, Genre, Tag, Track
from tests.web.admin.administering import administering, superuser, text
from vinyl.orm import run
from vinyl.web.admin import AdminSite, ModelAdmin, crowds
from vinyl.web.admin.crowds import share_crowds

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def some_albums(number: int = 6) -> None:
    genres = [await Genre.objects.create(name=name) for name in ("Jazz", "Soul")]
    for i in range(number):
        artist = await Artist.objects.create(name=f"Artist {i}")
        album = await Album.objects.create(title=f"Album {i}", artist=artist)
        for position in range(i):
            title = f"Track {i}.{position}"
            await Track.objects.create(title=title, album=album, position=position)
        await album.genres.add(*genres[: i % 3])
        if i % 2:
            await Tag.objects.create(word=f"Tag {i}", target=album)


class AlbumAdmin(ModelAdmin):
    list_display = ("title", "songs", "number", "kinds", "words", "later")

    def songs(self, album: Any) -> str:
        return "/".join(track.title for track in album.tracks.all())

    def number(self, album: Any) -> str:
        has = album.tracks.exists()
        return f"{album.tracks.count()} {len(album.tracks.all())} {has}"

    def kinds(self, album: Any) -> str:
        return "+".join(genre.name for genre in album.genres.all())

    def words(self, album: Any) -> str:
        return "&".join(tag.word for tag in album.tags.all()) or "none"

    async def later(self, album: Any) -> str:
        return f"{await album.tracks.count()} later"


def site_with(options: Any) -> AdminSite:
    site = AdminSite()
    site.register(Album, options)
    return site


async def test_columns_take_the_same_number_of_queries_for_more_rows(
    queries: list[str],
) -> None:
    await superuser()
    await some_albums(4)
    taken = []
    async with administering(site=site_with(AlbumAdmin)) as http:
        for _ in range(2):
            queries.clear()
            page = await http.get("/admin/records/album/")
            taken.append(len(queries))
            for i in range(4, 7):
                artist = await Artist.objects.create(name=f"More {len(taken)}.{i}")
                album = await Album.objects.create(title="More", artist=artist)
                await Track.objects.create(title="Track", album=album)
    assert taken[0] == taken[1], queries
    assert "Album 3 Track 3.0/Track 3.1/Track 3.2 3 3 True" in text(page)
    assert "3 3 True - Tag 3 3 later" in text(page)


async def test_exports_too(queries: list[str]) -> None:
    await superuser()
    await some_albums()
    async with administering(site=site_with(AlbumAdmin)) as http:
        queries.clear()
        page = await http.get("/admin/records/album/export/csv/")
        assert len(queries) < 25
    rows = [*csv.DictReader(page.text.lstrip("\ufeff").splitlines())]
    by_title = {row["title"]: row for row in rows}
    assert by_title["Album 2"]["songs"] == "Track 2.0/Track 2.1"
    assert by_title["Album 2"]["kinds"] == "Jazz+Soul"
    assert by_title["Album 0"]["number"] == "0 0 False"


READS: dict[str, Callable[[Any], Any]] = {
    "all": lambda album: [track.title for track in album.tracks.all()],
    "the way back": lambda album: [t.album.title for t in album.tracks.all()],
    "a slice": lambda album: [track.title for track in album.tracks.all()[:2]],
    "the first": lambda album: str(album.tracks.order_by("-pk").first()),
    "a filter": lambda album: album.tracks.filter(position=1).count(),
    "an order": lambda album: [t.title for t in album.tracks.order_by("-title")],
    "count": lambda album: album.tracks.count(),
    "count after all": lambda a: (len(a.tracks.all()), a.tracks.all().count()),
    "exists": lambda album: album.tracks.exists(),
    "many to many": lambda album: [genre.name for genre in album.genres.all()],
    "count of many to many": lambda album: album.genres.count(),
    "the other way round": lambda album: (
        [other.title for genre in album.genres.all() for other in genre.album_set.all()]
        if hasattr(Genre, "album_set")
        else []
    ),
    "generic": lambda album: [tag.word for tag in album.tags.all()],
    "count of generic": lambda album: album.tags.count(),
    "a manager by name": lambda album: album.tracks(manager="objects").count(),
    "values": lambda album: [*album.tracks.values_list("title", flat=True)],
    "iterator": lambda album: [track.title for track in album.tracks.iterator()],
    "aggregate": lambda album: album.tracks.aggregate(),
    "contains": lambda album: album.tracks.contains(Track.objects.earliest("pk")),
}


@pytest.mark.parametrize("most", [5_000, 2], ids=["fetched", "too many to fetch"])
async def test_the_same_answers_as_row_by_row(
    most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowds, "MAX_FETCHED", most)
    await some_albums()

    def answers(read: Callable[[Any], Any], shared: bool) -> list[Any]:
        albums = [*Album.objects.order_by("pk")]
        if shared:
            share_crowds(albums)
        # Twice, since the first row is another case.
        return [read(album) for album in albums + albums]

    for name, read in READS.items():
        expected = await run(answers, read, False)
        assert await run(answers, read, True) == expected, name


async def test_too_many_objects_are_fetched_row_by_row_and_still_counted(
    queries: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowds, "MAX_FETCHED", 5)
    await some_albums()

    def read() -> list[int]:
        albums = [*Album.objects.order_by("pk")]
        share_crowds(albums)
        queries.clear()
        counts = [album.tracks.count() for album in albums]
        assert len(queries) == 2
        assert [len(album.tracks.all()) for album in albums] == counts
        # Those without any need no query, apart from the first one.
        assert len(queries) == 2 + len(albums)
        return counts

    assert await run(read) == [*range(6)]


async def test_a_change_ends_the_sharing() -> None:
    await some_albums()

    def read() -> None:
        albums = [*Album.objects.order_by("pk")]
        share_crowds(albums)
        for album in albums:
            album.tracks.count()
            list(album.genres.all())
        last, jazz = albums[-1], Genre.objects.get(name="Jazz")
        last.tracks.add(Track(title="New", position=9), bulk=False)
        assert last.tracks.count() == 6
        last.genres.set([jazz])
        assert [*last.genres.all()] == [jazz]
        last.genres.clear()
        assert [*last.genres.all()] == []

    await run(read)


async def test_managers_of_a_project_and_prefetched_rows_are_left_alone(
    queries: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await some_albums()

    def read() -> None:
        albums = [*Album.objects.prefetch_related("tracks").order_by("pk")]
        share_crowds(albums)
        queries.clear()
        assert [len(album.tracks.all()) for album in albums] == [*range(6)]
        assert not queries

    await run(read)

    def own() -> None:
        manager = type(Track._default_manager)

        class Second(manager):  # type: ignore[valid-type]
            def get_queryset(self) -> Any:
                # It depends on the row.
                return super().get_queryset().filter(position__lt=self.instance.pk)

        Second.model = Track
        albums = [*Album.objects.order_by("pk")]
        share_crowds(albums)
        for album in albums:
            assert album.tracks.count() == len(album.tracks.all())

    await run(own)


async def test_few_rows_and_others_are_left_alone() -> None:
    def read() -> None:
        share_crowds(["no row", 5])
        album = Album()
        share_crowds([album])
        assert "_prefetched_objects_cache" not in vars(album)

    await run(read)


class Filtering(ModelAdmin):
    list_display = ("title", "first_song")

    def first_song(self, album: Any) -> str:
        return ", ".join(track.title for track in album.tracks.filter(position=0))


async def test_the_log_names_a_column_that_asks_for_each_row(
    caplog: pytest.LogCaptureFixture,
) -> None:
    await superuser()
    await some_albums(4)
    for debug in (False, True):
        caplog.clear()
        async with administering(site=site_with(Filtering), DEBUG=debug) as http:
            assert "Track 3.0" in (await http.get("/admin/records/album/")).text
        told = [one.getMessage() for one in caplog.records if "N+1" in one.getMessage()]
        if not debug:
            assert told == []
    [line] = told
    assert "in Filtering.first_song() loaded Album.tracks 4 times" in line
    assert 'Prefetch("tracks"' in line
