"""Which reads are lazy loads, of which relation, and of which kind."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.fix_lazy_loads import make_albums
from tests.fix_observing import Call
from tests.records.models import Album, Artist, Genre, Tag, Track
from vinyl.orm.observe.lazy_loads import RecordedLoad
from vinyl.orm.recording import recording

Read = Callable[[], Any]

LOADS: dict[str, tuple[str, str, Read]] = {
    "a foreign key": ("Album.artist", "one", lambda: album().artist),
    "a one-to-one relation": ("Artist.biography", "one", lambda: artist().biography),
    "a deferred field": (
        *("Album.notes", "field"),
        lambda: Album.objects.defer("notes")[0].notes,
    ),
    "a generic foreign key": (
        *("Tag.target", "generic"),
        lambda: Tag.objects.all()[0].target,
    ),
    "all": ("Album.tracks", "many", lambda: list(album().tracks.all())),
    "all, twice": ("Album.tracks", "many", lambda: list(album().tracks.all().all())),
    "all, many-to-many": ("Album.genres", "many", lambda: list(album().genres.all())),
    "all, many-to-many from its other side": (
        *("Genre.albums", "many"),
        lambda: list(Genre.objects.all()[0].albums.all()),
    ),
    "all, generic": ("Album.tags", "many", lambda: list(album().tags.all())),
    "a filter": ("Album.tracks", "part", lambda: list(album().tracks.filter(pk=0))),
    "an exclusion": (
        "Album.genres",
        "part",
        lambda: list(album().genres.exclude(pk=0)),
    ),
    "an order": ("Album.tags", "part", lambda: list(album().tags.order_by("-word"))),
    "the first": ("Album.tracks", "part", lambda: album().tracks.first()),
    "one of them": ("Album.tracks", "part", lambda: album().tracks.get()),
    "a slice": ("Album.tracks", "part", lambda: list(album().tracks.all()[:1])),
    "a join": (
        *("Album.tracks", "part"),
        lambda: list(album().tracks.select_related("album")),
    ),
    "a filter of what is prefetched": (
        *("Album.tracks", "part"),
        lambda: list(prefetched().tracks.filter(pk=0)),
    ),
    "a filter of what is prefetched, many-to-many": (
        *("Album.genres", "part"),
        lambda: list(prefetched().genres.filter(pk=0)),
    ),
}

NOT_LOADS: dict[str, Read] = {
    "all that is prefetched": lambda: list(prefetched().tracks.all()),
    "all that is prefetched, many-to-many": lambda: list(prefetched().genres.all()),
    "a number": lambda: album().tracks.count(),
    "whether there is one": lambda: album().tracks.exists(),
    "a queryset of one's own": lambda: list(Track.objects.filter(album=album())),
    "a subquery": lambda: list(Track.objects.filter(album__in=artist().albums.all())),
    "nothing": lambda: list(album().tracks.none()),
}


def album() -> Album:
    return Album.objects.order_by("pk")[0]


def artist() -> Artist:
    return Artist.objects.order_by("pk")[0]


def prefetched() -> Album:
    return Album.objects.prefetch_related("tracks", "genres", "tags")[0]


def loads_of(call: Call, read: Read) -> list[RecordedLoad]:
    def work() -> None:
        # Without its value, whose repr() would load more where asyncio shows it.
        read()

    make_albums()
    with recording(full=True) as record:
        call(work)
    return record.notes.get("loads", [])


@pytest.mark.parametrize(("name", "kind", "read"), LOADS.values(), ids=LOADS)
def test_a_load(call: Call, name: str, kind: str, read: Read) -> None:
    [load] = loads_of(call, read)
    assert (load.name, load.kind) == (name, kind)
    owner, _, attribute = name.partition(".")
    assert load.path == (owner, (attribute,), kind == "one")
    assert load.seconds > 0
    assert load.callsite.frame is not None
    assert load.callsite.frame.file == __file__


@pytest.mark.parametrize("read", NOT_LOADS.values(), ids=NOT_LOADS)
def test_no_load(call: Call, read: Read) -> None:
    assert loads_of(call, read) == []


def test_only_full_recordings_have_loads(call: Call) -> None:
    make_albums()
    with recording() as record:
        call(lambda: album().artist)
    assert record.count == 2
    assert record.notes == {}
