"""The copies of values by which they are followed."""

from __future__ import annotations

import datetime
import uuid
from decimal import Decimal
from typing import Any

import pytest
from psycopg import Binary
from psycopg.types.json import Json, Jsonb

from tests.records.models import Artist
from vinyl.orm.plans.value_marks import Marks, type_of

PLAIN = [
    1,
    "x",
    1.5,
    b"x",
    Decimal("1.50"),
    datetime.date(1965, 10, 1),
    datetime.datetime(1965, 10, 1, 12, 30, 1, 5, datetime.UTC, fold=1),
    datetime.time(12, 30, 1, 5, fold=1),
    datetime.timedelta(days=1, seconds=2, microseconds=3),
    uuid.UUID(int=1),
]


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: type(value).__name__)
def test_a_copy_is_equal_and_can_be_followed(value: Any) -> None:
    marks = Marks()
    copy = marks.mark(value)
    assert copy == value
    assert copy is not value
    assert str(copy) == str(value)
    assert getattr(copy, "fold", 0) == getattr(value, "fold", 0)
    assert type_of(copy) is type(value)
    assert marks.slot_of(copy) == 0
    assert marks.slot_of(value) is None


def test_each_has_the_next_slot() -> None:
    marks = Marks()
    copies = [marks.mark(1) for _ in range(3)]
    assert [marks.slot_of(copy) for copy in copies] == [0, 1, 2]


def test_a_list_keeps_its_slot_when_it_is_copied_by_its_class() -> None:
    marks = Marks()
    marked = marks.mark([1, 2])
    assert marked == [1, 2]
    assert marks.slot_of(type(marked)([3])) == 0
    assert marks.slot_of([1, 2]) is None


def test_an_instance_is_itself_and_a_copy_in_another_slot() -> None:
    marks, artist = Marks(), Artist(pk=1)
    assert marks.mark(artist) is artist
    assert marks.slot_of(artist) == 0
    other = marks.mark(artist)
    assert other is not artist
    assert vars(other) == vars(artist)
    assert marks.slot_of(other) == 1
    assert marks.unmarked(other) is artist


@pytest.mark.parametrize("wrap", [Binary, Json, Jsonb])
def test_a_copy_in_a_wrapper_of_psycopgs_is_replaced(wrap: Any) -> None:
    marks, value = Marks(), datetime.date(1965, 10, 1)
    wrapped = wrap(marks.mark(value))
    assert marks.unmarked(wrapped) is wrapped
    assert wrapped.obj is value


def test_a_value_with_the_id_of_another_has_none() -> None:
    assert Marks().slot_of(object()) is None
