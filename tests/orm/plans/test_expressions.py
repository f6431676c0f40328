"""Expressions that are part of a shape."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import decimal
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import (
    Avg,
    Case,
    CharField,
    Count,
    Exists,
    F,
    FloatField,
    Func,
    OuterRef,
    Q,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Cast, Concat, ExtractYear, Lower, Now

from tests.orm.plans.planning import catalogue, thrice
from tests.records.models import Album, Artist, Track
from vinyl.orm.plans import trails
from vinyl.orm.plans.expressions import key_of
from vinyl.orm.plans.shapes import Unplannable

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


def annotated(**annotations: Any) -> Callable[[], Any]:
    return lambda: list(
        Album.objects.annotate(**annotations).order_by("pk").values_list(*annotations)
    )


def by_year(is_reversed: bool = False) -> Any:
    ordering = F("year").asc()
    if is_reversed:
        ordering.reverse_ordering()
    return Album.objects.order_by(ordering)


class Loud(Func):
    """An expression of a project's own, whose SQL may differ each time."""

    function = "UPPER"


class TestAnnotations:
    @pytest.mark.parametrize(
        "expression",
        [
            Count("tracks"),
            Count("tracks", filter=Q(tracks__position__gt=0)),
            Avg("year", output_field=FloatField()),
            F("year") + 1,
            Concat("title", Value("%"), "artist__name"),
            Case(When(year__in=[0, 1], then=Value("early")), default=Value("late")),
            Cast("year", CharField(max_length=10)),
        ],
    )
    def test_have_a_plan(self, expression: Any, used: list[str]) -> None:
        catalogue()
        thrice(annotated(n=expression), used)

    @pytest.mark.parametrize(
        "expression",
        [
            ExtractYear(Now()),
            Exists(Track.objects.filter(album=OuterRef("pk"))),
            Loud("title"),
        ],
    )
    def test_that_may_change_have_none(self, expression: Any, used: list[str]) -> None:
        catalogue()
        thrice(annotated(n=expression), used, planned=False)

    def test_of_a_field_with_a_method_of_its_own_have_none(
        self, used: list[str]
    ) -> None:
        catalogue()
        field: Any = CharField(max_length=10)

        def years() -> list[Any]:
            albums = Album.objects.annotate(n=Cast("year", field)).order_by("year")
            return [album.n for album in albums]

        assert thrice(years, used) == ["0", "1", "2"]
        field.from_db_value = lambda value, expression, connection: int(value)
        assert thrice(years, used, planned=False) == [0, 1, 2]

    def test_are_attributes_of_instances(self, used: list[str]) -> None:
        catalogue()

        def numbers() -> list[tuple[int, str]]:
            albums = Album.objects.select_related("artist").order_by("year")
            found = albums.annotate(n=Count("tracks"), who=Lower("artist__name"))
            assert [*vars(found[0])][-2:] == ["n", "who"]
            return [(album.n, album.who) for album in found.filter(n__gt=1)]

        assert thrice(numbers, used) == [(2, "nina simone")] * 3

    def test_that_hide_an_attribute_of_the_class_have_none(
        self, used: list[str]
    ) -> None:
        catalogue()

        def keys() -> list[bool]:
            albums = Album.objects.annotate(objects=F("pk"))
            return [album.objects == album.pk for album in albums]

        assert thrice(keys, used, planned=False) == [True] * 3

    def test_values_are_no_parameters(self, used: list[str]) -> None:
        catalogue()
        for value in ("x", "y", "z"):
            for _ in range(3):
                found = Album.objects.annotate(n=Value(value)).filter(year=1)
                assert found.get().n == value

    def test_values_of_filters_are(self, used: list[str]) -> None:
        catalogue()
        for number in range(5):
            used.clear()
            found = Album.objects.annotate(n=Count("tracks")).filter(n__lte=number)
            assert found.count() == (3 if number > 1 else 0)
        assert used

    def test_changed_after_use_changes_nothing(self, used: list[str]) -> None:
        catalogue()
        years = [0]
        for _ in range(3):
            early = Album.objects.annotate(
                n=Case(When(year__in=years, then=1), default=0)
            )
            years.append(1)
            assert early.filter(n=1).count() == 1
            years.pop()

    @pytest.mark.parametrize(
        ("make", "change"),
        [
            (lambda: Value(1), lambda one: setattr(one, "value", 2)),
            (lambda: F("year"), lambda one: setattr(one, "name", "pk")),
            (lambda: F("year") + 1, lambda one: setattr(one, "connector", "-")),
            (
                lambda: Func("title", function="LOWER"),
                lambda one: one.extra.update(function="UPPER"),
            ),
            (
                lambda: Lower("title"),
                lambda one: one.set_source_expressions([F("artist__name")]),
            ),
            (
                lambda: Count("artist__albums__tracks__title"),
                lambda one: setattr(one, "distinct", True),
            ),
            (
                lambda: Case(When(year=1, then=1), default=0),
                lambda one: setattr(one, "default", Value(2)),
            ),
            (
                lambda: Count(Case(When(year=1, then=1))),
                lambda one: setattr(one.source_expressions[0], "default", Value(2)),
            ),
            (
                lambda: Subquery(
                    Track.objects.filter(album=OuterRef("pk"), position=1).values("pk")
                ),
                lambda one: one.extra.update(template="(SELECT 5 - (%(subquery)s))"),
            ),
            (
                lambda: Subquery(
                    Track.objects.filter(album=OuterRef("pk"), position=1).values("pk"),
                    template="(SELECT 4 - (%(subquery)s))",
                ),
                lambda one: setattr(one, "template", "(SELECT 6 - (%(subquery)s))"),
            ),
            (
                lambda: Subquery(
                    Track.objects.filter(album=OuterRef("pk"), position=1).values("pk")
                ),
                lambda one: setattr(one, "template", "(SELECT 7 - (%(subquery)s))"),
            ),
        ],
    )
    def test_changed_before_use_are_others(
        self,
        make: Callable[[], Any],
        change: Callable[[Any], None],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        catalogue()
        changed = make().copy()
        change(changed)
        with monkeypatch.context() as off:
            off.setattr(trails, "_enabled", False)
            unchanged, expected = annotated(n=make())(), annotated(n=changed)()
        for _ in range(4):
            assert annotated(n=make())() == unchanged
        assert annotated(n=changed)() == expected


class TestFilters:
    def test_by_fields(self, used: list[str]) -> None:
        catalogue()

        def number() -> int:
            return Album.objects.filter(
                Q(title=Concat(Value("Album "), Cast("year", CharField()))),
                year__gt=F("tracks__position") - 1,
            ).count()

        assert thrice(number, used) == 5

    def test_orderings(self, used: list[str]) -> None:
        catalogue()

        def years() -> list[int]:
            ordered = Album.objects.order_by(F("year").desc(nulls_last=True))
            return [album.year for album in ordered]

        assert thrice(years, used) == [2, 1, 0]

    def test_reversed_orderings(self) -> None:
        catalogue()
        for _ in range(4):
            assert list(by_year().values_list("year", flat=True)) == [0, 1, 2]
        assert list(by_year(True).values_list("year", flat=True)) == [2, 1, 0]


class TestKeys:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (Value(1), Value(True)),
            (Value(1), Value(1.0)),
            (Value(decimal.Decimal("1.0")), Value(decimal.Decimal("1.00"))),
            (F("year") + 1, F("year") - 1),
            (Count("tracks"), Count("tracks", distinct=True)),
            (Cast("x", CharField()), Cast("x", CharField(max_length=1))),
            (Count("x", filter=Q(a=1)), Count("x", filter=~Q(a=1))),
            (Value(None), Value("")),
            (Value(()), Value([])),
            (Func("x", function="f"), Func("x", template="f")),
        ],
    )
    def test_differ_where_the_sql_does(self, one: Any, other: Any) -> None:
        assert key_of(one) != key_of(other)
        assert len({key_of(one), key_of(other)}) == 2

    def test_refuse_what_they_cannot_hold(self) -> None:
        for value in (
            Exists(Artist.objects.all()),
            Value(Artist(name="x")),
            Value({}),
            Count("x", filter=Q(artist=Artist())),
            Cast("x", Album.title.field),
            Loud("x"),
            object(),
        ):
            with pytest.raises(Unplannable):
                key_of(value)
