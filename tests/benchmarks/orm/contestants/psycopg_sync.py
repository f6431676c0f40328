"""psycopg 3's Connection, in the pool of psycopg_pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from tests.benchmarks.orm.contestants import config, statements
from tests.benchmarks.orm.workloads import STREAM_CHUNK, Entry

Row = tuple[Any, ...]

pool = ConnectionPool(
    # The address is in libpq's variables.
    "",
    min_size=config.POOL_SIZE,
    max_size=config.POOL_SIZE,
    kwargs={"autocommit": True},
    open=False,
)


def open() -> None:
    pool.open(wait=True)


def close() -> None:
    pool.close()


def fetch_one(sql: Any, *params: Any) -> Any:
    with pool.connection() as connection:
        return connection.execute(sql, params).fetchone()


def fetch_all(sql: Any, *params: Any) -> list[Row]:
    with pool.connection() as connection:
        return connection.execute(sql, params).fetchall()


def get(key: int) -> Row:
    return fetch_one(statements.GET, key)


def exists(artist: int, year: int) -> bool:
    return fetch_one(statements.EXISTS, artist, year) is not None


def related(key: int) -> tuple[Row, Row]:
    album = fetch_one(statements.GET, key)
    return album, fetch_one(statements.ARTIST, album[5])


def list_albums(after: int, count: int) -> list[Row]:
    return fetch_all(statements.LIST, after, count)


def select_related(after: int, count: int) -> list[Row]:
    return fetch_all(statements.JOINED, after, count)


def prefetch(after: int, count: int) -> list[tuple[Row, list[Row]]]:
    albums: dict[int, tuple[Row, list[Row]]] = {
        row[0]: (row, []) for row in fetch_all(statements.LIST, after, count)
    }
    for track in fetch_all(statements.TRACKS, list(albums)):
        albums[track[3]][1].append(track)
    return list(albums.values())


def values(after: int, count: int) -> list[dict[str, Any]]:
    with (
        pool.connection() as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        return cursor.execute(statements.VALUES, (after, count)).fetchall()


def filter_chain(artist: str, title: str, year: int, count: int) -> list[Row]:
    return fetch_all(statements.CHAIN, artist, title, year, count)


def insert(entry: Entry) -> int:
    return fetch_one(statements.INSERT, *entry)[0]


def update(key: int, number: int) -> None:
    with pool.connection() as connection:
        connection.execute(statements.UPDATE, (number, key))


def txn(key: int, number: int, entry: Entry) -> None:
    with pool.connection() as connection, connection.transaction():
        connection.execute(statements.COUNTER, (key,)).fetchone()
        connection.execute(statements.UPDATE, (number, key))
        connection.execute(statements.INSERT, entry).fetchone()


def bulk_insert(entries: Sequence[Entry]) -> None:
    with (
        pool.connection() as connection,
        connection.transaction(),
        connection.cursor() as cursor,
    ):
        cursor.executemany(statements.BULK_INSERT, entries)


def stream() -> tuple[int, int]:
    count = total = 0
    with (
        pool.connection() as connection,
        connection.transaction(),
        connection.cursor("tracks") as cursor,
    ):
        cursor.itersize = STREAM_CHUNK
        for track in cursor.execute(statements.STREAM):
            count += 1
            total += track[2]
    return count, total


def aggregate(artist: int) -> Row:
    return fetch_one(statements.AGGREGATE, artist)
