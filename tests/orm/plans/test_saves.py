"""`save()` by a plan does what Django's does, or is left to Django."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, misc, type-arg, var-annotated"

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.db.models.signals import post_save, pre_save
from django.test.utils import isolate_apps

from tests.orm.plans.planning import catalogue, outcome_of, uses_of, written
from tests.records.models import Album, Artist, Biography, Genre
from vinyl.orm import models
from vinyl.orm.plans import trails
from vinyl.orm.plans.saves import Save

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SQL of each statement that a save has bound."""
    return uses_of(Save, monkeypatch)


def state_of(obj: Any) -> dict[str, Any]:
    state = {name: value for name, value in vars(obj).items() if name != "_state"}
    return state | {"adding": obj._state.adding, "db": obj._state.db}


def stored() -> list[Any]:
    return [*Album.objects.order_by("pk").values_list()]


def loaded(**values: Any) -> Album:
    album = Album.objects.get(year=1)
    for name, value in values.items():
        setattr(album, name, value)
    return album


def saved(album: Album, **kwargs: Any) -> Any:
    album.save(**kwargs)
    return state_of(album), stored()


NEW = {"title": "New", "artist_id": 1, "year": 1970}

CASES: dict[str, Callable[[], Any]] = {
    "all fields": lambda: saved(loaded(title="x")),
    "a text for a number": lambda: saved(loaded(year="1965")),
    "a null": lambda: saved(loaded(label=None)),
    "some fields": lambda: saved(loaded(title="x", notes="y"), update_fields=["title"]),
    "a foreign key": lambda: saved(loaded(), update_fields={"artist", "label_id"}),
    "by force": lambda: saved(loaded(title="x"), force_update=True),
    "a database": lambda: saved(loaded(title="x"), using="default"),
    "a new row": lambda: saved(Album(pk=10_000, **NEW), force_insert=True),
    "a new row after an update": lambda: saved(Album(pk=10_000, **NEW)),
    "a new key": lambda: saved(loaded(pk=10_000)),
}
LEFT: dict[str, Callable[[], Any]] = {
    "nothing": lambda: saved(loaded(title="x"), update_fields=[]),
    "an iterator": lambda: saved(loaded(title="x"), update_fields=iter(["title"])),
    "deferred fields": lambda: saved(Album.objects.only("title").get(year=1)),
    "an expression in an update": lambda: saved(loaded(year=F("year") + 1)),
    "an expression": lambda: Album(pk=10_000, **NEW | {"year": F("pk")}).save(),
    "no such field": lambda: loaded().save(update_fields=["titel"]),
    "the key": lambda: loaded().save(update_fields=["id"]),
    "both by force": lambda: loaded().save(force_insert=True, force_update=True),
    "no key": lambda: Album(**NEW).save(force_update=True),
    "an unknown argument": lambda: loaded().save(force=True),  # type: ignore[call-arg]
}


def artist_with_key_one() -> None:
    Artist.objects.filter(pk=catalogue().artist_id).exists()
    if not Artist.objects.filter(pk=1).exists():
        Artist.objects.create(pk=1, name="The one")


@pytest.mark.parametrize("case", CASES)
def test_it_saves_with_the_same_sql(
    monkeypatch: pytest.MonkeyPatch, used: list[str], case: str
) -> None:
    artist_with_key_one()
    written(monkeypatch, CASES[case], used)


@pytest.mark.parametrize("case", LEFT)
def test_the_rest_is_left_to_django(
    monkeypatch: pytest.MonkeyPatch, used: list[str], case: str
) -> None:
    artist_with_key_one()
    written(monkeypatch, LEFT[case], used, planned=False)


@pytest.mark.parametrize(
    "make",
    [
        lambda: saved(Album(pk=10_000, **NEW), force_update=True),
        lambda: saved(Album(pk=10_000, **NEW), update_fields=["title", "year"]),
        lambda: saved(loaded(title=None)),
        lambda: saved(loaded(title="x" * 201)),
        lambda: saved(loaded(year="never")),
        lambda: saved(loaded(year=2**40)),
        lambda: saved(loaded(), force_insert=True),
    ],
)
def test_errors_are_those_of_django(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any]
) -> None:
    artist_with_key_one()
    for values in ({"title": "a"}, {"year": "8"}):
        for _ in range(3):
            saved(loaded())
            with transaction.atomic():
                saved(loaded(), update_fields=["title", "year"])
                saved(loaded(**values))
                transaction.set_rollback(True)
    for pk in range(20_000, 20_003):
        Album.objects.create(pk=pk, **NEW)
    # SQLite stores a text or a number of any length.
    found = outcome_of(make)
    with monkeypatch.context() as off:
        off.setattr(trails, "_enabled", False)
        assert outcome_of(make) == found


def test_expressions_of_one_type_are_different_ones() -> None:
    artist_with_key_one()
    for number in (1, 2) * 4:
        album = loaded(year=F("year") + number)
        album.save(update_fields=["year"])
        album.refresh_from_db()
        assert album.year == 1 + number
        album.year = F("year") - number
        album.save()
        assert loaded().pk == album.pk


def test_an_error_marks_the_transaction_for_rollback() -> None:
    artist_with_key_one()
    for number in range(3):
        saved(loaded(title=f"{number}"))
    for has_plans in (True, False):
        with pytest.MonkeyPatch.context() as patched, transaction.atomic():
            patched.setattr(trails, "_enabled", has_plans)
            album = loaded()
            album.pk = 10_000
            with pytest.raises(DatabaseError, match="did not affect any rows"):
                album.save(force_update=True)
            assert connection.needs_rollback
            assert "did not affect" in str(connection.rollback_exc)
            transaction.set_rollback(True)


