"""Updates by a plan change and return what Django's compiler would."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, misc"

from __future__ import annotations

import datetime
from typing import Any

import django
import pytest
from django.core.exceptions import FieldDoesNotExist
from django.db import connection, transaction
from django.db.models import F, Value
from django.db.models.functions import Lower, Now

from tests.orm.plans.planning import catalogue, outcome_of, written
from tests.records.models import Album, Artist, Label, Track
from vinyl.orm.plans import shapes, trails, updates

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


def update(**kwargs: Any) -> Any:
    count = Album.objects.filter(year__gte=1).update(**kwargs)
    return count, [*Album.objects.order_by("pk").values_list()]


@pytest.mark.parametrize(
    "kwargs",
    [
        {"title": "Pastel Blues"},
        {"title": "100 %s", "year": 1965},
        {"year": "1965"},
        {"released": datetime.date(1965, 1, 1)},
        {"label": None},
        {"label_id": None, "notes": ""},
        {"year": F("year") + 1},
        {"year": F("artist_id"), "title": "x"},
        {"title": Lower("title"), "year": 3},
    ],
    ids=repr,
)
def test_the_sql_and_the_count_are_the_same(
    monkeypatch: pytest.MonkeyPatch, used: list[str], kwargs: dict[str, Any]
) -> None:
    catalogue()
    written(monkeypatch, lambda: update(**kwargs), used)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"year": "never"},
        {"titel": "x"},
        {"genres": 1},
        {"released": Now(), "artist": Artist(pk=1, name="x")},
        {"year": [1]},
        {},
    ],
    ids=repr,
)
def test_what_has_no_plan_is_left_to_django(
    monkeypatch: pytest.MonkeyPatch, used: list[str], kwargs: dict[str, Any]
) -> None:
    catalogue()

    def make() -> Any:
        return Album.objects.filter(year__gte=1).update(**kwargs)

    written(monkeypatch, make, used, planned=False)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"year": 2**40},
        {"year": "never"},
        {"title": None},
        {"title": "x" * 201},
        {"label_id": 10**9},
    ],
    ids=lambda kwargs: repr(kwargs)[:20],
)
def test_errors_of_a_plan_are_those_of_django(
    monkeypatch: pytest.MonkeyPatch, kwargs: dict[str, Any]
) -> None:
    catalogue()
    allowed = {"year": 7, "title": "a", "label_id": None}
    for name, value in kwargs.items():
        for _ in range(3):
            update(**{name: "8" if value == "never" else allowed[name]})

    def outcome() -> Any:
        error, queries = outcome_of(lambda: update(**kwargs))
        return error, queries

    found = outcome()
    with monkeypatch.context() as off:
        off.setattr(trails, "_enabled", False)
        assert outcome() == found


@pytest.mark.parametrize(
    "queryset",
    [
        lambda: Album.objects.filter(artist__name="Nina Simone"),
        lambda: Album.objects.all()[:1],
        lambda: Album.objects.filter(pk__in=[]),
        lambda: Album.objects.none(),
        lambda: Album.objects.filter(year=1) | Album.objects.filter(year=2),
        lambda: Album.objects.filter(pk=2**70),
    ],
)
def test_other_querysets_are_left_to_django(
    monkeypatch: pytest.MonkeyPatch, used: list[str], queryset: Any
) -> None:
    catalogue()

    def make() -> Any:
        return queryset().update(title="x")

    written(monkeypatch, make, used, planned=False)


def test_none_and_a_value_are_two_shapes(used: list[str]) -> None:
    catalogue()
    label = Label.objects.create(name="Philips").pk
    for _ in range(3):
        for given in (None, label):
            assert Album.objects.filter(year=1).update(label=given) == 1
            assert Album.objects.get(year=1).label_id == given
    texts = {sql for sql in used if sql.startswith("UPDATE")}
    assert len(texts) == (2 if django.VERSION < (6, 1) else 1)


def test_a_flag_is_a_value(used: list[str]) -> None:
    album = catalogue()
    for position in (True, False, True):
        album.tracks.update(position=position)
        assert {*album.tracks.values_list("position", flat=True)} == {int(position)}
    assert [sql for sql in used if sql.startswith("UPDATE")]


def test_the_cache_of_the_queryset_is_emptied(used: list[str]) -> None:
    catalogue()
    for number in range(4):
        albums = Album.objects.filter(year=1)
        [album] = albums
        assert albums.update(title=f"{number}") == 1
        [album] = albums
        assert album.title == f"{number}"


def test_an_error_marks_the_transaction_for_rollback() -> None:
    catalogue()
    for year in "123":
        Album.objects.filter(year=1).update(year=year)
    for has_plans in (True, False):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(trails, "_enabled", has_plans)
            with transaction.atomic():
                with pytest.raises(ValueError, match="expected a number"):
                    Album.objects.filter(year=1).update(year="never")
                assert connection.needs_rollback
                with pytest.raises(FieldDoesNotExist), transaction.atomic():
                    Album.objects.filter(year=1).update(titel="x")
                transaction.set_rollback(True)


def test_a_change_of_the_model_is_noticed(used: list[str]) -> None:
    catalogue()
    for number in range(3):
        Album.objects.filter(year=1).update(title=f"{number}")
    used.clear()
    shapes.forget()
    assert Album.objects.filter(year=1).update(title="x") == 1
    assert not used


def test_the_number_of_shapes_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "MAX_CHILDREN", 1)
    catalogue()
    for field in ("title", "notes"):
        for _ in range(3):
            assert Album.objects.filter(year=1).update(**{field: "x"}) == 1


def test_related_rows_are_updated(used: list[str]) -> None:
    album = catalogue()
    for number in range(3):
        assert album.tracks.filter(position=0).update(title=f"{number}") == 1
    assert used
    assert Track.objects.filter(title="2").count() == 1


def test_a_value_without_a_kind_is_refused() -> None:
    with pytest.raises(updates.Unplannable):
        updates.assigned("update", [("artist", Artist())])
    assert updates.assigned("update", [("a", 1)]).key == (
        updates.assigned("update", [("a", 2)]).key
    )
    assert updates.assigned("update", [("a", Value(1))]).values == []
