"""Joins that a filter uses again, and rows that are asked for by their number."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

import pytest
from django.db.models import Prefetch

from tests.orm.plans.planning import catalogue, thrice
from tests.records.models import Album, Artist, Genre

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db", "nothing_known")]


def test_prefetches_use_the_joins_of_their_queryset(used: list[str]) -> None:
    album = catalogue()
    genre = Genre.objects.create(name="Jazz")
    genre.albums.set([album, Album.objects.get(year=0)])

    def genres() -> list[list[str]]:
        # The genres of an album, by the row of the join with a later year.
        late = Genre.objects.filter(albums__year__gt=0)
        albums = Album.objects.order_by("year").prefetch_related(
            Prefetch("genres", late)
        )
        return [[one.name for one in found.genres.all()] for found in albums]

    assert thrice(genres, used) == [[], [], ["Jazz"]]


def test_a_copy_of_a_related_queryset_forgets_its_joins(used: list[str]) -> None:
    album = catalogue()
    genre = Genre.objects.create(name="Jazz")
    genre.albums.set([album, Album.objects.get(year=0)])

    def directly() -> int:
        return album.genres.filter(albums__year=0).count()

    def by_way_of_a_copy() -> int:
        return album.genres.all().all().filter(albums__year=0).count()

    assert thrice(directly, used) == 0
    assert thrice(by_way_of_a_copy, used) == 1


def test_a_manager_with_a_filter_of_its_own(used: list[str]) -> None:
    album = catalogue()
    artist = Artist.objects.get()

    def albums() -> list[Album]:
        return list(artist.albums.from_the_sixties().using("default"))

    assert thrice(albums, used) == []
    album.year = 1965
    album.save()
    assert albums() == [album]


def test_one_row_by_its_number_is_a_slice(used: list[str]) -> None:
    catalogue()
    assert thrice(lambda: Album.objects.order_by("year")[1].year, used) == 1
    for number in (0, 9):
        for _ in range(3):
            with pytest.raises(IndexError, match="list index out of range"):
                Artist.objects.filter(name="x")[number]
    with pytest.raises(ValueError, match="Negative indexing"):
        Artist.objects.all()[-1]
