"""The methods that record steps: their queries have plans, and the same results."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import django
import pytest
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import Prefetch, Q
from django.db.models.functions import Cast
from django.test.utils import CaptureQueriesContext
from django.utils.functional import SimpleLazyObject

from tests.orm.plans.planning import catalogue, thrice
from tests.records.models import Album, Track
from vinyl.orm import models

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


class TestQueries:
    def test_of_related_managers(self, used: list[str]) -> None:
        album = catalogue()

        def tracks() -> list[Track]:
            return list(album.tracks.all())

        found = thrice(tracks, used)
        assert [track.position for track in found] == [0, 1]
        # The manager's own object, without a query.
        with CaptureQueriesContext(connection) as queries:
            assert all(track.album is album for track in tracks())
        assert len(queries) == 1

    def test_of_relations(self, used: list[str]) -> None:
        album = catalogue()

        def artist() -> tuple[str, str]:
            found = Album.objects.get(pk=album.pk).artist
            return found.name, found.biography.text

        assert thrice(artist, used) == ("Nina Simone", "Born in Tryon.")
        assert len(used) == 3

    def test_of_prefetches(self, used: list[str]) -> None:
        catalogue()

        def titles() -> list[list[str]]:
            albums = Album.objects.prefetch_related("tracks").order_by("pk")
            return [[track.title for track in album.tracks.all()] for album in albums]

        assert thrice(titles, used) == [["0", "1"]] * 3
        assert len(used) == 2

    def test_of_prefetches_with_querysets_of_their_own(self, used: list[str]) -> None:
        catalogue()

        def titles(position: int) -> list[list[str]]:
            tracks: Any = Track.objects.filter(position=position)
            albums = Album.objects.prefetch_related(Prefetch("tracks", tracks))
            albums = albums.filter(year__lt=9).order_by("pk")
            return [[track.title for track in album.tracks.all()] for album in albums]

        assert thrice(lambda: titles(0), used) == [["0"]] * 3
        assert len(used) == 2
        assert titles(1) == [["1"]] * 3
        assert len(used) == 4

    def test_without_the_lookups_of_before(self, used: list[str]) -> None:
        catalogue()

        def lookups() -> list[Any]:
            tracks: Any = Prefetch("tracks", to_attr="songs")
            some = Album.objects.prefetch_related(tracks).order_by("pk")
            none = some.prefetch_related(None)
            list(none)
            more = none.prefetch_related("artist", "label")
            return [one._prefetch_related_lookups for one in (some, none, more)]

        assert thrice(lookups, used)[1:] == [(), ("artist", "label")]

    def test_of_a_page(self, used: list[str]) -> None:
        catalogue()

        def page() -> list[int]:
            albums = Album.objects.filter(year__lt=9).order_by("-year")
            return [album.year for album in Paginator(albums, 2).get_page(1)]

        assert thrice(page, used) == [2, 1]
        assert len(used) == 2

    def test_with_selected_relations(self, used: list[str]) -> None:
        catalogue()

        def albums() -> list[tuple[Any, ...]]:
            found = Album.objects.select_related("artist__biography", "label")
            return [
                (album.artist.name, album.artist.biography.text, album.label)
                for album in found
            ]

        found = thrice(albums, used)
        assert found == [("Nina Simone", "Born in Tryon.", None)] * 3

    def test_of_many_to_many_relations(self, used: list[str]) -> None:
        album = catalogue()
        album.genres.create(name="Jazz")

        def genres() -> list[str]:
            return list(album.genres.values_list("name", flat=True))

        assert thrice(genres, used) == ["Jazz"]

    def test_with_instances_and_lists(self, used: list[str]) -> None:
        album = catalogue()
        artists = [album.artist]

        def number() -> int:
            return Album.objects.filter(
                Q(artist__in=artists) & ~Q(year__in={5, 6}), artist=album.artist
            ).count()

        assert thrice(number, used) == 3

    def test_with_a_lazy_instance_such_as_the_user_of_a_request(
        self, used: list[str]
    ) -> None:
        artist = catalogue().artist

        def number() -> int:
            lazy: Any = SimpleLazyObject(lambda: artist)
            return Album.objects.filter(artist=lazy).count()

        assert thrice(number, used) == 3

    def test_on_the_other_names_of_a_database(self, used: list[str]) -> None:
        catalogue()
        assert len(thrice(lambda: list(Album.objects.using("default")), used)) == 3

    @pytest.mark.parametrize(
        "make",
        [
            lambda: list(Album.objects.extra(where=["1 = 1"])),
            lambda: list(Album.objects.filter(pk__in=Album.objects.filter(pk__in=[]))),
            lambda: list(Album.objects.filter(year__in=[])),
            lambda: list(Album.objects.filter(year__gt=2**70)),
        ],
    )
    def test_without_a_plan(self, make: Callable[[], Any], used: list[str]) -> None:
        catalogue()
        thrice(make, used, planned=False)


@pytest.mark.skipif(django.VERSION < (6, 1), reason="deprecated in Django 6.1")
@pytest.mark.parametrize(
    "deprecated",
    [
        lambda albums: albums.select_related(),
        lambda albums: albums.values_list(flat=True),
        lambda albums: albums.annotate(**{"100%": models.F("year")}),
        lambda albums: (
            albums.annotate(json=Cast("notes", models.JSONField()))
            .filter(json=None)
            .count()
        ),
    ],
)
def test_a_deprecated_call_warns_each_time(deprecated: Callable[[Any], Any]) -> None:
    for _ in range(4):
        with pytest.warns(PendingDeprecationWarning, match="deprecated"):
            deprecated(Album.objects.all())
