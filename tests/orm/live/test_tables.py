"""The tables that a queryset reads."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import Count, Exists, OuterRef, Prefetch, QuerySet, Subquery

from tests.records.models import Album, Artist, Genre, Label, Track
from vinyl.orm.live.tables import name_in_catalog, tables_of_models, tables_read_by

ALBUMS = Album.objects.all()
OF_LABEL = Album.objects.filter(label=OuterRef("pk"))


@pytest.mark.parametrize(
    ("queryset", "tables"),
    [
        (ALBUMS, "album"),
        (ALBUMS.none(), "album"),
        (ALBUMS.filter(artist__name="Nina"), "album artist"),
        (ALBUMS.filter(pk__in=[]), "album"),
        (ALBUMS.select_related("label"), "album label"),
        (ALBUMS.order_by("artist__name"), "album artist"),
        (ALBUMS.filter(genres__name="Jazz"), "album album_genres genre"),
        (ALBUMS.annotate(Count("tracks")), "album track"),
        (ALBUMS.filter(artist__in=Artist.objects.all()), "album artist"),
        (Label.objects.filter(Exists(OF_LABEL)), "label album"),
        (
            Label.objects.annotate(title=Subquery(OF_LABEL.values("title")[:1])),
            "label album",
        ),
        (
            Label.objects.values("name").union(
                Artist.objects.order_by().values("name")
            ),
            "label artist",
        ),
        (ALBUMS.prefetch_related("genres"), "album album_genres genre"),
        (Artist.objects.prefetch_related("albums__tracks"), "artist album track"),
        (
            Artist.objects.prefetch_related(
                Prefetch("albums", Album.objects.select_related("label"))
            ),
            "artist album label",
        ),
        (Genre.objects.prefetch_related("albums"), "genre album_genres album"),
        (Track.objects.values("album__artist__name"), "track album artist"),
    ],
)
def test_of_a_queryset(queryset: QuerySet[Any], tables: str) -> None:
    found = tables_read_by(queryset, "default")
    assert found == {f"records_{table}" for table in tables.split()}


def test_of_models() -> None:
    assert tables_of_models([Album]) == {"records_album", "records_album_genres"}
    assert "auth_user_groups" in tables_of_models([User])


@pytest.mark.parametrize(
    "table", ["album", '"album"', 'shop"."album', '"shop"."album"']
)
def test_the_name_without_a_schema(table: str) -> None:
    assert name_in_catalog(table) == "album"
