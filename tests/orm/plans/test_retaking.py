"""The query of a trail is the one that Django builds for its steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.orm.plans.planning import catalogue
from tests.records.models import Album, Artist, Track
from vinyl.orm import models
from vinyl.orm.plans import trails
from vinyl.orm.plans.retaking import retaken
from vinyl.orm.plans.trails import trail_of

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


@pytest.mark.parametrize(
    "make",
    [
        lambda album: Album.objects.all(),
        lambda album: Album.objects.filter(year__gt=1, artist=album.artist)[:5],
        lambda album: album.tracks.exclude(title="x").order_by("-title"),
        lambda album: album.genres.annotate(n=models.Count("albums")).values("n"),
    ],
)
def test_retaken(make: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    album = catalogue()
    with monkeypatch.context() as off:
        off.setattr(trails, "_enabled", False)
        expected = str(make(album).query)
    trail = trail_of(make(album))
    assert trail is not None
    assert str(retaken(trail).query) == expected


def test_an_instance_counts_with_the_key_that_it_had() -> None:
    """An inline of Django's admin takes the key of an object before it is added."""
    for _ in range(3):
        album = catalogue()
        expected = [track.pk for track in album.tracks.all()]
        tracks, others = Track.objects.filter(album=album), album.tracks.filter()
        album.pk = None
        assert tracks.ordered
        assert [*tracks.in_bulk()] == expected
        assert [track.pk for track in tracks] == expected
        assert [track.pk for track in others] == expected
        Artist.objects.all().delete()
