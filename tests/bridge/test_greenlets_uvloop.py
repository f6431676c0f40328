"""On uvloop, which the servers run on; the other tests are on asyncio's own loop."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, call-overload, misc"

from __future__ import annotations

import asyncio

import pytest

from tests.fix_db import only_postgresql
from tests.records.models import Album, Artist
from vinyl.orm import connection, fetch, transaction
from vinyl.orm.pools import registry

pytest.importorskip("uvloop", reason='pip install "uvicorn[standard]"')

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


@pytest.fixture(scope="module")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


async def test_it_is_the_loop() -> None:
    assert type(asyncio.get_running_loop()).__module__.startswith("uvloop")


async def test_queries_and_relations() -> None:
    artists = [await Artist.objects.create(name=f"Artist {n}") for n in range(5)]
    await asyncio.gather(*(a.albums.create(title=f"By {a}") for a in artists))
    albums = await Album.objects.order_by("title")
    assert (await albums[0].artist).name == "Artist 0"
    await fetch(albums, "artist")
    assert albums[4].artist == artists[4]
    titles = [album.title async for album in Album.objects.iterator(chunk_size=2)]
    assert len(titles) == 5


async def test_transactions() -> None:
    async with transaction.atomic():
        await Artist.objects.create(name="kept")
        with pytest.raises(LookupError):
            async with transaction.atomic():
                await asyncio.gather(
                    *(Artist.objects.create(name=f"Artist {n}") for n in range(5))
                )
                raise LookupError
    assert [artist.name for artist in await Artist.objects.all()] == ["kept"]


async def test_a_block_that_is_cancelled() -> None:
    entered = asyncio.Event()

    async def hold() -> None:
        async with transaction.atomic():
            await Artist.objects.create(name="Nobody")
            entered.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(hold())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await Artist.objects.count() == 0


@only_postgresql
async def test_timeouts_cancel_the_query() -> None:
    async def sleep(seconds: float) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT pg_sleep(%s)", [seconds])

    async def limited(number: int) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01 + number / 1000):
                await sleep(60)

    await asyncio.gather(*(limited(n) for n in range(10)))
    assert registry.pool_for("default").in_use == {}
    await asyncio.gather(*(sleep(0.001) for _ in range(10)))


async def test_more_tasks_than_connections() -> None:
    async def work(number: int) -> None:
        async with transaction.atomic():
            await Artist.objects.create(name=f"Artist {number}")

    await asyncio.gather(*(work(n) for n in range(50)))
    assert await Artist.objects.count() == 50
