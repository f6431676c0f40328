"""peewee's async database, on asyncpg, or on aiosqlite in SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from peewee import fn

from tests.benchmarks.orm.contestants.peewee_models import (
    Album,
    Counter,
    Entry,
    Track,
    albums,
    atomic,
    chain,
    database,
    dictionaries,
    joined,
    made_in,
)
from tests.benchmarks.orm.contestants.peewee_sync import tracks
from tests.benchmarks.orm.workloads import STREAM_CHUNK
from tests.benchmarks.orm.workloads import Entry as Values

__all__ = ["tracks"]

# A task keeps the connection of its first query until it ends, unless `async with
# database` gives it back; otherwise no more tasks could work than the pool is large.


async def open() -> None:
    async with database:
        pass


async def close() -> None:
    await database.close_pool()


async def get(key: int) -> Any:
    async with database:
        return await Album.aget_by_id(key)


async def exists(artist: int, year: int) -> Any:
    async with database:
        return await database.exists(made_in(artist, year))


async def related(key: int) -> Any:
    async with database:
        album = await Album.aget_by_id(key)
        return album, await album.afetch(Album.artist)


async def list_albums(after: int, count: int) -> Any:
    async with database:
        return await database.list(albums(after, count))


async def select_related(after: int, count: int) -> Any:
    async with database:
        return await database.list(joined(after, count))


async def prefetch(after: int, count: int) -> Any:
    async with database:
        return await database.aprefetch(albums(after, count), Track.select())


async def values(after: int, count: int) -> Any:
    async with database:
        return await database.list(dictionaries(after, count))


async def filter_chain(artist: str, title: str, year: int, count: int) -> Any:
    async with database:
        return await database.list(chain(artist, title, year, count))


async def insert(entry: Values) -> Any:
    async with database:
        return (await Entry.acreate(**entry._asdict())).id


async def update(key: int, number: int) -> None:
    async with database:
        await database.aexecute(Counter.update(number=number).where(Counter.id == key))


async def txn(key: int, number: int, entry: Values) -> None:
    async with database, atomic():
        counter = await Counter.aget_by_id(key)
        counter.number = number
        await counter.asave(only=[Counter.number])
        await Entry.acreate(**entry._asdict())


async def bulk_insert(entries: Sequence[Values]) -> None:
    async with database, atomic():
        await database.aexecute(Entry.insert_many(entries, fields=Values._fields))


async def stream() -> tuple[int, int]:
    count = total = 0
    rows = Track.select().order_by(Track.id)
    async with database, atomic():
        async for track in database.iterate(rows, buffer_size=STREAM_CHUNK):
            count += 1
            total += track.position
    return count, total


async def aggregate(artist: int) -> Any:
    found = Album.select(fn.COUNT(Album.id), fn.MAX(Album.year), fn.SUM(Album.year))
    query = found.where(Album.artist == artist).tuples()
    async with database:
        return await database.get(query)
