"""Plans of `iterator()`."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import gc
import itertools
from typing import Any

import django
import pytest
from django.db import connection
from django.db import models as django_models
from django.db.models import Count
from django.db.models.signals import post_init

from tests.orm.plans.planning import catalogue, thrice
from tests.records.models import Album, Artist, Track
from vinyl.orm import run, transaction
from vinyl.orm.plans import streams

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db", "nothing_known")]


def streamed(**kwargs: Any) -> list[tuple[int, int]]:
    albums = Album.objects.order_by("year").annotate(n=Count("tracks"))
    return [(album.year, album.n) for album in albums.iterator(**kwargs)]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_have_a_plan(size: int, used: list[str]) -> None:
    catalogue()
    found = thrice(lambda: streamed(chunk_size=size), used)
    assert found == [(0, 2), (1, 2), (2, 2)]


def test_of_values_have_a_plan(used: list[str]) -> None:
    catalogue()

    def rows() -> list[Any]:
        albums = Album.objects.order_by("year").distinct()
        return [
            *albums.values("title").iterator(),
            *albums.values_list("year", "title").iterator(),
            *albums.values_list("year", flat=True).iterator(chunk_size=2),
        ]

    assert len(thrice(rows, used)) == 9
    assert len(used) == 3


def number_of_albums() -> int:
    """Those that are alive in this process."""
    return sum(type(one) is Album for one in gc.get_objects())


def test_make_few_objects_at_a_time() -> None:
    artist = Artist.objects.create(name="Many")
    Album.objects.bulk_create(
        Album(title=f"{n}", artist=artist) for n in range(3 * streams.PIECE)
    )
    for _ in range(3):
        gc.collect()
        # Those of other tests.
        before = number_of_albums()
        albums = Album.objects.order_by("pk").iterator(chunk_size=1000)
        first = next(albums)
        alive = number_of_albums() - before
        assert [first.title, *(one.title for one in albums)] == [
            f"{n}" for n in range(3 * streams.PIECE)
        ]
        assert alive <= streams.PIECE


def test_share_the_plan_of_a_list(used: list[str]) -> None:
    catalogue()
    for _ in range(2):
        list(Album.objects.filter(year__gt=0))
    used.clear()
    assert len(list(Album.objects.filter(year__gt=1).iterator())) == 1
    assert used


def test_fetch_what_is_prefetched_by_chunks(used: list[str]) -> None:
    catalogue()

    def titles() -> list[list[str]]:
        albums = Album.objects.prefetch_related("tracks").order_by("year")
        return [
            [track.title for track in album.tracks.all()]
            for album in albums.iterator(chunk_size=2)
        ]

    assert thrice(titles, used) == [["0", "1"]] * 3
    assert len(used) == 3


@pytest.mark.parametrize("at", [0, 1])
def test_a_stream_that_is_left_closes_its_cursor(at: int, used: list[str]) -> None:
    catalogue()
    for _ in range(4):
        with transaction.atomic():
            rows = Track.objects.order_by("pk").iterator(chunk_size=1)
            for _ in itertools.islice(rows, at):
                pass
            rows.close()
            if connection.vendor == "postgresql":
                with connection.cursor() as cursor:
                    cursor.execute("SELECT count(*) FROM pg_cursors")
                    assert cursor.fetchone() == (0,)
    assert bool(used) == bool(at)


def test_nothing_runs_before_the_first_row(used: list[str]) -> None:
    catalogue()
    rows: list[Any] = []
    for _ in range(4):
        with connection.execute_wrapper(lambda *args: pytest.fail("It has run.")):
            rows.append(Album.objects.iterator())
    assert [len(list(one)) for one in rows] == [3] * 4


def test_receivers_hear_of_an_instance_when_it_comes(used: list[str]) -> None:
    catalogue()
    heard: list[str] = []

    def receive(instance: Any, **kwargs: Any) -> None:
        heard.append(instance.title)

    post_init.connect(receive, sender=Album)
    try:
        for _ in range(4):
            heard.clear()
            rows = Album.objects.order_by("year").iterator()
            assert next(rows).title == "Album 0"
            assert heard == ["Album 0"]
            rows.close()
    finally:
        post_init.disconnect(receive, sender=Album)
    assert used


@pytest.mark.skipif(django.VERSION < (6, 1), reason="needs Django 6.1")
def test_peers_are_those_of_all_chunks() -> None:
    catalogue()
    mode = getattr(django_models, "FETCH_PEERS", None)
    for _ in range(4):
        albums: Any = Album.objects.all()
        found = list(albums.fetch_mode(mode).iterator(chunk_size=1))
        assert [len(album._state.peers) for album in found] == [3] * 3


async def test_in_async_code(used: list[str]) -> None:
    await run(catalogue)
    for _ in range(4):
        years = []
        async for album in Album.objects.order_by("year").iterator(chunk_size=2):
            years.append(album.year)
            if album.year == 1:
                break
        assert years == [0, 1]
    assert used
    assert [album.year async for album in Album.objects.order_by("year")] == [0, 1, 2]
