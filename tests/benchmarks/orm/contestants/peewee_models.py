"""The models of peewee; BENCH_DRIVER says for which of its databases."""

# Not installed where types are checked.
# mypy: disable-error-code="misc"

from __future__ import annotations

import os
from typing import Any

from peewee import (
    BigAutoField,
    CharField,
    DateField,
    DoubleField,
    ForeignKeyField,
    IntegerField,
    Model,
    SqliteDatabase,
)
from playhouse.postgres_ext import PostgresqlExtDatabase
from playhouse.pwasyncio import (
    AsyncModel,
    AsyncPostgresqlDatabase,
    AsyncSqliteDatabase,
)

from tests.benchmarks.orm.contestants import config

IS_ASYNC = os.environ["BENCH_DRIVER"] == "asyncpg"

database: Any
if config.DATABASE == "sqlite":
    options: dict[str, Any] = {"pragmas": {"synchronous": "NORMAL"}, "timeout": 30}
    if IS_ASYNC:
        options["pool_size"] = config.POOL_SIZE
    database = (AsyncSqliteDatabase if IS_ASYNC else SqliteDatabase)(
        config.SQLITE, **options
    )
else:
    options = {
        "host": config.HOST,
        "port": config.PORT,
        "user": config.USER,
        "password": config.PASSWORD,
    }
    if IS_ASYNC:
        size = config.POOL_SIZE
        options |= {"pool_size": size, "pool_min_size": size, "acquire_timeout": 60}
        database = AsyncPostgresqlDatabase(config.NAME, **options)
    else:
        database = PostgresqlExtDatabase(config.NAME, prefer_psycopg3=True, **options)

Base: Any = AsyncModel if IS_ASYNC else Model


class Bound(Base):
    class Meta:
        database = database


class Artist(Bound):
    id = BigAutoField()
    name = CharField(100)


class Album(Bound):
    id = BigAutoField()
    title = CharField(200)
    year = IntegerField()
    released = DateField()
    rating = DoubleField()
    artist = ForeignKeyField(Artist)


class Track(Bound):
    id = BigAutoField()
    title = CharField(200)
    position = IntegerField()
    album = ForeignKeyField(Album, backref="tracks")


class Counter(Bound):
    id = BigAutoField()
    number = IntegerField()


class Entry(Bound):
    id = BigAutoField()
    name = CharField(100)
    number = IntegerField()
    amount = DoubleField()
    day = DateField()


def atomic() -> Any:
    # In SQLite, one that reads first could not write while another one does.
    return database.atomic(*(["IMMEDIATE"] if config.DATABASE == "sqlite" else []))


# The queries that both modes make.


def albums(after: int, count: int) -> Any:
    return Album.select().where(Album.id > after).order_by(Album.id).limit(count)


def joined(after: int, count: int) -> Any:
    found = Album.select(Album, Artist).join(Artist)
    return found.where(Album.id > after).order_by(Album.id).limit(count)


def made_in(artist: int, year: int) -> Any:
    return Album.select().where((Album.artist == artist) & (Album.year == year))


def dictionaries(after: int, count: int) -> Any:
    found = Album.select(Album.id, Album.title, Album.year)
    return found.where(Album.id > after).order_by(Album.id).limit(count).dicts()


def chain(artist: str, title: str, year: int, count: int) -> Any:
    return (
        Album.select()
        .join(Artist)
        .where(Artist.name == artist)
        .where(Album.title != title)
        .where(Album.year >= year)
        .order_by(Album.year.desc(), Album.id)
        .limit(count)
    )
