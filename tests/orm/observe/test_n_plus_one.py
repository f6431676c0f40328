"""N+1s of a recording; tests/web/scenarios/test_n_plus_one.py has those of requests."""

from __future__ import annotations

import logging

import pytest

from tests.fix_lazy_loads import COUNT, make_albums
from tests.records.models import Album
from vinyl.orm.observe.n_plus_one import find_n_plus_ones, log_n_plus_ones
from vinyl.orm.recording import recording


def test_each_line_that_repeats_a_load(
    db: str, caplog: pytest.LogCaptureFixture
) -> None:
    make_albums()
    with recording(full=True) as record:
        first, *others = Album.objects.all()
        first.label  # noqa: B018
        for album in others:
            album.label  # noqa: B018
        for album in Album.objects.all():
            album.artist  # noqa: B018
    most, fewer = find_n_plus_ones(record)
    assert (most.name, most.loads) == ("Album.artist", COUNT)
    assert (fewer.name, fewer.loads) == ("Album.label", COUNT - 1)
    assert most.call == 'select_related("artist")'
    assert most.seconds > 0

    caplog.set_level(logging.WARNING, "vinyl.queries")
    log_n_plus_ones(record)
    logged, _ = caplog.records
    assert logged.getMessage() == str(most)
    facts = vars(logged)
    assert (facts["loads"], facts["cure"]) == (COUNT, most.call)
    assert facts["duration"] == most.seconds


def test_a_recording_that_is_not_full(db: str) -> None:
    with recording() as record:
        Album.objects.count()
    assert find_n_plus_ones(record) == []
