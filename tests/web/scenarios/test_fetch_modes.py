"""`VINYL["TEMPLATE_FETCH_MODE"]`: a template fetches for a whole list at once."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Iterator
from typing import Any

import django
import pytest
from django.contrib.contenttypes.models import ContentType
from django.core import checks
from django.db import models
from django.test import override_settings

from tests.fix_lazy_loads import COUNT, Reports, rows, visit
from tests.records.models import Album, Artist, Tag, Track
from vinyl.orm import run
from vinyl.orm.recording import recording

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

FETCH_MODES = django.VERSION >= (6, 1)


@pytest.mark.skipif(FETCH_MODES, reason="This Django has fetch modes")
def test_fetch_modes_need_a_newer_django() -> None:
    vinyl = {"OPENTELEMETRY": False, "TEMPLATE_FETCH_MODE": "peers"}
    with override_settings(VINYL=vinyl):
        [told] = checks.run_checks(tags=["vinyl"])
    assert told.id == "vinyl.E005"
    assert "requires Django 6.1" in told.msg


@pytest.mark.skipif(not FETCH_MODES, reason="Django 6.1 has fetch modes")
@pytest.mark.usefixtures("albums")
class TestPeers:
    """VINYL["TEMPLATE_FETCH_MODE"] = "peers"."""

    @pytest.fixture(autouse=True)
    def mode(self) -> Iterator[None]:
        vinyl = {"OPENTELEMETRY": False, "TEMPLATE_FETCH_MODE": "peers"}
        with override_settings(VINYL=vinyl):
            yield

    @pytest.mark.parametrize(
        ("expression", "queryset"),
        [
            ("row.artist.name", lambda: Album.objects.all()),
            ("row.notes", lambda: Album.objects.defer("notes")),
            ("row.biography.text", lambda: Artist.objects.all()),
            ("row.target.title", lambda: Tag.objects.all()),
            ("row.album.artist.name", lambda: Track.objects.select_related("album")),
        ],
        ids=["foreign key", "field", "one-to-one", "generic", "of what was joined"],
    )
    async def test_a_page_takes_two_queries(
        self, expression: str, queryset: Any, reports: Reports
    ) -> None:
        await run(meet)
        with recording() as record:
            page = await visit(rows(expression), queryset)
        assert len(page.split()) > COUNT
        assert record.count == 2
        assert reports.all() == []

    async def test_twenty_rows(self) -> None:
        for number in range(COUNT, 20):
            artist = await Artist.objects.create(name=f"Artist {number}")
            await Album.objects.create(title=f"Album {number}", artist=artist)
        await run(meet)
        counts = []
        for mode in ("one", "peers"):
            vinyl = {"OPENTELEMETRY": False, "TEMPLATE_FETCH_MODE": mode}
            with recording() as record:
                text = rows("row.artist.name")
                page = await visit(text, Album.objects.all, VINYL=vinyl)
            counts.append(record.count)
            assert page.count("Artist") == 20
        assert counts == [21, 2]

    async def test_code_fetches_for_one(self) -> None:
        albums = await Album.objects.all()
        with recording(full=True) as record:
            await albums[0].artist
            first, second = await asyncio.gather(albums[1].artist, albums[2].artist)
        assert (first.name, second.name) == ("Artist 1", "Artist 2")
        # One for the first, and one for the two that are awaited together.
        assert record.count == 2
        assert not Album.artist.is_cached(albums[3])

        def work() -> None:
            albums[3].artist.name  # noqa: B018

        with recording() as record:
            await run(work)
        assert record.count == 1
        assert not Album.artist.is_cached(albums[4])

    async def test_the_queryset_s_own_mode_comes_first(self) -> None:
        await run(meet)
        with recording() as record:
            own = models.FETCH_ONE
            await visit(rows("row.artist"), lambda: Album.objects.fetch_mode(own))
        assert record.count == 1 + COUNT

    async def test_instances_can_be_pickled(self) -> None:
        album = await Album.objects.afirst()
        again = pickle.loads(pickle.dumps(album))
        assert again == album
        assert (await again.artist).name == "Artist 0"


def meet() -> None:
    """Have Django know all content types, so that no page asks for one."""
    for model in (Album, Artist, Tag):
        ContentType.objects.get_for_model(model)
