"""What another task assigns while a lazy attribute is fetched, stays."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, misc"

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import django
import pytest
from django.db import models

from tests.fix_content_types import cold
from tests.fix_gates import Gate
from tests.records.models import Album, Artist, Biography, Tag
from vinyl.orm import run
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

ARTISTS, BIOGRAPHIES = 'FROM "records_artist"', 'FROM "records_biography"'


def make() -> tuple[Artist, Artist]:
    """Two artists, each with an album; the first has a biography, and a tag."""
    nina, odetta = (Artist.objects.create(name=name) for name in ("Nina", "Odetta"))
    for artist in (nina, odetta):
        Album.objects.create(title=f"By {artist.name}", artist=artist, notes="Stored")
    Biography.objects.create(artist=nina, text="Of Nina")
    Tag.objects.create(word="w", target=nina)
    return nina, odetta


async def fetch(read: Callable[[], Any], stop: str, assign: Callable[[], Any]) -> Any:
    """
    Return what awaiting *read*'s attribute gives, or its error. *assign* is called when
    the fetch, in the bridge, has come to the query that contains *stop*.
    """
    gate = Gate(stop)

    async def work() -> Any:
        return await read()

    task = asyncio.create_task(gate.around(work))
    await gate.arrived.wait()
    assign()
    gate.opened.set()
    return (await asyncio.gather(task, return_exceptions=True))[0]


class TestInTheBridge:
    async def test_an_object(self) -> None:
        await run(make)
        album = await Album.objects.get(title="By Nina")
        other = Artist(name="Not saved")
        found = await fetch(
            lambda: album.artist, ARTISTS, lambda: setattr(album, "artist", other)
        )
        assert found.name == "Nina"
        assert album.artist is other
        assert album.artist_id is None

    async def test_a_key(self) -> None:
        _, odetta = await run(make)
        album = await Album.objects.get(title="By Nina")
        found = await fetch(
            lambda: album.artist,
            ARTISTS,
            lambda: setattr(album, "artist_id", odetta.pk),
        )
        assert found.name == "Nina"
        assert (await album.artist).name == "Odetta"

    async def test_an_object_of_a_one_to_one(self) -> None:
        _, odetta = await run(make)
        biography = await Biography.objects.get()
        found = await fetch(
            lambda: biography.artist,
            ARTISTS,
            lambda: setattr(biography, "artist", odetta),
        )
        assert found.name == "Nina"
        assert biography.artist is odetta

    async def test_an_object_of_the_reverse(self) -> None:
        await run(make)
        artist = await Artist.objects.get(name="Nina")
        other = Biography(text="Other")
        found = await fetch(
            lambda: artist.biography,
            BIOGRAPHIES,
            lambda: setattr(artist, "biography", other),
        )
        assert found.text == "Of Nina"
        assert artist.biography is other

    async def test_a_key_of_the_reverse_without_a_row(self) -> None:
        nina, _ = await run(make)
        artist = await Artist.objects.get(name="Odetta")
        found = await fetch(
            lambda: artist.biography,
            BIOGRAPHIES,
            lambda: setattr(artist, "pk", nina.pk),
        )
        assert type(found) is Artist.biography.RelatedObjectDoesNotExist
        assert (await artist.biography).text == "Of Nina"

    async def test_a_deferred_field(self) -> None:
        await run(make)
        album = await Album.objects.defer("notes").aget(title="By Nina")
        await fetch(
            lambda: album.notes,
            'FROM "records_album"',
            lambda: setattr(album, "notes", "Assigned"),
        )
        assert album.notes == "Assigned"

    async def test_an_object_whose_key_is_deferred(self) -> None:
        _, odetta = await run(make)
        album = await Album.objects.defer("artist").aget(title="By Nina")
        await fetch(
            lambda: album.artist_id,
            'FROM "records_album"',
            lambda: setattr(album, "artist", odetta),
        )
        assert album.artist_id == odetta.pk
        assert album.artist is odetta

    async def test_a_generic_target(self) -> None:
        _, odetta = await run(make)
        tag = await Tag.objects.get()
        cold()
        found = await fetch(
            lambda: tag.target, ARTISTS, lambda: setattr(tag, "target", odetta)
        )
        assert found.name == "Nina"
        assert tag.target is odetta

    @pytest.mark.skipif(django.VERSION < (6, 1), reason="6.1 has fetch modes")
    async def test_an_object_of_a_peer(self) -> None:
        nina, _ = await run(make)
        first, second = await Album.objects.fetch_mode(models.FETCH_PEERS)
        await fetch(
            lambda: first.artist, ARTISTS, lambda: setattr(second, "artist", nina)
        )
        assert first.artist.name == "Nina"
        assert second.artist is nina

    async def test_what_the_fetch_itself_sets_is_kept(self, queries: list[str]) -> None:
        """It takes two queries, and the key is set between them."""
        await run(make)
        album = await Album.objects.defer("artist").aget(title="By Nina")
        queries.clear()
        found = await album.artist
        assert album.artist is found
        assert album.artist_id == found.pk
        assert len(queries) == 2


@pytest.mark.parametrize("number", [1, 2], ids=["alone", "together"])
class TestOnTheLoop:
    """By a plan, of one task or of two that share a query."""

    async def fetch(
        self,
        instances: Callable[[], Any],
        attribute: str,
        assign: Callable[[Any], Any],
    ) -> tuple[Any, Any]:
        """An instance to which *assign* has assigned something, and what was found."""
        # Until there is a plan, the query runs in the bridge.
        for time in range(4):
            found = await instances()
            fetched = asyncio.gather(
                *[getattr(one, attribute) for one in found], return_exceptions=True
            )
            while not pool_for("default").in_use:
                await asyncio.sleep(0)
            if time == 3:
                assign(found[0])
            results = await fetched
        return found[0], results[0]

    async def test_an_object(self, number: int) -> None:
        await run(make)
        other = Artist(pk=0, name="Other")
        album, found = await self.fetch(
            lambda: Album.objects.order_by("title")[:number],
            "artist",
            lambda album: setattr(album, "artist", other),
        )
        assert found.name == "Nina"
        assert album.artist is other

    async def test_a_key(self, number: int) -> None:
        _, odetta = await run(make)
        album, found = await self.fetch(
            lambda: Album.objects.order_by("title")[:number],
            "artist",
            lambda album: setattr(album, "artist_id", odetta.pk),
        )
        assert found.name == "Nina"
        assert (await album.artist).name == "Odetta"

    async def test_a_key_of_the_reverse_without_a_row(self, number: int) -> None:
        nina, _ = await run(make)
        artist, found = await self.fetch(
            lambda: Artist.objects.order_by("-name")[:number],
            "biography",
            lambda artist: setattr(artist, "pk", nina.pk),
        )
        assert type(found) is Artist.biography.RelatedObjectDoesNotExist
        assert (await artist.biography).text == "Of Nina"