class TestRelatedObjects:
    def test_that_are_not_saved_are_refused(self) -> None:
        for name in "abc":
            album = Album(title=name, artist=Artist.objects.create(name=name))
            album.save()
        album.artist = Artist(name="d")
        with pytest.raises(ValueError, match="unsaved related object 'artist'"):
            album.save()

    def test_that_are_saved_later_give_their_key(self, used: list[str]) -> None:
        for name in "abcd":
            artist = Artist(name=name)
            album = Album(title=name, artist=artist)
            artist.save()
            used.clear()
            album.save()
            assert album.artist_id == artist.pk
        assert [sql for sql in used if "records_album" in sql]

    def test_whose_key_is_another_one_are_forgotten(self, used: list[str]) -> None:
        album = catalogue()
        other = Artist.objects.create(name="Odetta")
        for _ in range(3):
            album.artist_id = other.pk
            album.save()
        assert used
        assert album.artist == other

    def test_of_one_to_one_relations(self, used: list[str]) -> None:
        catalogue()
        for number in range(4):
            artist = Artist.objects.create(name=f"{number}")
            biography = Biography.objects.create(artist=artist, text="")
            biography.text = f"{number}"
            biography.save()
        assert len([sql for sql in used if "records_biography" in sql]) >= 3
        assert Biography.objects.get(artist__name="3").text == "3"


class TestIsLeftToDjango:
    @pytest.mark.parametrize("signal", [pre_save, post_save])
    def test_where_a_receiver_runs(self, used: list[str], signal: Any) -> None:
        genre = Genre.objects.create(name="Jazz")
        for _ in range(3):
            genre.save()
        assert used
        used.clear()
        seen: list[Any] = []

        def receive(instance: Any, **kwargs: Any) -> None:
            seen.append(instance)

        signal.connect(receive, sender=Genre)
        try:
            genre.save()
        finally:
            signal.disconnect(receive, sender=Genre)
        assert seen == [genre]
        assert not used

    @isolate_apps("tests.records")
    def test_where_the_model_has_its_own_code(self, used: list[str]) -> None:
        found: list[str] = []

        class Saving(models.Model):
            name = models.CharField(max_length=10)

            class Meta:
                app_label = "records"

            def save_base(self, *args: Any, **kwargs: Any) -> None:
                found.append("save_base")
                super().save_base(*args, **kwargs)

        class Parent(models.Model):
            name = models.CharField(max_length=10)

            class Meta:
                app_label = "records"

        class Child(Parent):
            class Meta:
                app_label = "records"

        class Proxy(Parent):
            class Meta:
                app_label = "records"
                proxy = True

        class Selecting(models.Model):
            name = models.CharField(max_length=10)

            class Meta:
                app_label = "records"
                select_on_save = True

        class Ordered(models.Model):
            parent = models.ForeignKey(Parent, models.CASCADE)
            name = models.CharField(max_length=10)

            class Meta:
                app_label = "records"
                order_with_respect_to = "parent"

        with connection.schema_editor() as editor:
            for model in (Saving, Parent, Child, Selecting, Ordered):
                editor.create_model(model)
        parent = Parent.objects.create(name="parent")
        for number in range(4):
            for model in (Saving, Child, Proxy, Selecting):
                used.clear()
                one = model(name="a")
                one.save()
                one.name = f"{number}"
                one.save()
                assert model.objects.get(pk=one.pk).name == f"{number}"
                assert not used
            used.clear()
            assert Ordered.objects.create(parent=parent, name="a")._order == number
            assert not used
        assert len(found) == 8

    @isolate_apps("tests.records")
    def test_where_a_key_has_a_default(self, used: list[str]) -> None:
        class Receipt(models.Model):
            id = models.UUIDField(primary_key=True, default=uuid.uuid4)
            at = models.DateTimeField(auto_now=True)
            made = models.DateTimeField(auto_now_add=True)

            class Meta:
                app_label = "records"

        with connection.schema_editor() as editor:
            editor.create_model(Receipt)
        for _ in range(4):
            used.clear()
            receipt = Receipt()
            receipt.save()
            first = receipt.at
            made = receipt.made
            receipt.save()
            assert first < receipt.at
            assert Receipt.objects.get(pk=receipt.pk).at == receipt.at
            assert Receipt.objects.get(pk=receipt.pk).made == made
            assert [sql.split()[0] for sql in used] in ([], ["INSERT", "UPDATE"]) or (
                len(used) == 1
            )
        assert len(used) == 2
        for _ in range(4):
            # Django inserts all fields of a new object.
            receipt = Receipt()
            receipt.save(update_fields=["at"])
            receipt.save(update_fields=["at"])
            assert Receipt.objects.get(pk=receipt.pk).made == receipt.made
            with pytest.raises(DatabaseError, match="Forced update did not affect"):
                Receipt().save(force_update=True)

    @isolate_apps("tests.records")
    def test_where_a_text_is_the_key(self, used: list[str]) -> None:
        class Country(models.Model):
            code = models.CharField(max_length=2, primary_key=True)
            name = models.CharField(max_length=10)

            class Meta:
                app_label = "records"

        with connection.schema_editor() as editor:
            editor.create_model(Country)
        for number in range(4):
            Country.objects.create(code=f"{number}", name="x")
            # Its default is the empty string.
            country = Country(code=None, name=f"{number}")
            country.save()
            assert country.code == ""
            assert Country.objects.get(code="").name == f"{number}"
        assert used
        assert Country.objects.count() == 5
