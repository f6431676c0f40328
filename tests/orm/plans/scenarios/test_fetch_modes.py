"""Plans of querysets with a fetch mode, which Django has from version 6.1 on."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

from typing import Any

import django
import pytest
from django.core import exceptions
from django.db import connection
from django.db import models as django_models
from django.test.utils import CaptureQueriesContext

from tests.orm.plans.planning import catalogue, thrice
from tests.records.models import Album, Artist

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("db", "nothing_known"),
    pytest.mark.skipif(django.VERSION < (6, 1), reason="needs Django 6.1"),
]


def mode(name: str) -> Any:
    return getattr(django_models, name)


def test_peers_are_fetched_together(used: list[str]) -> None:
    catalogue()

    def names() -> list[str]:
        albums = Album.objects.fetch_mode(mode("FETCH_PEERS"))
        return [album.artist.name for album in albums]

    assert thrice(names, used) == ["Nina Simone"] * 3
    with CaptureQueriesContext(connection) as queries:
        names()
    assert len(queries) == 2


def test_selected_relations_have_peers_of_their_own(used: list[str]) -> None:
    catalogue()
    other = Artist.objects.create(name="Bessie Smith")
    Album.objects.filter(year=0).update(artist=other)

    def peers() -> list[int]:
        albums = Album.objects.select_related("artist")
        return [
            len(album.artist._state.peers)
            for album in albums.fetch_mode(mode("FETCH_PEERS"))
        ]

    # Each row makes an instance, whichever it is.
    assert thrice(peers, used) == [3, 3, 3]


def test_no_plan_fetches_what_the_mode_blocks(used: list[str]) -> None:
    album = catalogue()

    def artist() -> None:
        found = Album.objects.fetch_mode(mode("FETCH_RAISE")).get(pk=album.pk)
        with pytest.raises(exceptions.FieldFetchBlocked):
            found.artist  # noqa: B018

    thrice(artist, used)


def test_modes_share_a_plan_and_pass_on_to_relations(used: list[str]) -> None:
    album = catalogue()
    for name in ("FETCH_ONE", "FETCH_PEERS", "FETCH_RAISE"):
        used.clear()
        found = Album.objects.fetch_mode(mode(name)).get(pk=album.pk)
        assert found._state.fetch_mode is mode(name)
        tracks = list(found.tracks.all())
        assert {track._state.fetch_mode for track in tracks} == {mode(name)}
    assert len(used) == 2
