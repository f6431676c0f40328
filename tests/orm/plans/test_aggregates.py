"""Methods with arguments of their own: `aggregate()`, `earliest()` and `latest()`."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Avg, Count, Exists, F, Max, OuterRef, Sum
from django.db.models.query import QuerySet

from tests.orm.plans.planning import catalogue, thrice
from tests.orm.plans.test_on_loop import warmed
from tests.records.models import Album, Artist, Track
from vinyl.orm import run, transaction

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

    async def test_runs_on_the_event_loop_itself(self, direct: list[str]) -> None:
        artist = (await run(catalogue)).artist
        make: Callable[[], Any]
        expected: Any
        for make, expected in (
            (
                lambda: Album.objects.filter(year__gt=0).aggregate(
                    Max("year"), tracks=Count("tracks"), mean=Avg("year")
                ),
                {"year__max": 2, "tracks": 4, "mean": 1.5},
            ),
            (lambda: Album.objects.all()[:2].aggregate(n=Count("pk")), {"n": 2}),
            (lambda: artist.albums.aggregate(n=Max("year")), {"n": 2}),
            (
                lambda: Album.objects.filter(year=9).aggregate(n=Sum("year")),
                {"n": None},
            ),
        ):
            await warmed(make)
            direct.clear()
            assert await make() == expected
            assert direct == ["SELECT"]

    async def test_counts_what_its_transaction_has_written(
        self, direct: list[str]
    ) -> None:
        def count() -> Any:
            return Artist.objects.aggregate(n=Count("pk"))

        await warmed(count)
        async with transaction.atomic():
            await Artist.objects.create(name="Nina Simone")
            direct.clear()
            assert await count() == {"n": 1}
            assert direct == ["SELECT"]
            transaction.set_rollback(True)
        assert await count() == {"n": 0}

    async def test_raises_what_django_raises_on_the_event_loop(self) -> None:
        for _ in range(3):
            with pytest.raises(TypeError, match="is not an aggregate"):
                await Album.objects.aggregate(n=F("year"))
            with pytest.raises(TypeError, match="Complex aggregates"):
                await Album.objects.aggregate(Max("year") + 1)

    async def test_with_an_inner_queryset_is_what_django_gives(self) -> None:
        await run(catalogue)
        for year, expected in ((1, 1), (0, 2), (1, 1)):
            newer = Album.objects.filter(pk=OuterRef("pk"), year__gt=year)
            found = await Album.objects.aggregate(
                n=Count("pk", filter=Exists(newer)),
            )
            assert found == {"n": expected}

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

    def test_calls_a_get_of_the_queryset_class(self, used: list[str]) -> None:
        catalogue()

        class Titles(QuerySet[Any]):
            def get(self, *args: Any, **kwargs: Any) -> Any:
                return super().get(*args, **kwargs).title

        for _ in range(4):
            assert Titles(Album).earliest("year") == "Album 0"
            assert Titles(Album).latest("year") == "Album 2"

    def test_a_change_of_the_models_option_counts(
        self, used: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        catalogue()
        for option, year in (("year", 2), ("-year", 0)):
            monkeypatch.setattr(Album._meta, "get_latest_by", option)
            for _ in range(3):
                assert Album.objects.latest().year == year
