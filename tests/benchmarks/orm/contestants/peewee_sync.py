"""peewee on psycopg 3, or on sqlite3, each thread with a connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from peewee import fn
from peewee import prefetch as fetch_with
from playhouse.postgres_ext import ServerSide

from tests.benchmarks.orm.contestants import config
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
from tests.benchmarks.orm.workloads import STREAM_CHUNK
from tests.benchmarks.orm.workloads import Entry as Values


def open() -> None:
    database.connect()


def close() -> None:
    database.close()


def tracks(album: Any) -> Any:
    return album.tracks


def get(key: int) -> Any:
    return Album.get_by_id(key)


def exists(artist: int, year: int) -> bool:
    return made_in(artist, year).exists()


def related(key: int) -> Any:
    album = Album.get_by_id(key)
    return album, album.artist


def list_albums(after: int, count: int) -> Any:
    return list(albums(after, count))


def select_related(after: int, count: int) -> Any:
    return list(joined(after, count))


def prefetch(after: int, count: int) -> Any:
    return fetch_with(albums(after, count), Track.select())


def values(after: int, count: int) -> Any:
    return list(dictionaries(after, count))


def filter_chain(artist: str, title: str, year: int, count: int) -> Any:
    return list(chain(artist, title, year, count))


def insert(entry: Values) -> Any:
    return Entry.create(**entry._asdict()).id


def update(key: int, number: int) -> None:
    Counter.update(number=number).where(Counter.id == key).execute()


def txn(key: int, number: int, entry: Values) -> None:
    with atomic():
        counter = Counter.get_by_id(key)
        counter.number = number
        counter.save(only=[Counter.number])
        Entry.create(**entry._asdict())


def bulk_insert(entries: Sequence[Values]) -> None:
    with atomic():
        Entry.insert_many(entries, fields=Values._fields).execute()


def stream() -> tuple[int, int]:
    count = total = 0
    rows = Track.select().order_by(Track.id)
    with atomic():
        if config.DATABASE == "sqlite":
            found = rows.iterator()
        else:
            found = ServerSide(rows, array_size=STREAM_CHUNK)
        for track in found:
            count += 1
            total += track.position
    return count, total


def aggregate(artist: int) -> Any:
    found = Album.select(fn.COUNT(Album.id), fn.MAX(Album.year), fn.SUM(Album.year))
    return found.where(Album.artist == artist).scalar(as_tuple=True)
