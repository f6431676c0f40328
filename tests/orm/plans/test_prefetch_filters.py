"""The filters of prefetches are steps, and make the SQL that Django makes."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models.fields import related_descriptors

from tests.orm.plans.planning import catalogue
from tests.records.models import Album, Artist, Biography, Track
from vinyl.orm.plans import trails
from vinyl.orm.plans.prefetch_filters import by_instances, by_keys
from vinyl.orm.plans.trails import trail_of

pytestmark = pytest.mark.usefixtures("db", "nothing_known")


def tracks_of_albums(tracks: Any) -> Any:
    return related_descriptors._filter_prefetch_queryset(
        tracks, "album", list(Album.objects.all())
    )


def artists_of_albums() -> Any:
    keys = [album.artist_id for album in Album.objects.all()]
    return by_keys(Artist.objects.all(), Album.artist.field, [*dict.fromkeys(keys)])


# A filter, and what makes the same queryset without plans.
FILTERS: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "what refers to each": (
        lambda: tracks_of_albums(Track.objects.all()),
        lambda: tracks_of_albums(Track.objects.all()),
    ),
    "what refers to each, one to one": (
        lambda: by_instances(
            Biography.objects.order_by("text"), "artist", list(Artist.objects.all())
        ),
        lambda: Artist.biography.get_prefetch_querysets(list(Artist.objects.all()))[0],
    ),
    "what each refers to": (
        artists_of_albums,
        lambda: Album.artist.get_prefetch_querysets(list(Album.objects.all()))[0],
    ),
}


@pytest.mark.parametrize("case", FILTERS)
def test_are_steps(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    catalogue()
    filtered, of_django = FILTERS[case]
    with monkeypatch.context() as off:
        off.setattr(trails, "_enabled", False)
        expected = str(of_django().query)
    nodes = []
    for _ in range(3):
        queryset = filtered()
        trail = trail_of(queryset)
        assert trail is not None
        nodes.append(trail.node)
        assert str(queryset.query) == expected
    assert nodes == nodes[:1] * 3


def test_of_a_slice_are_djangos() -> None:
    catalogue()
    queryset = tracks_of_albums(Track.objects.all()[:1])
    assert trail_of(queryset) is None
    assert [track.title for track in queryset] == ["0"] * 3
