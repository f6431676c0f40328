"""How instances were reached, and the calls that would have fetched what is missing."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

from typing import Any

import pytest

from tests.fix_lazy_loads import make_albums
from tests.fix_observing import Call
from tests.records.models import Album, Artist, Track
from vinyl.orm.observe.lookup_paths import LookupPath, cure_of, path_of
from vinyl.orm.recording import recording


@pytest.mark.parametrize(
    ("reach", "path"),
    [
        (lambda: Album(), LookupPath("Album")),
        (lambda: Album.objects.all()[0], LookupPath("Album")),
        (lambda: Album.objects.get(title="Album 0"), LookupPath("Album")),
        (
            lambda: Album.objects.select_related("artist")[0].artist,
            LookupPath("Album", ("artist",)),
        ),
        (lambda: Album.objects.all()[0].artist, LookupPath("Album", ("artist",))),
        (
            lambda: Album.objects.all()[0].tracks.all()[0],
            LookupPath("Album", ("tracks",), joins=False),
        ),
        (
            lambda: list(Album.objects.all()[0].tracks.all())[0].album,
            LookupPath("Album"),
        ),
        (
            lambda: (
                Artist.objects.prefetch_related("albums__tracks")[0]
                .albums.all()[0]
                .tracks.all()[0]
            ),
            LookupPath("Artist", ("albums", "tracks"), joins=False),
        ),
        (
            lambda: Track.objects.select_related("album")[0].album.artist,
            LookupPath("Track", ("album", "artist")),
        ),
    ],
)
def test_the_path_of_an_instance(call: Call, reach: Any, path: LookupPath) -> None:
    make_albums()
    with recording(full=True):
        assert path_of(call(reach)) == path


@pytest.mark.parametrize(
    ("names", "joins", "kind", "call"),
    [
        (("album", "artist"), True, "one", 'select_related("album__artist")'),
        (("tracks", "album"), False, "one", 'prefetch_related("tracks__album")'),
        (("tracks",), False, "many", 'prefetch_related("tracks")'),
        (("target",), False, "generic", 'prefetch_related("target")'),
        (("album", "notes"), False, "field", 'only(..., "album__notes")'),
        (
            *(("tracks",), False, "part"),
            'prefetch_related(Prefetch("tracks", queryset=..., to_attr=...))',
        ),
    ],
)
def test_the_cure(names: tuple[str, ...], joins: bool, kind: str, call: str) -> None:
    found, sentence = cure_of(LookupPath("Track", names, joins), kind)
    assert found == call
    assert "the queryset of Track: " in sentence
    assert sentence.endswith(f"{call}.")
