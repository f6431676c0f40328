"""Relations that columns read, fetched for all rows of a list together."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

from typing import Any

import pytest

from tests.records.models import Album, Artist, Biography, Label, Tag, Track
from tests.web.admin.administering import administering, superuser, text
from vinyl.orm import run
from vinyl.web.admin import AdminSite, ModelAdmin
from vinyl.web.admin.peers import fetch_together

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def some_tracks() -> None:
    for i in range(4):
        artist = await Artist.objects.create(name=f"Artist {i}")
        if i % 2:
            await Biography.objects.create(artist=artist, text=f"Life {i}")
        label = await Label.objects.create(name=f"Label {i}") if i else None
        album = await Album.objects.create(
            title=f"Album {i}", artist=artist, label=label
        )
        await Track.objects.create(title=f"Track {i}", album=album)


class TrackAdmin(ModelAdmin):
    list_display = ("title", "biography", "label")

    def biography(self, track: Any) -> str:
        artist = track.album.artist
        return artist.biography.text if hasattr(artist, "biography") else "unknown"

    def label(self, track: Any) -> str:
        return track.album.label.name if track.album.label else "none"


async def test_columns_that_walk_relations_take_a_query_for_each_relation(
    queries: list[str],
) -> None:
    await superuser()
    await some_tracks()
    site = AdminSite()
    site.register(Track, TrackAdmin)
    async with administering(site=site) as http:
        queries.clear()
        page = text(await http.get("/admin/records/track/"))
    for row in ("Track 0 unknown none", "Track 3 Life 3 Label 3"):
        assert row in page
    # Session, user, count, tracks; albums, artists, biographies, labels.
    assert len(queries) == 8, queries


async def test_rows_of_different_kinds_share_a_query_for_each_kind(
    queries: list[str],
) -> None:
    await some_tracks()
    for album in await Album.objects.all():
        await Tag.objects.create(word=album.title, target=album)
        await Tag.objects.create(word="gone", target=album)

    def targets() -> list[Any]:
        tags = [*Tag.objects.order_by("pk")]
        fetch_together(tags)
        # More than once makes no difference.
        fetch_together(tags)
        return [tag.target for tag in tags]

    queries.clear()
    assert {target.title[:6] for target in await run(targets)} == {"Album "}
    found = [sql for sql in queries if 'FROM "records_album"' in sql]
    assert len(found) == 1


async def test_a_single_row_fetches_as_usual(queries: list[str]) -> None:
    await some_tracks()

    def title() -> str:
        [track] = Track.objects.filter(title="Track 2")
        fetch_together([track])
        return track.album.title

    assert await run(title) == "Album 2"
    fetch_together(["no row", 5])
