"""Inserts by a plan write and return what Django's compiler would."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, misc, type-arg, var-annotated"

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest
from django.core import serializers
from django.db import IntegrityError, connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Lower, Now
from django.db.models.signals import post_save, pre_save
from django.test.utils import isolate_apps

from tests.orm.plans.planning import catalogue, outcome_of, uses_of
from tests.records.models import Album, Artist, Genre, Track
from vinyl.orm import models
from vinyl.orm.plans import inserts, trails
from vinyl.orm.plans.insert_plan import InsertPlan

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SQL of each insert that a plan has bound."""
    return uses_of(InsertPlan, monkeypatch)


def thrice(
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[], Any],
    used: list[str],
    *,
    planned: bool = True,
) -> Any:
    """The result of *make*: the same without plans, for the first time, and by plan."""
    with monkeypatch.context() as off:
        off.setattr(trails, "_enabled", False)
        expected = outcome_of(make)
    assert outcome_of(make) == expected
    used.clear()
    assert outcome_of(make) == expected
    assert bool(used) == planned
    return expected[0]


def fields_of(objects: Any) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in vars(one).items() if name != "_state"}
        | {"adding": one._state.adding, "db": one._state.db}
        for one in objects
    ]


class TestOneObject:
    def test_it_is_saved_with_the_same_sql(
        self, monkeypatch: pytest.MonkeyPatch, used: list[str]
    ) -> None:
        artist = Artist.objects.create(name="Nina Simone")
        pk = 10_000

        def make() -> Any:
            album = Album(pk=pk, title="Pastel Blues", year="1965", artist=artist)
            album.save(force_insert=True)
            return fields_of([album, Album.objects.get(pk=pk)])

        given, stored = thrice(monkeypatch, make, used)
        assert given["year"] == "1965"
        assert stored["year"] == 1965

    def test_its_key_is_returned(self, used: list[str]) -> None:
        Genre.objects.create(name="Jazz")
        genre = Genre.objects.create(name="Soul")
        assert len(used) == 1
        assert Genre.objects.get(pk=genre.pk).name == "Soul"

    def test_signals_are_sent(self, used: list[str]) -> None:
        found: list[Any] = []

        def receive(signal: Any, instance: Any, **kwargs: Any) -> None:
            found.append((signal is post_save, instance.pk is None))

        Genre.objects.create(name="Jazz")
        for signal in (pre_save, post_save):
            signal.connect(receive, sender=Genre)
        try:
            Genre.objects.create(name="Soul")
        finally:
            for signal in (pre_save, post_save):
                signal.disconnect(receive, sender=Genre)
        assert used
        assert found == [(False, True), (True, False)]

    @pytest.mark.parametrize("year", ["never", None, datetime.date(1965, 1, 1), 2**70])
    def test_errors_are_those_of_django(
        self, monkeypatch: pytest.MonkeyPatch, used: list[str], year: Any
    ) -> None:
        artist = Artist.objects.create(name="Nina Simone")
        for pk in (1, 2):
            Album.objects.create(pk=pk, title="Warm", artist=artist)

        def make() -> Any:
            Album.objects.create(pk=3, title="Pastel Blues", year=year, artist=artist)

        error, _ = thrice(monkeypatch, make, used, planned=year in (None, 2**70))
        assert issubclass(error, Exception)

    def test_a_constraint_is_checked(self, used: list[str]) -> None:
        Artist.objects.create(name="Nina Simone")
        with pytest.raises(IntegrityError), transaction.atomic():
            Artist.objects.create(name="Nina Simone")
        assert used

    def test_raw_values_of_a_fixture_are_saved(self, used: list[str]) -> None:
        for pk in (1, 2):
            data = [{"model": "records.genre", "pk": pk, "fields": {"name": f"{pk}"}}]
            for one in serializers.deserialize("python", data):
                one.save()
        assert len(used) == 1
        assert [*Genre.objects.order_by("pk").values_list("name", flat=True)] == [
            "1",
            "2",
        ]


