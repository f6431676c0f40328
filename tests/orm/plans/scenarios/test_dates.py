"""Queries by parts of dates and moments have plans, in the time zone of each query."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.db.models import Count, F, Max, Q
from django.db.models.functions import ExtractMonth, TruncMonth
from django.test import override_settings
from django.utils import timezone

from tests.orm.plans.planning import catalogue, queries_of, thrice
from tests.records.models import Album, Artist
from vinyl.orm import run
from vinyl.orm.plans import trails

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db", "nothing_known")]

TOKYO, NEW_YORK = ZoneInfo("Asia/Tokyo"), ZoneInfo("America/New_York")
COMPARISONS = ["", "__gt", "__gte", "__lt", "__lte"]


def dated(*days: datetime.date) -> None:
    """Albums of these days."""
    catalogue()
    for album, day in zip(Album.objects.all(), days, strict=True):
        album.released = day
        album.save()


def counted(**filters: Any) -> int:
    return Album.objects.filter(**filters).count()


def joined(*conditions: Any, **filters: Any) -> list[Any]:
    return [*User.objects.filter(*conditions, **filters).order_by("pk")]


@pytest.fixture
def albums(db: str) -> None:
    day = datetime.date
    dated(day(1964, 12, 31), day(1965, 1, 1), day(1966, 3, 1))


@pytest.mark.usefixtures("albums")
class TestDates:
    @pytest.mark.parametrize("lookup", ["year", "iso_year"])
    @pytest.mark.parametrize("comparison", COMPARISONS)
    def test_by_year(self, lookup: str, comparison: str, used: list[str]) -> None:
        found = []
        for year in (1964, 1965, 1966, 1967):

            def years(year: int = year) -> list[int]:
                filters = {f"released__{lookup}{comparison}": year}
                return sorted(
                    album.released.year for album in Album.objects.filter(**filters)
                )

            found.append(thrice(years, used))
        if comparison == "":
            # The first day of 1965 is a Friday, in the last week of 1964.
            is_iso = lookup == "iso_year"
            assert found == [
                [1964, 1965] if is_iso else [1964],
                *([[], [1966], []] if is_iso else [[1965], [1966], []]),
            ]

    def test_by_year_as_text(self, used: list[str]) -> None:
        assert thrice(lambda: counted(released__year="1965"), used) == 1

    def test_by_a_year_that_is_none(self) -> None:
        for year in (1965, 1965, 1965, 0, 10_000, 1965):
            query = Album.objects.filter(released__year=year)
            if 1 <= year <= 9999:
                assert query.count() == 1
            else:
                with pytest.raises(ValueError, match="out of range"):
                    query.count()

    def test_excluded_by_year(self, used: list[str]) -> None:
        def count() -> int:
            return Album.objects.exclude(released__year=1965).count()

        assert thrice(count, used) == 2

    def test_across_a_relation(self, used: list[str]) -> None:
        def count() -> int:
            return Artist.objects.filter(albums__released__year=1966).count()

        assert thrice(count, used) == 1

    @pytest.mark.parametrize(
        "make",
        [
            lambda: counted(released__month=3),
            lambda: Album.objects.filter(released__week_day__gt=2).exists(),
            lambda: [*Album.objects.annotate(m=TruncMonth("released")).order_by("pk")],
            lambda: [
                *Album.objects.annotate(m=ExtractMonth("released"))
                .values("m")
                .annotate(n=Count("pk"))
                .order_by("m")
            ],
            lambda: [*Album.objects.order_by(F("released__year").desc())],
            lambda: [*Album.objects.filter(released__year=F("year") + 1964)],
            lambda: [
                *Album.objects.filter(
                    pk__in=Album.objects.filter(released__year=1965).values("pk")
                )
            ],
            lambda: Album.objects.aggregate(Max("released__year")),
            lambda: [*Album.objects.dates("released", "year")],
            lambda: [*Album.objects.dates("released", "month", order="DESC")],
        ],
        ids=[
            "month",
            "week day",
            "truncated",
            "grouped",
            "ordered",
            "expression",
            "subquery",
            "aggregate",
            "years",
            "months",
        ],
    )
    def test_by_other_parts(self, make: Callable[[], Any], used: list[str]) -> None:
        assert thrice(make, used)

    async def test_on_the_event_loop_itself(self, direct: list[str]) -> None:
        def fetch(year: int) -> Any:
            return Album.objects.filter(released__year=year)

        for _ in range(2):
            assert len(await fetch(1965)) == await fetch(1966).count() == 1
        direct.clear()
        assert len(await fetch(1966)) == await fetch(1965).count() == 1
        assert await fetch(1967).exists() is False
        assert direct[:2] == ["SELECT"] * 2


class TestMoments:
    @pytest.fixture(autouse=True)
    def _user(self, db: str) -> None:
        moment = datetime.datetime(2020, 1, 1, 0, 30, tzinfo=datetime.UTC)
        User.objects.create(username="nina", date_joined=moment)

    def outcomes(self, make: Callable[[], Any]) -> list[Any]:
        found = []
        for zone in (None, None, None, TOKYO, NEW_YORK, None):
            with timezone.override(zone or datetime.UTC):
                found.append(queries_of(make))
        return found

    @pytest.mark.parametrize("comparison", COMPARISONS)
    def test_the_year_is_that_of_the_time_zone(
        self, comparison: str, used: list[str]
    ) -> None:
        def count() -> int:
            return User.objects.filter(
                **{f"date_joined__year{comparison}": 2020}
            ).count()

        with_plans = self.outcomes(count)
        assert len(used) >= 4
        used.clear()
        assert with_plans[0] == with_plans[2] == with_plans[5]
        results = [result for result, _ in with_plans]
        # In New York it is still 2019.
        assert (results[0] == results[4]) == (comparison in ("__gt", "__lte"))

    @pytest.mark.parametrize(
        "make",
        [
            lambda: joined(date_joined__date=datetime.date(2020, 1, 1)),
            lambda: joined(date_joined__date__gt=datetime.date(2019, 12, 31)),
            lambda: joined(date_joined__date__in=[datetime.date(2020, 1, 1)]),
            lambda: joined(date_joined__time__lt=datetime.time(1)),
            lambda: joined(date_joined__hour=0),
            lambda: joined(date_joined__hour__gte=9, date_joined__minute=30),
            lambda: joined(date_joined__month=1, date_joined__week_day__lt=7),
            lambda: joined(~Q(date_joined__day=31), date_joined__iso_year=2020),
            lambda: User.objects.filter(date_joined__hour=0).count(),
            lambda: User.objects.filter(date_joined__date__month=1).exists(),
            lambda: User.objects.aggregate(Max("date_joined__year")),
            lambda: [*User.objects.values("date_joined__hour")],
            lambda: [*User.objects.values("date_joined__date").annotate(n=Count("pk"))],
            lambda: [*User.objects.order_by(F("date_joined__day").desc(), "pk")],
            lambda: [*User.objects.order_by("date_joined__hour").values("pk")],
            lambda: joined(pk__lt=F("date_joined__year")),
            lambda: [
                *User.objects.annotate(day=F("date_joined__date")).filter(
                    day=datetime.date(2020, 1, 1)
                )
            ],
        ],
    )
    def test_other_parts_are_those_of_the_time_zone(
        self, make: Callable[[], Any], used: list[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with_plans = self.outcomes(make)
        assert used
        with monkeypatch.context() as off:
            off.setattr(trails, "_enabled", False)
            assert with_plans == self.outcomes(make)

    def test_a_time_zone_with_an_offset_in_its_name(self, used: list[str]) -> None:
        def count() -> int:
            return User.objects.filter(date_joined__hour=5).count()

        for zone in ("UTC", "UTC", "UTC", "Etc/GMT-5", "Etc/GMT+5"):
            with timezone.override(zone):
                assert count() == (zone == "Etc/GMT-5")
        for hours in (5, -5):
            zone_of_hours = datetime.timezone(datetime.timedelta(hours=hours))
            with timezone.override(zone_of_hours):
                assert count() == (hours == 5)
        assert used

    def test_without_time_zones(self, used: list[str]) -> None:
        def count() -> int:
            return User.objects.filter(date_joined__hour=0).count()

        with timezone.override(datetime.UTC):
            assert thrice(count, used) == 1
        with override_settings(USE_TZ=False):
            assert thrice(count, used) == queries_of(count)[0]

    @pytest.mark.parametrize(
        "make",
        [
            lambda: [*User.objects.datetimes("date_joined", "day")],
            lambda: [*User.objects.annotate(n=TruncMonth("date_joined")).values("n")],
            lambda: [
                *User.objects.filter(
                    pk__in=User.objects.filter(date_joined__hour=0).values("pk")
                )
            ],
        ],
        ids=["datetimes", "truncated", "subquery"],
    )
    def test_others_are_those_of_the_time_zone_without_a_plan(
        self, make: Callable[[], Any], used: list[str]
    ) -> None:
        results = [result for result, _ in self.outcomes(make)]
        assert results[0] == results[5]
        assert results[0] != results[4]

    async def test_the_date_on_the_event_loop(self) -> None:
        for zone in (datetime.UTC, datetime.UTC, datetime.UTC, NEW_YORK, TOKYO):
            with timezone.override(zone):
                day = datetime.date(2020, 1, 1)
                found = await User.objects.filter(date_joined__date=day)
                assert len(found) == (zone is not NEW_YORK)

    async def test_on_the_event_loop(self) -> None:
        async def found() -> list[str]:
            users = await User.objects.filter(date_joined__year=2020)
            return [user.username for user in users]

        for _ in range(4):
            with timezone.override(datetime.UTC):
                assert await found() == ["nina"]
        with timezone.override(NEW_YORK):
            assert await found() == []
        with timezone.override(TOKYO):
            assert await found() == await run(
                lambda: [user.username for user in User.objects.all()]
            )
