"""Lazy attributes: NotFetched until awaited, then cached; never a wrong answer."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, type-arg, unreachable"

from __future__ import annotations

import asyncio
import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import django
import pytest
from django.core import exceptions
from django.core.exceptions import ObjectDoesNotExist
from django.core.files.base import ContentFile
from django.db import models as dj_models
from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor
from django.db.models.query_utils import DeferredAttribute
from django.test.utils import isolate_apps

from tests.records.models import Album, Artist, Biography, Label, Tag, Track
from vinyl.exceptions import NotFetchedError
from vinyl.orm import NotFetched, fetch, prefetch_related_objects, run
from vinyl.orm.recording import recording

# Django 6.1 has it.
FieldFetchBlocked = getattr(exceptions, "FieldFetchBlocked", LookupError)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def make_album(**values: Any) -> Album:
    artist, _ = await Artist.objects.get_or_create(name="Nina Simone")
    album = await Album.objects.create(title="Pastel Blues", artist=artist, **values)
    return await Album.objects.get(pk=album.pk)


class TestForeignKey:
    async def test_is_not_fetched_until_awaited(self) -> None:
        album = await make_album()
        assert isinstance(album.artist, NotFetched)
        assert repr(album.artist) == "<NotFetched Album.artist>"

    async def test_awaiting_takes_one_query_and_caches(
        self, queries: list[str]
    ) -> None:
        album = await make_album()
        queries.clear()
        artist = await album.artist
        assert artist == await Artist.objects.get()
        assert album.artist is artist
        assert len(queries) == 2  # the fetch, and the comparison's own

    async def test_awaiting_the_fetched_value_is_an_error(self) -> None:
        album = await make_album()
        await album.artist
        with pytest.raises(TypeError, match=r"Artist.* 'await'|await.*Artist"):
            await album.artist

    async def test_null_gives_none_without_a_query(self, queries: list[str]) -> None:
        album = await make_album()
        queries.clear()
        assert isinstance(album.label, NotFetched)
        assert await album.label is None
        assert album.label is None
        assert queries == []

    async def test_concurrent_awaits_share_one_query(self, queries: list[str]) -> None:
        album = await make_album()
        queries.clear()
        first, second, third = await asyncio.gather(
            album.artist, album.artist, fetch(album, "artist")
        )
        assert first is second is third is album.artist
        assert len(queries) == 1

    async def test_a_cancelled_fetch_leaves_the_others_going(self) -> None:
        album = await make_album()

        async def read() -> Artist:
            return await album.artist

        first = asyncio.create_task(read())
        second = asyncio.create_task(read())
        await asyncio.sleep(0)
        first.cancel()
        artist = await second
        assert artist.name == "Nina Simone"
        with pytest.raises(asyncio.CancelledError):
            await first

    async def test_a_missing_row_raises_as_in_django(self) -> None:
        album = await make_album()
        album.artist_id = 0
        with pytest.raises(Artist.DoesNotExist):
            await album.artist

    async def test_assigning_makes_it_a_value(self) -> None:
        album = await make_album()
        album.label = label = await Label.objects.create(name="Philips")
        assert album.label is label

    async def test_select_related_makes_it_a_value(self, queries: list[str]) -> None:
        await make_album()
        album = await Album.objects.select_related("artist", "label").get()
        queries.clear()
        assert album.artist.name == "Nina Simone"
        assert album.label is None
        assert queries == []

    async def test_is_plain_inside_the_bridge(self) -> None:
        album = await make_album()
        assert await run(lambda: album.artist.name) == "Nina Simone"
        assert album.artist.name == "Nina Simone"


class TestReverseOneToOne:
    async def test_is_fetched_by_awaiting(self) -> None:
        album = await make_album()
        artist = await album.artist
        await Biography.objects.create(artist=artist, text="Born in Tryon")
        artist = await Artist.objects.get()
        assert repr(artist.biography) == "<NotFetched Artist.biography>"
        biography = await artist.biography
        assert biography.text == "Born in Tryon"
        assert artist.biography is biography
        assert biography.artist is artist

    async def test_a_missing_one_raises_as_in_django(self) -> None:
        artist = await (await make_album()).artist
        with pytest.raises(Artist.biography.RelatedObjectDoesNotExist):
            await artist.biography


@isolate_apps("tests.records")
def test_descriptors_of_a_projects_own_make_the_value() -> None:
    class Shouting(DeferredAttribute):
        def __get__(self, instance: Any, cls: Any = None) -> Any:
            value = super().__get__(instance, cls)
            return value if instance is None else value.upper()

        def __set__(self, instance: Any, value: Any) -> None:
            instance.__dict__[self.field.attname] = value

    class Loud(dj_models.CharField):
        descriptor_class = Shouting

    class Polite(ForwardManyToOneDescriptor):
        def __get__(self, instance: Any, cls: Any = None) -> Any:
            value = super().__get__(instance, cls)
            return value if instance is None else f"please, {value}"

    class Asking(dj_models.ForeignKey):
        forward_related_accessor_class = Polite

    class Sleeve(dj_models.Model):
        word = Loud(max_length=9)
        picture = dj_models.FileField()
        artist = Asking(Artist, dj_models.CASCADE, related_name="+")

        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return self.word

    sleeve = Sleeve(word="x", artist=Artist(pk=1, name="Nina Simone"))
    sleeve.__dict__["picture"] = ContentFile(b"", name="own.png")
    for _ in range(2):
        assert (sleeve.word, sleeve.artist) == ("X", "please, Nina Simone")
        assert not sleeve.picture._committed


class TestDeferredField:
    async def test_is_fetched_by_awaiting(self, queries: list[str]) -> None:
        await make_album(notes="Recorded live")
        album = await Album.objects.defer("notes").get()
        queries.clear()
        assert repr(album.notes) == "<NotFetched Album.notes>"
        assert await album.notes == "Recorded live"
        assert album.notes == "Recorded live"
        assert len(queries) == 1

    async def test_a_deferred_key_counts_as_not_fetched(self) -> None:
        await make_album()
        album = await Album.objects.only("title").get()
        assert repr(album.artist_id) == "<NotFetched Album.artist_id>"
        assert (await album.artist).name == "Nina Simone"


class TestGenericForeignKey:
    async def test_is_fetched_by_awaiting(self) -> None:
        album = await make_album()
        await album.tags.create(word="live")
        tag = await Tag.objects.get()
        assert repr(tag.target) == "<NotFetched Tag.target>"
        assert await tag.target == album
        assert tag.target == album


class TestFetch:
    async def test_gives_the_values_of_one_object(self) -> None:
        album = await make_album()
        artist, label = await fetch(album, "artist", "label")
        assert artist is album.artist
        assert label is None

    async def test_accepts_what_is_there(self, queries: list[str]) -> None:
        album = await make_album()
        await album.artist
        queries.clear()
        assert await fetch(album, "artist") is album.artist
        assert queries == []

    async def test_takes_one_query_for_many_objects(self, queries: list[str]) -> None:
        for _ in range(3):
            await make_album(notes="x")
        albums = await Album.objects.defer("notes")
        queries.clear()
        await fetch(albums, "artist", "notes")
        assert [a.artist.name for a in albums] == ["Nina Simone"] * 3
        assert [a.notes for a in albums] == ["x"] * 3
        assert len(queries) == 2

    async def test_prefetches_the_rows_of_a_manager(self, queries: list[str]) -> None:
        album = await make_album()
        await Track.objects.create(title="Sinnerman", album=album, position=1)
        manager = await fetch(album, "tracks")
        queries.clear()
        assert [track.title for track in manager.all()] == ["Sinnerman"]
        assert queries == []

    async def test_of_several_models_asks_for_what_is_missing(
        self, queries: list[str]
    ) -> None:
        album = await make_album()
        await Track.objects.create(title="Sinnerman", album=album, position=1)
        track = await Track.objects.defer("title").get()
        queries.clear()
        await fetch([album, track], "title")
        assert (album.title, track.title) == ("Pastel Blues", "Sinnerman")
        assert len(queries) == 1

    async def test_evaluates_a_queryset(self) -> None:
        await make_album()
        albums = Album.objects.all()
        await fetch(albums, "artist")
        assert albums[0].artist.name == "Nina Simone"

    async def test_needs_an_attribute(self) -> None:
        with pytest.raises(TypeError, match="without an attribute"):
            await fetch(await make_album())

    async def test_a_deferred_field_of_a_deleted_row_raises(self) -> None:
        await make_album()
        albums = await Album.objects.defer("notes")
        await Album.objects.all().delete()
        with pytest.raises(ObjectDoesNotExist, match="no longer exists"):
            await fetch(albums, "notes")


@pytest.mark.skipif(django.VERSION < (6, 1), reason="Django 6.1 has fetch modes")
class TestFetchModes:
    async def make_albums(self, mode: str) -> list[Album]:
        for name in ("Nina", "Abbey", "Odetta"):
            artist = await Artist.objects.create(name=name)
            await Album.objects.create(title=f"By {name}", artist=artist)
        fetch_mode = getattr(dj_models, mode)
        return await Album.objects.fetch_mode(fetch_mode)

    async def test_awaiting_one_fetches_for_its_peers(self, queries: list[str]) -> None:
        albums = await self.make_albums("FETCH_PEERS")
        queries.clear()
        assert (await albums[0].artist).name == "Abbey"
        assert [album.artist.name for album in albums] == ["Abbey", "Nina", "Odetta"]
        assert len(queries) == 1

    async def test_peers_awaited_together_share_one_query(
        self, queries: list[str]
    ) -> None:
        albums = await self.make_albums("FETCH_PEERS")
        queries.clear()
        artists = await asyncio.gather(*(album.artist for album in albums))
        assert [artist.name for artist in artists] == ["Abbey", "Nina", "Odetta"]
        assert len(queries) == 1

    async def test_deferred_fields_too(self, queries: list[str]) -> None:
        await self.make_albums("FETCH_ONE")
        albums = await Album.objects.defer("notes").fetch_mode(dj_models.FETCH_PEERS)
        queries.clear()
        assert await asyncio.gather(*(album.notes for album in albums)) == ["", "", ""]
        assert len(queries) == 1

    async def test_raise_refuses_when_awaited(self) -> None:
        albums = await self.make_albums("FETCH_RAISE")
        with pytest.raises(FieldFetchBlocked, match=r"Album\.artist"):
            await albums[0].artist


async def test_what_is_recorded_has_the_line_that_reads(queries: list[str]) -> None:
    album = await make_album()
    with recording(full=True) as record:
        artist = album.artist
        await asyncio.create_task(fetched(artist))
        assert await fetch(album, "artist") == album.artist
    [load] = record.notes["loads"]
    assert load.name == "Album.artist"
    assert load.callsite.frame.function.endswith("has_the_line_that_reads")


async def fetched(value: Any) -> Any:
    return await value


async def test_prefetching_makes_querysets_iterable(queries: list[str]) -> None:
    album = await make_album()
    await album.tracks.create(title="Sinnerman")
    await prefetch_related_objects([album], "tracks", "artist")
    queries.clear()
    assert [track.title for track in album.tracks.all()] == ["Sinnerman"]
    assert album.artist.name == "Nina Simone"
    assert queries == []


USES: dict[str, Callable[[Any], Any]] = {
    "bool": bool,
    "if not": lambda lazy: not lazy,
    "str": str,
    "f-string": lambda lazy: f"by {lazy}",
    "f-string of a field": lambda lazy: f"by {lazy.name}",
    "attribute": lambda lazy: lazy.name,
    "hasattr": lambda lazy: hasattr(lazy, "name"),
    "getattr with a default": lambda lazy: getattr(lazy, "name", "unknown"),
    "setattr": lambda lazy: setattr(lazy, "name", "x"),
    "equals": lambda lazy: lazy == 1,
    "differs": lambda lazy: lazy != 1,
    "less": lambda lazy: lazy < 1,
    "iterates": list,
    "len": len,
    "contains": lambda lazy: 1 in lazy,
    "item": lambda lazy: lazy["name"],
    "call": lambda lazy: lazy(),
    "add": lambda lazy: lazy + 1,
    "join": lambda lazy: "by " + lazy,
    "percent format": lambda lazy: "by %s" % lazy,  # noqa: UP031
    "pickle": pickle.dumps,
    "copy": copy.copy,
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
async def test_using_what_is_not_fetched_raises(use: Callable[[Any], Any]) -> None:
    album = await make_album()
    with pytest.raises(NotFetchedError, match=r"Album\.artist .*`await obj\.artist`"):
        use(album.artist)


async def test_plain_json_refuses_it_by_type() -> None:
    album = await make_album()
    with pytest.raises(TypeError, match="NotFetched"):
        json.dumps({"artist": album.artist})


async def test_the_error_survives_pickling() -> None:
    error = NotFetchedError("Album", "artist", "formatting it")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert (again.owner, again.attribute) == ("Album", "artist")


def test_sync_mode_is_djangos_own(db: str) -> None:
    artist = Artist.objects.create(name="Nina Simone")
    Album.objects.create(title="Pastel Blues", artist=artist)
    album = Album.objects.defer("notes").get()
    assert album.artist.name == "Nina Simone"
    assert album.label is None
    assert album.notes == ""
