"""Tortoise ORM, on asyncpg or on psycopg 3, by BENCH_DRIVER; on aiosqlite in SQLite."""

# Not installed where types are checked.
# mypy: disable-error-code="misc"

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from tortoise import Tortoise, fields
from tortoise.functions import Count, Max, Sum
from tortoise.models import Model
from tortoise.transactions import in_transaction

from tests.benchmarks.orm.contestants import config
from tests.benchmarks.orm.workloads import Entry as Values


class Artist(Model):
    id = fields.BigIntField(primary_key=True)
    name = fields.CharField(max_length=100)

    class Meta:
        table = "artist"


class Album(Model):
    id = fields.BigIntField(primary_key=True)
    title = fields.CharField(max_length=200)
    year = fields.IntField()
    released = fields.DateField()
    rating = fields.FloatField()
    artist: Any = fields.ForeignKeyField("models.Artist")
    artist_id: int
    tracks: Any

    class Meta:
        table = "album"


class Track(Model):
    id = fields.BigIntField(primary_key=True)
    title = fields.CharField(max_length=200)
    position = fields.IntField()
    album: Any = fields.ForeignKeyField("models.Album", related_name="tracks")
    album_id: int

    class Meta:
        table = "track"


class Counter(Model):
    id = fields.BigIntField(primary_key=True)
    number = fields.IntField()

    class Meta:
        table = "counter"


class Entry(Model):
    id = fields.BigIntField(primary_key=True)
    name = fields.CharField(max_length=100)
    number = fields.IntField()
    amount = fields.FloatField()
    day = fields.DateField()

    class Meta:
        table = "entry"


async def open() -> None:
    if config.DATABASE == "sqlite":
        connection = {
            "engine": "tortoise.backends.sqlite",
            "credentials": {"file_path": config.SQLITE, "synchronous": "NORMAL"},
        }
    else:
        connection = {
            "engine": f"tortoise.backends.{os.environ['BENCH_DRIVER']}",
            "credentials": {
                "host": config.HOST,
                "port": config.PORT,
                "user": config.USER,
                "password": config.PASSWORD,
                "database": config.NAME,
                "minsize": config.POOL_SIZE,
                "maxsize": config.POOL_SIZE,
            },
        }
    await Tortoise.init(
        config={
            "connections": {"default": connection},
            "apps": {"models": {"models": [__name__]}},
        }
    )


async def close() -> None:
    await Tortoise.close_connections()


def tracks(album: Album) -> Any:
    return list(album.tracks)


async def get(key: int) -> Album:
    return await Album.get(id=key)


async def exists(artist: int, year: int) -> bool:
    return await Album.filter(artist_id=artist, year=year).exists()


async def related(key: int) -> Any:
    album = await Album.get(id=key)
    return album, await album.artist


async def list_albums(after: int, count: int) -> list[Album]:
    return await Album.filter(id__gt=after).order_by("id").limit(count)


async def select_related(after: int, count: int) -> list[Album]:
    albums = Album.filter(id__gt=after).order_by("id").limit(count)
    return await albums.select_related("artist")


async def prefetch(after: int, count: int) -> list[Album]:
    albums = Album.filter(id__gt=after).order_by("id").limit(count)
    return await albums.prefetch_related("tracks")


async def values(after: int, count: int) -> Any:
    albums = Album.filter(id__gt=after).order_by("id").limit(count)
    return await albums.values("id", "title", "year")


async def filter_chain(artist: str, title: str, year: int, count: int) -> list[Album]:
    return await (
        Album.filter(artist__name=artist)
        .exclude(title=title)
        .filter(year__gte=year)
        .order_by("-year", "id")
        .limit(count)
    )


async def insert(entry: Values) -> int:
    return (await Entry.create(**entry._asdict())).id


async def update(key: int, number: int) -> None:
    await Counter.filter(id=key).update(number=number)


async def txn(key: int, number: int, entry: Values) -> None:
    async with in_transaction():
        counter = await Counter.get(id=key)
        counter.number = number
        await counter.save(update_fields=["number"])
        await Entry.create(**entry._asdict())


async def bulk_insert(entries: Sequence[Values]) -> None:
    await Entry.bulk_create([Entry(**entry._asdict()) for entry in entries])


async def stream() -> tuple[int, int]:
    # It has no cursor of the server: this fetches all rows first.
    count = total = 0
    async for track in Track.all().order_by("id"):
        count += 1
        total += track.position
    return count, total


async def aggregate(artist: int) -> Any:
    [found] = await (
        Album.filter(artist_id=artist)
        .annotate(albums=Count("id"), latest=Max("year"), years=Sum("year"))
        .values_list("albums", "latest", "years")
    )
    return found
