"""Methods with arguments of their own: `aggregate()`, `earliest()` and `latest()`."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

from typing import Any

import pytest
from django.db.models import Avg, Count, F, Max, Sum

from tests.orm.plans.planning import catalogue, thrice
from tests.records.models import Album, Artist, Track

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db", "nothing_known")]


class TestAggregate:
    def test_has_a_plan(self, used: list[str]) -> None:
        catalogue()

        def numbers() -> dict[str, Any]:
            return Album.objects.filter(year__gt=0).aggregate(
                Max("year"), tracks=Count("tracks"), half=Avg("year") / 2
            )

        assert thrice(numbers, used) == {"year__max": 2, "tracks": 4, "half": 0.75}

    def test_of_annotations_has_a_plan(self, used: list[str]) -> None:
        catalogue()

        def number() -> dict[str, Any]:
            counted = Album.objects.annotate(n=Count("tracks")).filter(n__gte=2)
            return counted.aggregate(all=Sum("n"))

        assert thrice(number, used) == {"all": 6}

    def test_of_groups_and_slices_has_a_plan(self, used: list[str]) -> None:
        catalogue()

        def number() -> tuple[int, dict[str, Any]]:
            grouped = Track.objects.values("album").annotate(n=Count("pk"))
            return len(grouped), Album.objects.all()[:2].aggregate(n=Count("pk"))

        assert thrice(number, used) == (3, {"n": 2})
        assert len(used) == 2

    def test_of_a_relation_has_a_plan(self, used: list[str]) -> None:
        artist = catalogue().artist
        assert thrice(lambda: artist.albums.aggregate(n=Max("year")), used) == {"n": 2}

    def test_of_no_rows_is_what_django_gives(self, used: list[str]) -> None:
        def number() -> dict[str, Any]:
            return Album.objects.aggregate(n=Sum("year"), m=Sum("year", default=7))

        assert thrice(number, used) == {"n": None, "m": 7}

    def test_raises_what_django_raises(self) -> None:
        for _ in range(3):
            with pytest.raises(TypeError, match="is not an aggregate"):
                Album.objects.aggregate(n=F("year"))
            with pytest.raises(TypeError, match="Complex aggregates"):
                Album.objects.aggregate(Max("year") + 1)

    async def test_in_async_code(self, used: list[str]) -> None:
        for _ in range(3):
            found = await Artist.objects.aaggregate(n=Count("pk"))
            assert found == {"n": 0}
        assert used


class TestEarliest:
    def test_has_a_plan(self, used: list[str]) -> None:
        album = catalogue()

        def found() -> list[Album]:
            albums = album.artist.albums
            return [albums.earliest("year"), albums.latest("year", F("pk").asc())]

        assert [found.year for found in thrice(found, used)] == [0, 2]
        assert len(used) == 2

    def test_raises_what_django_raises(self, used: list[str]) -> None:
        def missing() -> None:
            with pytest.raises(Album.DoesNotExist, match="Album matching query"):
                Album.objects.latest("year")

        thrice(missing, used)
        for _ in range(3):
            with pytest.raises(ValueError, match="get_latest_by"):
                Album.objects.earliest()
            with pytest.raises(TypeError, match="once a slice has been taken"):
                Album.objects.all()[:1].latest("year")

    def test_a_change_of_the_models_option_counts(
        self, used: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        catalogue()
        for option, year in (("year", 2), ("-year", 0)):
            monkeypatch.setattr(Album._meta, "get_latest_by", option)
            for _ in range(3):
                assert Album.objects.latest().year == year
