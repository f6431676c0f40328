"""Fixtures about content types: a tagged album, and a process that knows no types."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connections

from tests.records.models import Album, Artist, Tag, Track


def cold() -> None:
    """Forget all content types, as in a process that has just started."""
    ContentType.objects.clear_cache()


@pytest.fixture
def shop(db: str) -> SimpleNamespace:
    artist = Artist.objects.create(name="Nina")
    album = Album.objects.create(title="Pastel Blues", artist=artist)
    Album.objects.create(title="Untagged", artist=artist)
    Track.objects.create(title="Sinnerman", album=album)
    Tag.objects.create(word="live", target=album)
    connections["default"].close()
    cold()
    return SimpleNamespace(artist=artist, album=album, tag=Tag.objects.get())
