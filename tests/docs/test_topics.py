"""The examples of the pages that explain, on a database."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc, attr-defined"

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import ObjectDoesNotExist
from django.test import override_settings
from django.test.utils import isolate_apps

from tests.docs.pages import Example, awaited, blocks, python_blocks
from tests.fix_db import only_postgresql
from tests.records.models import Account, Album, Artist, Genre, Label
from tests.web.serving import serving, templates
from vinyl.conf import vinyl_settings
from vinyl.orm import NotFetched, transaction

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

GIVEN = {
    "Account": Account,
    "Album": Album,
    "Artist": Artist,
    "ObjectDoesNotExist": ObjectDoesNotExist,
    "asyncio": asyncio,
    "sync_to_async": sync_to_async,
    "transaction": transaction,
}


@pytest.fixture
async def artist(db: Any) -> Artist:
    return await Artist.objects.create(name="Nina Simone")


@pytest.fixture
async def album(artist: Artist) -> Album:
    label = await Label.objects.create(name="Philips")
    created = await Album.objects.create(
        pk=5, title="Pastel Blues", artist=artist, label=label
    )
    await created.genres.add(await Genre.objects.create(name="Blues"))
    return await Album.objects.get(pk=5)


class TestTransactions:
    PAGE = "topics/transactions.md"

    async def test_blocks(self, artist: Artist) -> None:
        names = await awaited(self.PAGE, 0, **GIVEN, artist=artist)
        assert [t.title for t in await names["album"].tracks.all()] == ["Sinnerman"]

    async def test_a_transfer(self) -> None:
        for pk in (1, 2):
            await Account.objects.create(pk=pk, balance=10)
        names = await awaited(self.PAGE, 1, **GIVEN)
        await names["transfer"](1, 2, 4)
        balances = Account.objects.order_by("pk").values_list("balance", flat=True)
        assert await balances == [6, 14]

    async def test_operations_at_once(self, album: Album) -> None:
        names = await awaited(self.PAGE, 2, **GIVEN)
        assert (names["albums"], names["artists"]) == ([album], 1)

    async def test_a_time_out_in_a_nested_block(self, album: Album) -> None:
        async def reserve() -> None:
            await album.tracks.create(title="Strange Fruit")
            raise TimeoutError

        items = album.tracks
        await items.create(title="Sinnerman", position=1)
        order = SimpleNamespace(save=album.save, reserve=reserve)
        order.items = SimpleNamespace(
            update=lambda reserved: items.update(position=int(reserved))
        )
        await awaited(self.PAGE, 3, **GIVEN, order=order)
        assert await items.values_list("title", "position") == [("Sinnerman", 0)]

    async def test_a_generator_is_closed(self, album: Album) -> None:
        closed = []

        async def pages() -> Any:
            async with transaction.atomic():
                try:
                    yield await Album.objects.count()
                finally:
                    closed.append(True)

        names = await awaited(self.PAGE, 4, **GIVEN, pages=pages)
        assert (names["page"], closed) == (1, [True])

    async def test_a_thread_takes_part(self, artist: Artist) -> None:
        seen = []

        def print_label(album: Album) -> None:
            seen.append(Album.objects.get(pk=album.pk).title)

        await awaited(self.PAGE, 5, **GIVEN, artist=artist, print_label=print_label)
        assert seen == ["Silk and Soul"]


async def test_lazy_relations(album: Album, queries: list[str]) -> None:
    page = "topics/lazy-relations.md"
    names = await awaited(page, 0, **GIVEN)
    assert names["artist"].name == "Nina Simone"
    assert names["album"].artist is names["artist"]

    fresh = await Album.objects.get(pk=5)
    albums = await Album.objects.all()
    queries.clear()
    names = await awaited(page, 1, album=fresh, albums=albums)
    assert (names["artist"].name, names["label"].name) == ("Nina Simone", "Philips")
    assert len(queries) == 3
    assert albums[0].artist.name == "Nina Simone"

    names = await awaited(page, 2)
    # What the page warns of: a relation that is not fetched is not None.
    assert isinstance((await Album.objects.get(pk=5)).label, NotFetched)
    assert names["is_independent"](await Album.objects.get(pk=5)) is False

    names = await awaited(page, 3, **GIVEN)
    [found] = await names["albums"]
    assert found.artist.name == "Nina Simone"
    assert [genre.name for genre in found.genres.all()] == ["Blues"]


async def test_the_bridge(album: Album, artist: Artist) -> None:
    page = "topics/bridge.md"
    names = await awaited(page, 0, 1, **GIVEN)
    assert await names["count_albums"](None, None) == 1

    def make_invoice(order: Album) -> str:
        return f"{order.title} by {order.artist.name}"

    names = await awaited(page, 1, 2, make_invoice=make_invoice, order=album)
    assert names["invoice"] == "Pastel Blues by Nina Simone"

    names = await awaited(page, 1, 4)
    await Album.objects.filter(pk=5).update(year=1966)
    assert (await names["retitle"](album, "Silk and Soul")).year == 1966
    assert (await Album.objects.get(pk=5)).title == "Silk and Soul"


@isolate_apps("tests.records")
async def test_an_overridden_save_that_awaits(artist: Artist) -> None:
    announced = []

    async def announce(saved: Any) -> None:
        announced.append(await Artist.objects.filter(name=saved.name).count())

    lines = python_blocks("topics/bridge.md")[3].splitlines()
    source = "\n".join(
        ["class Announced(Artist):", "    class Meta:", "        proxy = True", ""]
        + [f"    {line}" for line in lines]
    )
    names = {"Artist": Artist, "announce": announce, "__name__": "tests.records.models"}
    exec(f"from vinyl.orm import await_, in_bridge\n{source}", names)
    announcing: Any = names["Announced"]
    await announcing(name="Odetta").save()
    assert announced == [1]


async def test_plans(artist: Artist, queries: list[str]) -> None:
    for pk in (5, 6, 7):
        await Album.objects.create(pk=pk, title=str(pk), artist=artist)
    queries.clear()
    await awaited("topics/plans.md", 0, **GIVEN)
    assert len(queries) == 4
    names = await awaited("topics/plans.md", -1)
    with override_settings(VINYL=names["VINYL"]):
        assert vinyl_settings.PLANS is False


async def test_pools(album: Album) -> None:
    names = await awaited("topics/connections.md", 0)
    assert "size" in str(names["pool_for"]("default").stats())


async def test_recording(album: Album) -> None:
    names = await awaited("howto/observe-queries.md", 4, **GIVEN)
    assert (names["record"].count, names["albums"]) == (1, [album])


async def test_streaming(album: Album) -> None:
    exported = []

    async def export(row: Album) -> None:
        exported.append(row)

    await awaited("reference/orm.md", 0, **GIVEN, export=export)
    assert exported == [album]


async def test_what_to_write_where_python_cannot_refuse(album: Album) -> None:
    names = await awaited(
        "reference/checks.md", **GIVEN, pk=5, artist=await album.artist
    )
    assert names["biography"] is None


async def test_query_awareness(
    album: Album, example: Example, caplog: pytest.LogCaptureFixture
) -> None:
    page = "topics/query-awareness.md"
    for name in ("Odetta", "Etta"):
        artist = await Artist.objects.create(name=name)
        await Album.objects.create(title=name, artist=artist)
    files = {"records/albums.html": blocks(page, "html")}
    for chosen, warns in (((0, 1), False), ((0,), True)):
        names = await awaited(page, *chosen)
        caplog.clear()
        async with serving(
            names["path"]("albums/", names["albums"]),
            **templates(files=files),
            DEBUG=True,
            MIDDLEWARE=["vinyl.web.recording.RecordingMiddleware"],
        ) as http:
            assert "by Etta" in (await http.get("/albums/")).text
        told = [r.message for r in caplog.records if r.name == "vinyl.queries"]
        assert any('select_related("artist")' in line for line in told) == warns


@only_postgresql
class TestNotifications:
    PAGE = "howto/listen-notify.md"

    @isolate_apps("tests.records")
    async def test_a_worker(self, artist: Artist) -> None:
        shipped: asyncio.Queue[Any] = asyncio.Queue()

        class Order(Artist):
            class Meta:
                proxy = True
                app_label = "records"

            async def ship(self) -> None:
                await shipped.put(self.name)

        names = await awaited(self.PAGE, 0, **GIVEN, Order=Order)
        worker = asyncio.create_task(names["worker"]())
        async with names["listen"]("orders"), asyncio.timeout(30):
            # The worker listens on the same session.
            await names["notify"]("orders", str(artist.pk))
            assert await shipped.get() == "Nina Simone"
        worker.cancel()

    async def test_an_answer(self, artist: Artist) -> None:
        names = await awaited(self.PAGE, 0, 1, **GIVEN)

        async def answer() -> None:
            async for note in names["listen"]("questions"):
                await names["notify"](f"answers-{note.payload}", "42")

        async with names["listen"]("questions") as ready:
            answering = asyncio.create_task(answer())
            await names["notify"]("questions", "0")
            await anext(ready)
            assert (await names["ask"](artist)).payload == "42"
        answering.cancel()
