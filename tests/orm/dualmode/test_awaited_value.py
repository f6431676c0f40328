"""The note on the error of awaiting a lazy attribute whose value is there."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="call-overload, misc"

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.records.models import Album, Artist, Biography, Label, Tag
from vinyl.orm.dualmode import awaited_value

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def make_album() -> Album:
    artist = await Artist.objects.create(name="Nina Simone")
    await Biography.objects.create(artist=artist, text="Born in Tryon")
    album = await Album.objects.create(title="Pastel Blues", artist=artist)
    await album.tags.create(word="live")
    queryset = Album.objects.select_related("artist__biography", "label")
    return await queryset.get()


async def noted(fn: Callable[[Any], Any], argument: Any) -> str:
    """The notes on the error that *fn* raises."""
    try:
        await fn(argument)
    except (TypeError, ExceptionGroup) as error:
        awaited_value.note_awaited_value(error)
        # Looked at twice, it is told once.
        awaited_value.note_awaited_value(error)
        [error] = error.exceptions if isinstance(error, ExceptionGroup) else [error]
        return "\n".join(getattr(error, "__notes__", []))
    raise AssertionError("Nothing was raised")


class Holder:
    def __init__(self, album: Album) -> None:
        self.album = album

    @property
    def found(self) -> Album:
        return self.album


async def one(album: Album) -> None:
    await album.artist


async def nullable(album: Album) -> None:
    await album.label


async def field(album: Album) -> None:
    await album.notes


async def reverse(album: Album) -> None:
    await album.artist.biography  # type: ignore[attr-defined]


async def generic(album: Album) -> None:
    tag = await Tag.objects.prefetch_related("target").aget()
    await tag.target


async def among_others(album: Album) -> None:
    returning("é", await album.artist, await album.label)


async def over_lines(album: Album) -> None:
    returning(
        "è",
        await (
            album
            .artist
        ),
    )  # fmt: skip


async def of_an_attribute(album: Album) -> None:
    holder = Holder(album)
    await holder.album.artist


async def of_a_property(album: Album) -> None:
    holder = Holder(album)
    await holder.found.artist


async def of_a_call(album: Album) -> None:
    await (await Album.objects.select_related("artist").get()).artist


async def of_an_item(album: Album) -> None:
    albums = [album]
    await albums[0].label


async def gathered(album: Album) -> None:
    await asyncio.gather(album.artist, album.label)


async def waited_for(album: Album) -> None:
    await asyncio.wait_for(album.artist, 1)


async def in_a_group(album: Album) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(one(album))


RIGHT = {
    one: "fetch(album, 'artist')",
    nullable: "fetch(album, 'label')",
    field: "fetch(album, 'notes')",
    reverse: "fetch(album.artist, 'biography')",
    generic: "fetch(tag, 'target')",
    among_others: "fetch(album, 'artist')",
    over_lines: "fetch(album, 'artist')",
    of_an_attribute: "fetch(holder.album, 'artist')",
    of_a_property: "fetch(holder.found, 'artist')",
    of_a_call: "fetch(await Album.objects.select_related('artist').get(), 'artist')",
    of_an_item: "fetch(albums[0], 'label')",
    gathered: "fetch(album, 'artist')",
    waited_for: "fetch(album, 'artist')",
    in_a_group: "fetch(album, 'artist')",
}


class NotALabel:
    def __init__(self) -> None:
        self.label = None
        self.artist = Artist(name="Nina")


async def a_plain_object(album: Album) -> None:
    thing = NotALabel()
    await thing.label


async def an_artist_of_no_model(album: Album) -> None:
    thing = NotALabel()
    await thing.artist


async def a_variable(album: Album) -> None:
    artist = album.artist
    await artist


async def a_method(album: Album) -> None:
    await album.refresh_from_db


async def another_error(album: Album) -> None:
    _ = album.title + 1  # type: ignore[operator]


async def raised_by_hand(album: Album) -> None:
    _ = album.artist
    raise TypeError("object Artist can't be used in 'await' expression")


async def an_argument(album: Album) -> None:
    await returning(album.artist)


def returning(*values: Any) -> Any:
    return 5


async def gathered_something_else(album: Album) -> None:
    await asyncio.gather(Label(), (await Album.objects.get()).title)


class TestNote:
    @pytest.mark.parametrize("fn", RIGHT, ids=lambda fn: fn.__name__)
    async def test_says_what_to_write(self, fn: Any) -> None:
        album = await make_album()
        assert f"Write `await {RIGHT[fn]}`" in await noted(fn, album)

    @pytest.mark.parametrize(
        "fn",
        [
            a_plain_object,
            an_artist_of_no_model,
            a_variable,
            a_method,
            another_error,
            raised_by_hand,
            an_argument,
            gathered_something_else,
        ],
        ids=lambda fn: fn.__name__,
    )
    async def test_is_not_on_other_errors(self, fn: Any) -> None:
        album = await make_album()
        assert await noted(fn, album) == ""

    @pytest.mark.parametrize(
        "message",
        [
            "object Artist can't be used in 'await' expression",
            "'Artist' object can't be awaited",
        ],
        ids=["until 3.13", "since 3.14"],
    )
    async def test_knows_what_each_python_says(self, message: str) -> None:
        assert awaited_value._MESSAGES.fullmatch(message)
        album = await make_album()
        with pytest.raises(TypeError) as caught:
            await album.artist
        if sys.version_info >= (3, 14):
            assert "can't be awaited" in str(caught.value)
        caught.value.args = (message,)
        awaited_value.note_awaited_value(caught.value)
        assert "fetch(album, 'artist')" in caught.value.__notes__[0]

    async def test_survives_a_source_that_is_not_there(self) -> None:
        album = await make_album()
        space: dict[str, Any] = {}
        exec("async def unknown(album):\n    await album.artist\n", space)
        assert await noted(space["unknown"], album) == ""
