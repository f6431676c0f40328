"""The fields that check the cells of an import, and what an import cannot fill."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

from typing import Any

import pytest
from django import forms
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import models
from django.test.utils import isolate_apps

from tests.records.models import Album, Artist, Booklet, Genre, Label, Tag
from vinyl.orm import run
from vinyl.web.admin.cells import Choice, Choices, Range, Several, Truth, refusal

pytestmark = pytest.mark.anyio


def test_words_for_true_and_false() -> None:
    field = Truth(required=False)
    assert [field.clean(word) for word in ("Yes", "0", " TRUE ", "")] == [
        True,
        False,
        True,
        None,
    ]
    with pytest.raises(ValidationError, match="true"):
        field.clean("maybe")


@pytest.mark.usefixtures("db")
async def test_related_objects_are_looked_up_together(queries: list[str]) -> None:
    names = ["Alice", "Nina", "Sun Ra"]
    await Artist.objects.bulk_create(Artist(name=name) for name in names)
    field = Choice(Artist.objects.all(), to_field_name="name")
    queries.clear()
    await run(field.learn, ["Nina", " Sun Ra ", "", "Nobody"])
    found = [await run(field.clean, cell) for cell in ("Nina", "Sun Ra", "Nina")]
    assert [artist.name for artist in found] == ["Nina", "Sun Ra", "Nina"]
    assert len(queries) == 1
    await run(field.learn, ["Nina"])
    assert len(queries) == 1
    with pytest.raises(ValidationError, match="valid choice"):
        await run(field.clean, "Nobody")
    # Keys that are none, or that no database could have.
    keys = Choice(Artist.objects.all(), to_field_name="id")
    await run(keys.learn, ["x", "9" * 40, str(found[0].pk)])
    assert (await run(keys.clean, str(found[0].pk))).name == "Nina"
    for wrong in ("x", "9" * 40):
        with pytest.raises(ValidationError, match="valid choice"):
            await run(keys.clean, wrong)


@pytest.mark.usefixtures("db")
async def test_a_name_of_several_objects_is_no_choice() -> None:
    for _ in range(2):
        await Label.objects.create(name="Impulse")
    field = Choice(Label.objects.all(), to_field_name="name")
    await run(field.learn, ["Impulse"])
    with pytest.raises(ValidationError, match="more than one"):
        await run(field.clean, "Impulse")


@pytest.mark.usefixtures("db")
async def test_many_related_objects_in_a_cell() -> None:
    jazz, soul, rock = [
        await Genre.objects.create(name=name) for name in ("Jazz", "Soul", "Rock, Pop")
    ]
    field = Choices(Genre.objects.all(), to_field_name="name")
    for cell, expected in (
        ("Jazz", [jazz]),
        (" Soul ,Jazz,, Soul", [soul, jazz]),
        ('["Rock, Pop", "Jazz"]', [rock, jazz]),
    ):
        await run(field.learn, [cell])
        assert await run(field.clean, cell) == expected
    assert not await run(field.has_changed, [jazz, soul], "Soul, Jazz")
    assert await run(field.has_changed, [jazz], "Soul, Jazz")
    for cell, message in (
        ("", "required"),
        ("[]", "required"),
        ("Jazz, Folk", "Folk: Select a valid choice"),
        ('["Jazz"', "not a list of JSON"),
    ):
        with pytest.raises(ValidationError, match=message):
            await run(field.clean, cell)
    keys = Choices(Genre.objects.all(), to_field_name="id", required=False)
    assert await run(keys.clean, f"[{jazz.pk}, {soul.pk}]") == [jazz, soul]
    assert await run(keys.clean, "") == []


def test_lists_and_ranges_as_they_are_exported() -> None:
    pytest.importorskip("psycopg")
    from django.contrib.postgres.forms import (
        DateTimeRangeField,
        IntegerRangeField,
        SimpleArrayField,
    )

    several = Several(SimpleArrayField(forms.IntegerField()))
    assert several.clean("1, 2") == several.clean("[1, 2]") == [1, 2]
    for wrong in ("1,x", "[1", '["x"]', ""):
        with pytest.raises(ValidationError):
            several.clean(wrong)
    years = Range(IntegerRangeField(required=False))
    value = years.clean("[1950, 1960)")
    assert (value.lower, value.upper) == (1950, 1960)
    assert years.clean(str(value)) == value
    assert years.clean("[1950, None)").upper is None
    assert years.clean("") is None
    for wrong in ("1950", "(1950, 1960]", "empty", "[x, 1)", "[2, 1)"):
        with pytest.raises(ValidationError):
            years.clean(wrong)
    open_at = Range(DateTimeRangeField())
    moments = open_at.clean("[2026-01-01 10:00:00+00:00, 2026-01-02 10:00:00+00:00)")
    assert moments.lower.isoformat() == "2026-01-01T10:00:00+00:00"


@isolate_apps("tests.records")
def test_what_cannot_be_filled_is_told() -> None:
    class Sheet(models.Model):
        made: Any = models.DateTimeField(auto_now=True)
        raw: Any = models.BinaryField(editable=True)
        spot: Any = models.OneToOneField(Album, models.CASCADE, primary_key=True)

        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return ""

    model: Any
    for model, name in (
        (Album, "id"),
        (Album, "pk"),
        (Album, "title"),
        (Album, "artist"),
        (Album, "artist__name"),
        (Album, "label__pk"),
        (Album, "genres"),
        (Album, "genres__name"),
        (Sheet, "spot__title"),
        (User, "groups__name"),
    ):
        assert refusal(model, name) == "", name
    for model, name, reason in (
        (Album, "nothing", "has no field 'nothing'"),
        (Album, "title__upper", "'title' is not a relation"),
        (Album, "artist__nothing", "has no field named 'nothing'"),
        (Album, "tracks", "other model"),
        (Album, "tags", "not editable"),
        (Tag, "target", "not editable"),
        (Booklet, "scan", "no files"),
        (Sheet, "made", "not editable"),
        (Sheet, "raw", "no files"),
    ):
        assert reason in refusal(model, name), (name, refusal(model, name))
