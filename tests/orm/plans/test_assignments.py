"""What an UPDATE assigns becomes a parameter, or there is no plan."""

# mypy: disable-error-code="type-arg"

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.models import F

from tests.records.models import Album
from vinyl.orm import models
from vinyl.orm.plans.assignments import BINDS_NONE, Assignment
from vinyl.orm.plans.shapes import Reference, Unplannable

pytestmark = pytest.mark.usefixtures("db")


def assignment(name: str, value: Any) -> Assignment:
    return Assignment(Album._meta.get_field(name), value)


def bound(one: Assignment, value: Any) -> Any:
    return one.bound(value, lambda: None, connection)


def test_a_value_is_prepared_by_its_field() -> None:
    assert bound(assignment("year", "1"), "1965") == [1965]
    assert bound(assignment("label", None), None) == ([None] if BINDS_NONE else [])


def test_values_of_another_kind_have_no_plan() -> None:
    # An empty text is NULL in a foreign key.
    for one, value in (
        (assignment("label", "1"), ""),
        (assignment("label", None), 1),
        (assignment("year", 1), F("pk")),
    ):
        with pytest.raises(Unplannable):
            bound(one, value)


def test_a_reference_stands_for_the_value() -> None:
    reference = assignment("year", 1).reference(3)
    assert reference.resolve_expression(None) is reference
    assert reference.as_sql(None, None) == ("%s", [Reference(3, 0)])
    assert (assignment("year", None).reference(3) is None) is not BINDS_NONE


def test_custom_fields_have_no_plan() -> None:
    class Own(models.IntegerField):
        pass

    class Placing(models.IntegerField):
        def get_placeholder_sql(self, *args: Any) -> Any:
            return "%s + 1", []

    Placing.__module__ = "django.db.models.fields"
    for field in (Own(), Placing()):
        with pytest.raises(Unplannable):
            Assignment(field, 1)
