"""oxyde: pydantic models above a core in Rust."""

# Not installed where types are checked.
# mypy: disable-error-code="misc"

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from oxyde import Count, Field, Max, Model, Sum, db
from oxyde.db import PoolSettings, transaction

from tests.benchmarks.orm.contestants import config
from tests.benchmarks.orm.workloads import Entry as Values


class Artist(Model):
    id: int | None = Field(default=None, db_pk=True)
    name: str

    class Meta:
        is_table = True
        table_name = "artist"


class Album(Model):
    id: int | None = Field(default=None, db_pk=True)
    title: str
    year: int
    released: datetime.date
    rating: float
    artist: Artist | None = Field(default=None)
    tracks: list[Track] = Field(db_reverse_fk="album")

    class Meta:
        is_table = True
        table_name = "album"


class Track(Model):
    id: int | None = Field(default=None, db_pk=True)
    title: str
    position: int
    album: Album | None = Field(default=None)

    class Meta:
        is_table = True
        table_name = "track"


class Counter(Model):
    id: int | None = Field(default=None, db_pk=True)
    number: int

    class Meta:
        is_table = True
        table_name = "counter"


class Entry(Model):
    id: int | None = Field(default=None, db_pk=True)
    name: str
    number: int
    amount: float
    day: datetime.date

    class Meta:
        is_table = True
        table_name = "entry"


def url() -> str:
    if config.DATABASE == "sqlite":
        return f"sqlite:///{config.SQLITE}"
    password = f":{quote(config.PASSWORD, safe='')}" if config.PASSWORD else ""
    user = f"{quote(config.USER, safe='')}{password}"
    if config.HOST.startswith("/"):
        folder = quote(config.HOST, safe="")
        return f"postgresql://{user}@localhost/{config.NAME}?host={folder}"
    return f"postgresql://{user}@{config.HOST}:{config.PORT}/{config.NAME}"


async def open() -> None:
    size = config.POOL_SIZE
    settings = PoolSettings(min_connections=size, max_connections=size)
    await db.init(default=url(), settings=settings)


async def close() -> None:
    await db.close()


def tracks(album: Album) -> list[Track]:
    return album.tracks


async def get(key: int) -> Any:
    return await Album.objects.get(id=key)


async def exists(artist: int, year: int) -> Any:
    return await Album.objects.filter(artist_id=artist, year=year).exists()


async def related(key: int) -> Any:
    album: Any = await Album.objects.get(id=key)
    # It fetches no relation lazily.
    return album, await Artist.objects.get(id=album.artist_id)


def albums(after: int, count: int) -> Any:
    return Album.objects.filter(id__gt=after).order_by("id").limit(count)


async def list_albums(after: int, count: int) -> Any:
    return await albums(after, count).all()


async def select_related(after: int, count: int) -> Any:
    return await albums(after, count).join("artist").all()


async def prefetch(after: int, count: int) -> Any:
    return await albums(after, count).prefetch("tracks").all()


async def values(after: int, count: int) -> Any:
    return await albums(after, count).values("id", "title", "year").all()


async def filter_chain(artist: str, title: str, year: int, count: int) -> Any:
    return await (
        Album.objects.filter(artist__name=artist)
        .exclude(title=title)
        .filter(year__gte=year)
        .order_by("-year", "id")
        .limit(count)
        .all()
    )


async def insert(entry: Values) -> Any:
    return (await Entry.objects.create(**entry._asdict())).id


async def update(key: int, number: int) -> None:
    await Counter.objects.filter(id=key).update(number=number)


async def txn(key: int, number: int, entry: Values) -> None:
    async with transaction.atomic():
        counter = await Counter.objects.get(id=key)
        counter.number = number
        await counter.save(update_fields=["number"])
        await Entry.objects.create(**entry._asdict())


async def bulk_insert(entries: Sequence[Values]) -> None:
    await Entry.objects.bulk_create([Entry(**entry._asdict()) for entry in entries])


async def stream() -> tuple[int, int]:
    # It has no cursor of the server: this fetches all rows first.
    count = total = 0
    for track in await Track.objects.order_by("id").all():
        count += 1
        total += track.position
    return count, total


async def aggregate(artist: int) -> Any:
    [found] = await (
        Album.objects.filter(artist_id=artist)
        .annotate(albums=Count("id"), latest=Max("year"), years=Sum("year"))
        .values("albums", "latest", "years")
        .all()
    )
    return found["albums"], found["latest"], found["years"]
