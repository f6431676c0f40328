"""The relations that are prefetched without code of Django."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, var-annotated"

from __future__ import annotations

from typing import Any

import pytest
from django.apps.registry import Apps
from django.db.models import ForeignObject
from django.test.utils import isolate_apps

from tests.records.models import Album, Artist, Biography, Genre, Review, Tag, Track
from vinyl.orm import models
from vinyl.orm.plans.prefetch_relations import keys_of, relation_of

RELATIONS: dict[str, tuple[Any, str, tuple[Any, ...]]] = {
    "a foreign key": (Track, "album", ("forward", "album_id", "id", Album, None)),
    "its other side": (Album, "tracks", ("many", "id", "album_id", Track, "album")),
    "one to one": (
        Biography,
        "artist",
        ("forward", "artist_id", "id", Artist, "biography"),
    ),
    "its other side, one": (
        Artist,
        "biography",
        ("one", "id", "artist_id", Biography, "artist"),
    ),
    "many to many": (
        Album,
        "genres",
        ("through", "id", "_prefetch_related_val_album_id", Genre, None),
    ),
    "its other side, many": (
        Genre,
        "albums",
        ("through", "id", "_prefetch_related_val_genre_id", Album, None),
    ),
}


@pytest.mark.parametrize("case", RELATIONS)
def test_of_djangos_kinds(case: str) -> None:
    model, name, expected = RELATIONS[case]
    found = relation_of(model, name)
    assert found is not None
    assert (found.kind, found.key, found.name, found.related, found.remote) == expected
    assert relation_of(model, name) is found


class Odd(models.Model):
    album_id = models.IntegerField()
    album: Any = ForeignObject(
        Album, models.CASCADE, from_fields=["album_id"], to_fields=["id"]
    )

    class Meta:
        app_label = "records"
        apps = Apps()


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (Album, "title"),
        (Album, "nonsense"),
        (Tag, "target"),
        (Odd, "album"),
        (object, "anything"),
    ],
)
def test_of_other_kinds_are_left_to_django(model: Any, name: str) -> None:
    assert relation_of(model, name) is None


def test_keys_are_those_of_instances_of_the_model() -> None:
    albums = [Album(pk=1), Album(pk=2)]
    assert keys_of(albums, Album, "id") == [1, 2]
    assert keys_of([*albums, Review(pk=3)], Album, "id") is None
    del albums[0].__dict__["id"]
    assert keys_of(albums, Album, "id") is None


@isolate_apps("tests.records")
def test_to_a_model_with_a_composite_key_are_left_to_django() -> None:
    class Tenant(models.Model):
        class Meta:
            app_label = "records"

    class Member(models.Model):
        pk = models.CompositePrimaryKey("tenant_id", "number")
        tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="members")
        number = models.IntegerField()

        class Meta:
            app_label = "records"

    assert relation_of(Tenant, "members") is None
    for key in (1, 2, 3):
        found = Tenant(pk=key).members.all()
        assert found.query.sql_with_params()[1] == (key,)
