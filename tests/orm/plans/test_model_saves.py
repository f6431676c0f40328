"""What instances of a model are made and saved by plans, and what is left to Django."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, var-annotated"

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test.utils import isolate_apps

from tests.orm.plans.planning import catalogue
from tests.records.models import Album, Artist, Label, Track
from vinyl.orm import models
from vinyl.orm.plans import model_saves

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


class TestMaking:
    def test_with_arguments_that_are_fields(self) -> None:
        artist = Artist.objects.create(name="Nina")
        assert model_saves.can_make(Album, {"title": "x", "artist": artist})
        assert model_saves.can_make(
            Album, {"title": "x", "artist_id": 1, "label": None}
        )
        assert not model_saves.can_make(Album, {"titel": "x"})
        assert not model_saves.can_make(Album, {"artist": "Nina"})
        [bare] = Artist.objects.only("name")
        del bare.__dict__["id"]
        assert not model_saves.can_make(Album, {"artist": bare})

    @isolate_apps("tests.records")
    def test_without_code_of_the_project(self) -> None:
        class Counted(models.Model):
            number = models.IntegerField(default=lambda: Label.objects.count())

            class Meta:
                app_label = "records"

        class Special(models.Model):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)

            class Meta:
                app_label = "records"

        class Safe(models.Model):
            key = models.UUIDField(default=uuid.uuid4)
            data = models.TextField(default=str)

            class Meta:
                app_label = "records"

        assert not model_saves.can_make(Counted, {})
        assert not model_saves.can_make(Special, {})
        assert model_saves.can_make(Safe, {})


def test_choices_of_fields_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_saves, "MAX_CHOICES", 1)
    catalogue()
    for _ in range(4):
        for names in (["title"], ["notes"], ["title", "notes"]):
            album = Album.objects.get(year=1)
            album.title, album.notes = "x", "y"
            album.save(update_fields=names)
            album.save()
    assert Track.objects.count() == 6