class TestExpressions:
    def test_they_are_resolved_by_django(
        self, monkeypatch: pytest.MonkeyPatch, used: list[str]
    ) -> None:
        Genre.objects.create(pk=1, name="Jazz")

        def make() -> Any:
            Genre.objects.create(pk=2, name=Lower(Value("SOUL")))
            return Genre.objects.get(pk=2).name

        assert thrice(monkeypatch, make, used, planned=False) == "soul"

    def test_a_reference_to_a_column_is_refused(
        self, monkeypatch: pytest.MonkeyPatch, used: list[str]
    ) -> None:
        Genre.objects.create(pk=1, name="Jazz")

        def make() -> Any:
            Genre.objects.create(pk=2, name=F("name"))

        error, _ = thrice(monkeypatch, make, used, planned=False)
        assert error is ValueError

    @isolate_apps("tests.records")
    def test_values_are_prepared_for_saving_once(self, used: list[str]) -> None:
        class Counted(models.CharField):
            calls = 0

            def pre_save(self, model_instance: Any, add: bool) -> Any:
                type(self).calls += 1
                return super().pre_save(model_instance, add)

        class Ticket(models.Model):
            first = Counted(max_length=10)
            then = Counted(max_length=10)

            class Meta:
                app_label = "records"

        with connection.schema_editor() as editor:
            editor.create_model(Ticket)

        def calls_of(then: Any) -> int:
            Counted.calls = 0
            Ticket.objects.create(first="a", then=then)
            return Counted.calls

        expected = calls_of("b")
        assert not used
        assert calls_of("c") == expected
        assert len(used) == 1
        assert calls_of(Lower(Value("D"))) == expected
        assert len(used) == 1
        assert [*Ticket.objects.order_by("pk").values_list("first", "then")] == [
            ("a", "b"),
            ("a", "c"),
            ("a", "d"),
        ]

    @isolate_apps("tests.records")
    def test_defaults_of_the_database_apply(self, used: list[str]) -> None:
        class Visit(models.Model):
            name = models.CharField(max_length=10, db_default="anon")
            at = models.DateTimeField(db_default=Now())

            class Meta:
                app_label = "records"

        with connection.schema_editor() as editor:
            editor.create_model(Visit)
        at = datetime.datetime(1965, 10, 1, tzinfo=datetime.UTC)
        for _ in range(2):
            Visit.objects.create(name="Nina", at=at)
            Visit.objects.create()
            Visit.objects.create(name="Nina")
        assert [*Visit.objects.order_by("pk").values_list("name", flat=True)] == [
            "Nina",
            "anon",
            "Nina",
        ] * 2
        assert Visit.objects.filter(at=at).count() == 2


class TestManyObjects:
    @pytest.mark.parametrize("options", [{}, {"ignore_conflicts": True}])
    def test_they_are_saved_with_the_same_sql(
        self,
        monkeypatch: pytest.MonkeyPatch,
        used: list[str],
        options: dict[str, Any],
    ) -> None:
        album = catalogue()

        def make() -> Any:
            tracks = Track.objects.bulk_create(
                [
                    Track(pk=1000 + n, title=f"{n}", album=album, position=n)
                    for n in range(25)
                ],
                batch_size=10,
                **options,
            )
            stored = Track.objects.filter(pk__gte=1000).order_by("pk")
            return fields_of(tracks), fields_of(stored)

        tracks, stored = thrice(monkeypatch, make, used)
        assert len(stored) == 25
        assert [one["position"] for one in stored] == [*range(25)]

    def test_their_keys_are_returned(self, used: list[str]) -> None:
        for _ in range(2):
            genres = Genre.objects.bulk_create([Genre(name=f"{n}") for n in range(3)])
        assert used
        for genre in genres:
            assert Genre.objects.get(pk=genre.pk).name == genre.name

    def test_rows_in_conflict_are_updated(
        self, monkeypatch: pytest.MonkeyPatch, used: list[str]
    ) -> None:
        def make() -> Any:
            for number in range(2):
                Genre.objects.bulk_create(
                    [Genre(pk=pk, name=f"{pk} {number}") for pk in (1, 2)],
                    update_conflicts=True,
                    unique_fields=["pk"],
                    update_fields=["name"],
                )
            return [*Genre.objects.order_by("pk").values_list("name", flat=True)]

        assert thrice(monkeypatch, make, used) == ["1 1", "2 1"]

    def test_one_expression_is_left_to_django(
        self, monkeypatch: pytest.MonkeyPatch, used: list[str]
    ) -> None:
        def make() -> Any:
            Genre.objects.bulk_create(
                [Genre(pk=1, name="a"), Genre(pk=2, name=Lower(Value("B")))]
            )
            return [*Genre.objects.order_by("pk").values_list("name", flat=True)]

        Genre.objects.bulk_create([Genre(pk=3, name="c"), Genre(pk=4, name="d")])
        Genre.objects.all().delete()
        assert thrice(monkeypatch, make, used, planned=False) == ["a", "b"]

    def test_relations_are_added(self, used: list[str]) -> None:
        album = catalogue()
        for number in range(3):
            album.genres.add(
                *[Genre.objects.create(name=f"{number} {n}") for n in range(2)]
            )
        assert [sql for sql in used if "album_genres" in sql]
        assert album.genres.count() == 6


class TestPlans:
    def test_each_alias_and_set_of_fields_has_its_own(self) -> None:
        Genre.objects.create(name="Jazz")
        Genre.objects.create(pk=1000, name="Soul")
        assert len(inserts._plans_of(Genre)) == 2
