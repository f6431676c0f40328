"""
SQLAlchemy's AsyncSession, on asyncpg or on psycopg 3, by BENCH_DRIVER; on aiosqlite in
SQLite.
"""

# Not installed where types are checked.
# mypy: disable-error-code="misc, untyped-decorator"

from __future__ import annotations

import datetime
import os
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    URL,
    ForeignKey,
    event,
    func,
    select,
)
from sqlalchemy import (
    exists as sql_exists,
)
from sqlalchemy import (
    insert as sql_insert,
)
from sqlalchemy import update as sql_update
from sqlalchemy.ext.asyncio import (
    AsyncAttrs,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    joinedload,
    mapped_column,
    relationship,
    selectinload,
)

from tests.benchmarks.orm.contestants import config
from tests.benchmarks.orm.workloads import STREAM_CHUNK
from tests.benchmarks.orm.workloads import Entry as Values

if config.DATABASE == "sqlite":
    url = URL.create(
        "sqlite+aiosqlite", database=config.SQLITE, query={"timeout": "30"}
    )
else:
    url = URL.create(
        f"postgresql+{os.environ['BENCH_DRIVER']}",
        username=config.USER,
        password=config.PASSWORD,
        database=config.NAME,
        query={"host": config.HOST, "port": str(config.PORT)},
    )
engine = create_async_engine(url, pool_size=config.POOL_SIZE, max_overflow=0)
new_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(AsyncAttrs, DeclarativeBase):
    pass


class Artist(Base):
    __tablename__ = "artist"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Album(Base):
    __tablename__ = "album"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    year: Mapped[int]
    released: Mapped[datetime.date]
    rating: Mapped[float]
    artist_id: Mapped[int] = mapped_column(ForeignKey("artist.id"))
    artist: Mapped[Artist] = relationship()
    tracks: Mapped[list[Track]] = relationship()


class Track(Base):
    __tablename__ = "track"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    position: Mapped[int]
    album_id: Mapped[int] = mapped_column(ForeignKey("album.id"))


class Counter(Base):
    __tablename__ = "counter"
    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int]


class Entry(Base):
    __tablename__ = "entry"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    number: Mapped[int]
    amount: Mapped[float]
    day: Mapped[datetime.date]


async def open() -> None:
    if config.DATABASE == "sqlite":

        @event.listens_for(engine.sync_engine, "connect")
        def configure(connection: Any, record: Any) -> None:
            connection.cursor().execute("PRAGMA synchronous=NORMAL")


async def close() -> None:
    await engine.dispose()


def tracks(album: Album) -> list[Track]:
    return album.tracks


async def get(key: int) -> Album:
    async with new_session() as session:
        return await session.get_one(Album, key)


async def exists(artist: int, year: int) -> Any:
    statement = select(
        sql_exists().where(Album.artist_id == artist, Album.year == year)
    )
    async with new_session() as session:
        return await session.scalar(statement)


async def related(key: int) -> Any:
    async with new_session() as session:
        album = await session.get_one(Album, key)
        return album, await album.awaitable_attrs.artist


def albums(after: int, count: int) -> Any:
    return select(Album).where(Album.id > after).order_by(Album.id).limit(count)


async def list_albums(after: int, count: int) -> Any:
    async with new_session() as session:
        return (await session.scalars(albums(after, count))).all()


async def select_related(after: int, count: int) -> Any:
    statement = albums(after, count).options(joinedload(Album.artist, innerjoin=True))
    async with new_session() as session:
        return (await session.scalars(statement)).all()


async def prefetch(after: int, count: int) -> Any:
    statement = albums(after, count).options(selectinload(Album.tracks))
    async with new_session() as session:
        return (await session.scalars(statement)).all()


async def values(after: int, count: int) -> Any:
    statement = (
        select(Album.id, Album.title, Album.year)
        .where(Album.id > after)
        .order_by(Album.id)
        .limit(count)
    )
    async with new_session() as session:
        return [dict(row) for row in (await session.execute(statement)).mappings()]


async def filter_chain(artist: str, title: str, year: int, count: int) -> Any:
    statement = (
        select(Album)
        .join(Album.artist)
        .where(Artist.name == artist)
        .where(Album.title != title)
        .where(Album.year >= year)
        .order_by(Album.year.desc(), Album.id)
        .limit(count)
    )
    async with new_session() as session:
        return (await session.scalars(statement)).all()


async def insert(entry: Values) -> int:
    async with new_session() as session:
        row = Entry(**entry._asdict())
        session.add(row)
        await session.commit()
        return row.id


async def update(key: int, number: int) -> None:
    statement = sql_update(Counter).where(Counter.id == key).values(number=number)
    async with new_session() as session:
        await session.execute(statement)
        await session.commit()


async def txn(key: int, number: int, entry: Values) -> None:
    async with new_session() as session, session.begin():
        counter = await session.get_one(Counter, key)
        counter.number = number
        session.add(Entry(**entry._asdict()))


async def bulk_insert(entries: Sequence[Values]) -> None:
    async with new_session() as session:
        await session.execute(sql_insert(Entry), [entry._asdict() for entry in entries])
        await session.commit()


async def stream() -> tuple[int, int]:
    count = total = 0
    statement = select(Track).order_by(Track.id)
    statement = statement.execution_options(yield_per=STREAM_CHUNK)
    async with new_session() as session:
        result = await session.stream_scalars(statement)
        async for rows in result.partitions():
            for track in rows:
                count += 1
                total += track.position
    return count, total


async def aggregate(artist: int) -> Any:
    statement = select(
        func.count(Album.id), func.max(Album.year), func.sum(Album.year)
    ).where(Album.artist_id == artist)
    async with new_session() as session:
        return tuple((await session.execute(statement)).one())
