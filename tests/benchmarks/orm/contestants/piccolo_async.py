"""Piccolo, on asyncpg, or on aiosqlite in SQLite."""

# Not installed where types are checked.
# mypy: disable-error-code="call-arg, misc"

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from piccolo.columns import (
    BigSerial,
    Date,
    DoublePrecision,
    ForeignKey,
    Integer,
    Serial,
    Varchar,
)
from piccolo.engine.postgres import PostgresEngine
from piccolo.engine.sqlite import SQLiteEngine, TransactionType
from piccolo.query.functions import Count, Max, Sum
from piccolo.table import Table

from tests.benchmarks.orm.contestants import config
from tests.benchmarks.orm.workloads import STREAM_CHUNK
from tests.benchmarks.orm.workloads import Entry as Values

DB: Any
Key: Any
if config.DATABASE == "sqlite":
    DB = SQLiteEngine(config.SQLITE, timeout=30)
    Key = Serial
    # A transaction that reads first could not write while another one does.
    in_transaction = partial(DB.transaction, TransactionType.immediate)
else:
    DB = PostgresEngine(
        {
            "host": config.HOST,
            "port": config.PORT,
            "user": config.USER,
            "password": config.PASSWORD,
            "database": config.NAME,
        }
    )
    Key = BigSerial
    in_transaction = DB.transaction


class Artist(Table, db=DB, tablename="artist"):
    id = Key(primary_key=True)
    name = Varchar(length=100)


class Album(Table, db=DB, tablename="album"):
    id = Key(primary_key=True)
    title = Varchar(length=200)
    year = Integer()
    released = Date()
    rating = DoublePrecision()
    artist: Any = ForeignKey(Artist, db_column_name="artist_id")

    @property
    def artist_id(self) -> int:
        """The key of the artist, which may be there as a whole."""
        return getattr(self.artist, "id", self.artist)


class Track(Table, db=DB, tablename="track"):
    id = Key(primary_key=True)
    title = Varchar(length=200)
    position = Integer()
    album: Any = ForeignKey(Album, db_column_name="album_id")

    @property
    def album_id(self) -> int:
        return self.album


class Counter(Table, db=DB, tablename="counter"):
    id = Key(primary_key=True)
    number = Integer()


class Entry(Table, db=DB, tablename="entry"):
    id = Key(primary_key=True)
    name = Varchar(length=100)
    number = Integer()
    amount = DoublePrecision()
    day = Date()


async def open() -> None:
    if config.DATABASE == "postgresql":
        size = config.POOL_SIZE
        await DB.start_connection_pool(min_size=size, max_size=size)


async def close() -> None:
    if config.DATABASE == "postgresql":
        await DB.close_connection_pool()


async def get(key: int) -> Any:
    return await Album.objects().get(Album.id == key)


async def exists(artist: int, year: int) -> bool:
    return await Album.exists().where(Album.artist == artist, Album.year == year)


async def related(key: int) -> Any:
    album = await Album.objects().get(Album.id == key)
    return album, await album.get_related(Album.artist)


async def list_albums(after: int, count: int) -> Any:
    return await Album.objects().where(Album.id > after).order_by(Album.id).limit(count)


async def select_related(after: int, count: int) -> Any:
    albums = Album.objects(Album.artist).where(Album.id > after)
    return await albums.order_by(Album.id).limit(count)


async def prefetch(after: int, count: int) -> Any:
    # It fetches relations forwards only.
    found: dict[int, tuple[Album, list[Track]]] = {
        album.id: (album, []) for album in await list_albums(after, count)
    }
    for track in await Track.objects().where(Track.album.is_in(list(found))):
        found[track.album][1].append(track)
    return list(found.values())


async def values(after: int, count: int) -> Any:
    return await (
        Album.select(Album.id, Album.title, Album.year)
        .where(Album.id > after)
        .order_by(Album.id)
        .limit(count)
    )


async def filter_chain(artist: str, title: str, year: int, count: int) -> Any:
    return await (
        Album.objects()
        .where(Album.artist.name == artist)
        .where(Album.title != title)
        .where(Album.year >= year)
        .order_by(Album.year, ascending=False)
        .order_by(Album.id)
        .limit(count)
    )


async def insert(entry: Values) -> int:
    row = Entry(**entry._asdict())
    await row.save()
    return row.id


async def update(key: int, number: int) -> None:
    await Counter.update({Counter.number: number}).where(Counter.id == key)


async def txn(key: int, number: int, entry: Values) -> None:
    async with in_transaction():
        counter: Any = await Counter.objects().get(Counter.id == key)
        counter.number = number
        await counter.save([Counter.number])
        await Entry(**entry._asdict()).save()


async def bulk_insert(entries: Sequence[Values]) -> None:
    await Entry.insert(*[Entry(**entry._asdict()) for entry in entries])


async def stream() -> tuple[int, int]:
    count = total = 0
    tracks = Track.objects().order_by(Track.id)
    async with await tracks.batch(batch_size=STREAM_CHUNK) as batch:
        async for rows in batch:
            for track in rows:
                count += 1
                total += track.position
    return count, total


async def aggregate(artist: int) -> Any:
    found = await (
        Album.select(
            Count(alias="albums"),
            Max(Album.year, alias="latest"),
            Sum(Album.year, alias="years"),
        )
        .where(Album.artist == artist)
        .first()
    )
    return found["albums"], found["latest"], found["years"]
