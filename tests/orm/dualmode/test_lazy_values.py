"""What is not fetched is not taken for a value by the ORM, by forms or in raw SQL."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, list-item, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django import forms
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import models
from django.db.models import F, Q, Value
from django.db.models.fields.files import FieldFile
from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor
from django.db.models.functions import Concat

from tests.records.models import Album, Artist, Biography, Label, Tag, Track
from vinyl.exceptions import NotAwaitedError, NotFetchedError
from vinyl.orm import connection, fetch, prefetch_related_objects, run
from vinyl.orm.dualmode import lazy

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

SQL = "SELECT * FROM records_album WHERE title = %s"


class Given(NamedTuple):
    """Instances of which nothing is fetched; also no field of `lazy` but its keys."""

    lazy: Album
    artist: Artist
    track: Track
    tag: Tag


@pytest.fixture
async def given(db: str) -> Given:
    artist = await Artist.objects.create(name="Nina Simone")
    await Biography.objects.create(artist=artist, text="Born in Tryon")
    label = await Label.objects.create(name="Philips")
    album = await Album.objects.create(title="x", artist=artist, label=label)
    await album.tracks.create(title="Sinnerman")
    await album.tags.create(word="live")
    return Given(
        await Album.objects.defer("title", "year", "released").get(),
        await Artist.objects.get(),
        await Track.objects.get(),
        await Tag.objects.get(),
    )


class AlbumForm(forms.ModelForm):
    class Meta:
        model = Album
        fields = ("title", "artist")


async def saved(obj: Any, name: str, value: Any) -> None:
    setattr(obj, name, value)
    await obj.save()


async def cleaned(obj: Any, name: str, value: Any) -> None:
    setattr(obj, name, value)
    await obj.full_clean()


async def executed(*params: Any) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute(SQL, params)


USES: dict[str, Callable[[Given], Any]] = {
    # Instances.
    "assigned to a foreign key": lambda it: setattr(it.track, "album", it.lazy.artist),
    "assigned to a reverse one-to-one": (
        lambda it: setattr(it.artist, "biography", it.lazy.artist)
    ),
    "assigned to a generic key": lambda it: setattr(it.tag, "target", it.lazy.artist),
    "a new object": lambda it: Album(artist=it.lazy.artist),
    "a new object's field": lambda it: Album(title=it.lazy.title),
    "a new object's generic key": lambda it: Tag(target=it.lazy.artist),
    "a field, saved": lambda it: saved(it.lazy, "notes", it.lazy.title),
    "a number, saved": lambda it: saved(it.track, "position", it.lazy.year),
    "a key, saved": lambda it: saved(it.track, "album_id", it.lazy.year),
    "a date, saved": lambda it: saved(Album(artist_id=1), "released", it.lazy.released),
    "a field, cleaned": lambda it: cleaned(it.track, "title", it.lazy.title),
    "a date, cleaned": (
        lambda it: cleaned(Album(title="x", artist_id=1), "released", it.lazy.released)
    ),
    "compared": lambda it: it.artist == it.lazy.artist,
    "compared, on the left": lambda it: it.lazy.artist == it.artist,
    "looked for": lambda it: it.artist in [it.lazy.artist],
    # Querysets.
    "filter": lambda it: Album.objects.filter(artist=it.lazy.artist),
    "filter by a field": lambda it: Album.objects.filter(title=it.lazy.title),
    "filter by a date": lambda it: Album.objects.filter(released=it.lazy.released),
    "filter by a lookup": lambda it: Album.objects.filter(
        title__icontains=it.lazy.title
    ),
    "filter by a range": (
        lambda it: Album.objects.filter(year__range=(it.lazy.year, 1970))
    ),
    "filter through a relation": (
        lambda it: Track.objects.filter(album__artist=it.lazy.artist)
    ),
    "filter by a reverse relation": (
        lambda it: Artist.objects.filter(biography=it.artist.biography)
    ),
    "filter by what is in parentheses": lambda it: Album.objects.filter(it.lazy.title),
    "exclude": lambda it: Album.objects.exclude(artist__in=[it.lazy.artist]),
    "exclude a generator": (
        lambda it: Album.objects.exclude(artist__in=(a.artist for a in [it.lazy]))
    ),
    "Q": lambda it: Album.objects.filter(Q(pk=1) | Q(title=it.lazy.title)),
    "F": lambda it: Album.objects.filter(title=F(it.lazy.title)),
    "Value": lambda it: Album.objects.annotate(x=Value(it.lazy.title)).get(),
    "a function": lambda it: Album.objects.annotate(x=Concat("title", it.lazy.title)),
    "annotate": lambda it: Album.objects.annotate(x=it.lazy.title),
    "order_by": lambda it: Album.objects.order_by(it.lazy.title),
    "get": lambda it: Album.objects.get(artist=it.lazy.artist),
    "create": lambda it: Album.objects.create(title="x", artist=it.lazy.artist),
    "create with a field": (
        lambda it: Album.objects.create(title=it.lazy.title, artist=it.artist)
    ),
    "get_or_create": (
        lambda it: Album.objects.get_or_create(
            title="new", defaults={"artist": it.lazy.artist}
        )
    ),
    "update": lambda it: Album.objects.update(artist=it.lazy.artist),
    "update a field": lambda it: Album.objects.update(notes=it.lazy.title),
    "bulk_create": lambda it: Artist.objects.bulk_create([it.lazy.artist]),
    "bulk_update": lambda it: Artist.objects.bulk_update([it.lazy.artist], ["name"]),
    "in_bulk": lambda it: Album.objects.in_bulk([it.lazy.year]),
    "contains": lambda it: Artist.objects.contains(it.lazy.artist),
    # Managers of relations.
    "add": lambda it: it.artist.albums.add(it.track.album),
    "set": lambda it: it.artist.albums.set([it.track.album]),
    "add many to many": lambda it: it.lazy.genres.add(it.lazy.artist),
    "remove many to many": lambda it: it.lazy.genres.remove(it.lazy.artist),
    "set many to many": lambda it: it.lazy.genres.set([it.lazy.artist]),
    "add generic": lambda it: it.lazy.tags.add(it.lazy.artist),
    "set generic": lambda it: it.lazy.tags.set([it.lazy.artist]),
    "create related": lambda it: it.artist.albums.create(title=it.lazy.title),
    "prefetch": lambda it: prefetch_related_objects([it.lazy.artist], "albums"),
    "fetch": lambda it: fetch(it.lazy.artist, "albums"),
    # SQL by hand.
    "a cursor": lambda it: executed(it.lazy.title),
    "a raw query": lambda it: Album.objects.raw(SQL, [it.lazy.title]),
    "a part of SQL": (
        lambda it: Album.objects.extra(where=["title = %s"], params=[it.lazy.title])
    ),
    # Forms.
    "initial": lambda it: AlbumForm(initial={"title": it.lazy.title}).as_p(),
    "initial, in the bridge": (
        lambda it: run(
            lambda artist: AlbumForm(initial={"artist": artist}).as_p(), it.lazy.artist
        )
    ),
    "data": (
        lambda it: run(
            lambda artist: AlbumForm({"artist": artist}).is_valid(), it.lazy.artist
        )
    ),
    "instance": lambda it: AlbumForm(instance=it.lazy.artist),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
async def test_what_is_not_fetched_is_refused(
    given: Given, use: Callable[[Given], Any]
) -> None:
    before = await Album.objects.count()
    with pytest.raises(NotFetchedError, match="has not been fetched.*Await it first"):
        result = use(given)
        if inspect.isawaitable(result):
            await result
    assert await Album.objects.count() == before


async def test_the_error_says_that_it_was_passed_to_the_orm(given: Given) -> None:
    with pytest.raises(NotFetchedError, match="so passing it to the ORM as a value"):
        Album.objects.filter(artist=given.lazy.artist)
    with pytest.raises(NotFetchedError, match="so passing it to the ORM as a value"):
        given.track.album = given.lazy.artist  # type: ignore[assignment]


async def test_what_was_awaited_is_taken(given: Given) -> None:
    artist, title = await fetch(given.lazy, "artist", "title")
    album = await Album.objects.create(title=title, artist=artist)
    assert (
        await Album.objects.filter(artist=given.lazy.artist, title=title).count() == 2
    )
    album.artist = given.lazy.artist
    await album.full_clean(exclude=["label", "notes"])
    await executed(title)


async def test_a_call_is_no_parameter_of_sql(given: Given) -> None:
    with pytest.raises(NotAwaitedError, match="passing it to the database"):
        await executed(Album.objects.count())


async def test_others_may_ask_for_its_class(given: Given) -> None:
    lazy: Any = given.lazy.artist
    assert not isinstance(lazy, Artist)
    assert lazy.__class__ is type(lazy)


class TestFiles:
    """The attribute of a FileField makes a file object of the name in the instance."""

    class Scan(models.Model):  # noqa: DJ008 - it is never shown
        page = models.FileField(upload_to="scans", blank=True)

        class Meta:
            app_label = "files_of_tests"

    async def test_a_name_becomes_a_file(self) -> None:
        def check() -> None:
            for scan in (
                self.Scan(page="a.txt"),
                self.Scan.from_db("default", ["id", "page"], [1, "a.txt"]),
            ):
                assert isinstance(scan.page, FieldFile)
                assert (scan.page.name, scan.page.url) == ("a.txt", "/a.txt")
                scan.page = "b.txt"
                assert scan.page.name == "b.txt"
            assert not self.Scan().page

        check()
        await run(check)

    async def test_an_upload_becomes_a_file_of_the_field(self) -> None:
        scan = self.Scan(page=SimpleUploadedFile("a.txt", b"text"))
        assert isinstance(scan.page, FieldFile)
        assert scan.page.size == 4


def test_a_field_of_a_project_is_asked_for_what_it_has_cached() -> None:
    class Own(models.ForeignKey[Any, Any]):
        def get_cached_value(self, instance: Any, default: Any = None) -> Any:
            return "asked"

    own = Own(Artist, models.CASCADE)
    own.set_attributes_from_name("artist")
    album = Album(artist=Artist(pk=1))
    descriptor: Any = ForwardManyToOneDescriptor(own)
    assert descriptor.__get__(album, Album) == "asked"
    assert vars(Album)["artist"].__get__(album, Album) is album.artist


async def test_a_cached_relation_is_read_without_the_mode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    artist = Artist(pk=1)
    album = Album(artist=artist)
    assert album.artist is artist

    def fail() -> bool:
        raise AssertionError("The mode makes no difference.")

    monkeypatch.setattr(lazy, "runs_sync", fail)
    assert album.artist is artist
    assert Album.artist is vars(Album)["artist"]
    with pytest.raises(AssertionError, match="makes no difference"):
        Album().artist  # noqa: B018
