"""Managers of relations to many objects are like those that Django makes."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, union-attr"

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
from django.db.models.manager import BaseManager
from django.test.utils import isolate_apps

from tests.orm.plans.planning import catalogue
from tests.records.models import Album, Artist, Genre
from vinyl.orm import models, run

pytestmark = pytest.mark.usefixtures("db", "nothing_known")

# Django's numbers differ from manager to manager, too.
NUMBER = "creation_counter"


def made_by_django(instance: Any, name: str) -> Any:
    descriptor = getattr(type(instance), name)
    return descriptor.related_manager_cls(instance)


def compare(instance: Any, name: str) -> None:
    """The first manager is Django's, and the others are copies."""
    getattr(instance, name)
    found, expected = getattr(instance, name), made_by_django(instance, name)
    assert type(found) is type(expected)
    of_found, of_expected = dict(vars(found)), dict(vars(expected))
    assert of_found.pop(NUMBER) < 0 <= of_expected.pop(NUMBER)
    assert of_found == of_expected
    assert [*of_found] == [key for key in vars(expected) if key != NUMBER]


@pytest.fixture
def album() -> Album:
    album = catalogue()
    album.genres.add(Genre.objects.create(name="Jazz"))
    return album


@pytest.mark.parametrize("name", ["tracks", "reviews", "genres"])
def test_the_managers_of_an_instance(name: str, album: Album) -> None:
    compare(album, name)
    other = Album.objects.exclude(pk=album.pk)[0]
    compare(other, name)
    assert getattr(other, name).instance is other
    assert getattr(album, name).instance is album


def test_the_other_side_of_a_many_to_many_relation(album: Album) -> None:
    compare(Genre.objects.get(), "albums")
    assert list(Genre.objects.get().albums.all()) == [album]


def test_two_managers_of_an_instance(album: Album) -> None:
    other = Album.objects.exclude(pk=album.pk)[0]
    for name in ("tracks", "genres"):
        one, another = getattr(album, name), getattr(album, name)
        assert one is not another
        assert one == another
        assert vars(one)[NUMBER] > vars(another)[NUMBER]
        assert one != getattr(other, name)
    album.tracks._hints["x"] = album.tracks.core_filters["x"] = 1
    assert not album.tracks._hints
    assert [*album.tracks.core_filters] == ["album"]


def test_an_instance_without_a_key_is_refused(album: Album) -> None:
    assert album.genres.exists()
    with pytest.raises(ValueError, match="needs to have a value for field"):
        Album(artist=album.artist).genres  # noqa: B018
    with pytest.raises(ValueError, match="needs to have a primary key value"):
        Album(artist=album.artist).tracks.all()


def test_no_copy_keeps_the_first_instance_alive() -> None:
    album = catalogue()
    album.tracks, album.genres  # noqa: B018
    gone = weakref.ref(album)
    del album
    gc.collect()
    assert gone() is None


def test_reading_them_leaves_the_class_as_it_is(album: Album) -> None:
    album.tracks, album.genres  # noqa: B018
    before = BaseManager.creation_counter
    album.tracks, album.genres  # noqa: B018
    assert BaseManager.creation_counter == before


def test_a_change_through_them_is_one_of_the_instance(album: Album) -> None:
    for one in Album.objects.all():
        one.tracks.create(title=f"Of {one.title}")
        one.genres.set([Genre.objects.create(name=one.title)])
    for one in Album.objects.all():
        assert [str(track) for track in one.tracks.filter(title__startswith="Of")] == [
            f"Of {one.title}"
        ]
        assert [genre.name for genre in one.genres.all()] == [one.title]


@isolate_apps("tests.records")
def test_a_constructor_of_the_project_is_called() -> None:
    made: list[Any] = []

    class Noting(models.Manager[Any]):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    class Shelf(models.Model):
        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return "shelf"

    class Book(models.Model):
        shelf = models.ForeignKey(Shelf, models.CASCADE, related_name="books")
        objects = Noting()

        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return "book"

    shelf, made[:] = Shelf(pk=1), []
    books = [shelf.books, shelf.books, shelf.books]
    assert made == books


@pytest.mark.anyio
async def test_on_the_event_loop() -> None:
    album = await run(catalogue)
    artist = await Artist.objects.get()
    for _ in range(3):
        assert await album.tracks.count() == 2
        assert len(await artist.albums.all()) == 3
