"""Columns prepare values as the compiler of an INSERT or UPDATE does."""

from __future__ import annotations

import datetime
import math
from typing import Any

import pytest
from django.db import connection
from django.db.models import F, Field
from django.test.utils import isolate_apps

from tests.records.models import Album
from vinyl.orm import models
from vinyl.orm.plans import trails
from vinyl.orm.plans.columns import Column, IsExpression, has_methods

pytestmark = pytest.mark.usefixtures("db")


def column(name: str) -> Column:
    return Column(Album._meta.get_field(name))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("title", "x", "x"),
        ("title", None, None),
        ("title", 5, "5"),
        ("year", "1965", 1965),
        ("artist", "7", 7),
        ("label", None, None),
    ],
)
def test_a_value_is_prepared_by_its_field(name: str, value: Any, expected: Any) -> None:
    assert column(name).param(value, connection) == expected


def test_an_expression_is_refused() -> None:
    with pytest.raises(IsExpression):
        column("year").param(F("pk"), connection)


@isolate_apps("tests.records")
def test_a_negative_zero_is_stored_as_django_stores_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Reading(models.Model):
        size = models.FloatField(default=1.0)

        class Meta:
            app_label = "records"

    def signs() -> list[float]:
        for _ in range(3):
            one, other = Reading.objects.create(), Reading.objects.create(size=-0.0)
            found = [float(other.pk > one.pk)]
            one.size = -0.0
            one.save()
            Reading.objects.filter(size=5.5).update(size=-0.0)
            Reading.objects.bulk_create([Reading(size=-0.0), Reading(size=0.0)])
            rows = Reading.objects.order_by("pk").values_list("size", flat=True)
            found += [math.copysign(1, size) for size in rows]
            Reading.objects.update(size=5.5)
            Reading.objects.update(size=-0.0)
            found += [math.copysign(1, size) for size in rows.all()]
            Reading.objects.all().delete()
        return found

    with connection.schema_editor() as editor:
        editor.create_model(Reading)
    try:
        with_plans = [signs() for _ in range(2)]
        monkeypatch.setattr(trails, "_enabled", False)
        assert with_plans == [signs()] * 2
    finally:
        with connection.schema_editor() as editor:
            editor.delete_model(Reading)


def test_what_pre_save_returns_is_kept() -> None:
    album = Album(title="x", released=datetime.date(1965, 1, 1))
    pre_saved: list[Any] = []
    assert column("title").prepared(album, connection, pre_saved) == "x"
    assert not pre_saved
    stamp: Any = models.DateField(auto_now=True)
    stamp.set_attributes_from_name("released")
    Column(stamp).prepared(album, connection, pre_saved)
    assert pre_saved == [album.released]


def test_the_server_binds_values_of_plain_fields() -> None:
    assert column("year").is_bindable
    assert column("artist").is_bindable
    data: Any = models.JSONField()
    data.set_attributes_from_name("data")
    assert not Column(data).is_bindable


def test_methods_of_a_field_are_compared() -> None:
    title: Any = Album._meta.get_field("title")
    assert has_methods(title, "pre_save get_db_prep_save", Field)
    own: Any = models.CharField()
    own.pre_save = None
    assert not has_methods(own, "pre_save", Field)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("title", ["a", None, "b"]),
        ("year", [1, 2**40, None]),
        ("artist", [1, None]),
        ("id", [1, None]),
        ("released", [datetime.date(1965, 1, 1), None]),
    ],
)
def test_the_values_of_many_objects_are_the_same(name: str, values: list[Any]) -> None:
    one = column(name)
    objs = [Album() for _ in values]
    for obj, value in zip(objs, values, strict=True):
        setattr(obj, one.attname, value)
    found = one.params(objs, connection)
    expected = [one.prepared(obj, connection, []) for obj in objs]
    assert found == expected
    assert [*map(type, found or [])] == [*map(type, expected)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("title", 5),
        ("year", "1965"),
        ("year", True),
        ("year", F("pk")),
        ("artist", ""),
        ("released", "1965-01-01"),
        ("released", datetime.datetime(1965, 1, 1)),
    ],
)
def test_values_that_may_fail_are_prepared_in_order(name: str, value: Any) -> None:
    one = column(name)
    album = Album()
    setattr(album, one.attname, value)
    assert one.params([album], connection) is None


def test_fields_with_a_pre_save_are_prepared_in_order() -> None:
    stamp: Any = models.DateField(auto_now=True)
    stamp.set_attributes_from_name("stamp")
    assert Column(stamp).params([], connection) is None


@pytest.mark.parametrize(
    "value",
    [
        datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC),
        datetime.datetime(
            2026, 7, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=2))
        ),
        "2026-07-01T00:00:00Z",
        None,
    ],
    ids=str,
)
def test_a_time_is_prepared_by_the_backend(value: Any) -> None:
    stamp: Any = models.DateTimeField()
    stamp.set_attributes_from_name("stamp")
    expected = stamp.get_db_prep_save(value, connection)
    found = Column(stamp).param(value, connection)
    assert (type(found), found) == (type(expected), expected)


def test_a_time_without_a_zone_is_left_to_the_field() -> None:
    stamp: Any = models.DateTimeField()
    stamp.set_attributes_from_name("stamp")
    stamp.model = Album
    with pytest.warns(RuntimeWarning, match=r"Album\.stamp received a naive datetime"):
        Column(stamp).param(datetime.datetime(2026, 7, 1), connection)
