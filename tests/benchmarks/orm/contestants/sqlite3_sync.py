"""Python's sqlite3, each thread with a connection."""

from __future__ import annotations

import datetime
import sqlite3
import threading
from collections.abc import Sequence
from typing import Any

from tests.benchmarks.orm.contestants import config, statements
from tests.benchmarks.orm.workloads import Entry

Row = tuple[Any, ...]

SQL = {
    name: sql.replace("%s", "?")
    for name, sql in vars(statements).items()
    if isinstance(sql, str) and name.isupper()
}
local = threading.local()


def open() -> None:
    sqlite3.register_adapter(datetime.date, datetime.date.isoformat)
    sqlite3.register_converter(
        "date", lambda text: datetime.date.fromisoformat(text.decode())
    )


def close() -> None:
    pass


def connection() -> sqlite3.Connection:
    if not hasattr(local, "connection"):
        local.connection = sqlite3.connect(
            config.SQLITE,
            timeout=30,
            isolation_level=None,
            detect_types=sqlite3.PARSE_DECLTYPES,
        )
        local.connection.execute("PRAGMA synchronous=NORMAL")
    return local.connection


def fetch_one(name: str, *params: Any) -> Any:
    return connection().execute(SQL[name], params).fetchone()


def fetch_all(name: str, *params: Any) -> list[Row]:
    return connection().execute(SQL[name], params).fetchall()


def get(key: int) -> Row:
    return fetch_one("GET", key)


def exists(artist: int, year: int) -> bool:
    return fetch_one("EXISTS", artist, year) is not None


def related(key: int) -> tuple[Row, Row]:
    album = fetch_one("GET", key)
    return album, fetch_one("ARTIST", album[5])


def list_albums(after: int, count: int) -> list[Row]:
    return fetch_all("LIST", after, count)


def select_related(after: int, count: int) -> list[Row]:
    return fetch_all("JOINED", after, count)


def prefetch(after: int, count: int) -> list[tuple[Row, list[Row]]]:
    albums: dict[int, tuple[Row, list[Row]]] = {
        row[0]: (row, []) for row in fetch_all("LIST", after, count)
    }
    marks = ", ".join("?" * len(albums))
    sql = SQL["TRACKS"].replace("= ANY(?)", f"IN ({marks})")
    for track in connection().execute(sql, list(albums)):
        albums[track[3]][1].append(track)
    return list(albums.values())


def values(after: int, count: int) -> list[dict[str, Any]]:
    names = ("id", "title", "year")
    return [
        dict(zip(names, row, strict=True)) for row in fetch_all("VALUES", after, count)
    ]


def filter_chain(artist: str, title: str, year: int, count: int) -> list[Row]:
    return fetch_all("CHAIN", artist, title, year, count)


def insert(entry: Entry) -> int:
    return fetch_one("INSERT", *entry)[0]


def update(key: int, number: int) -> None:
    connection().execute(SQL["UPDATE"], (number, key))


def txn(key: int, number: int, entry: Entry) -> None:
    it = connection()
    with it:
        it.execute("BEGIN IMMEDIATE")
        it.execute(SQL["COUNTER"], (key,)).fetchone()
        it.execute(SQL["UPDATE"], (number, key))
        it.execute(SQL["INSERT"], entry).fetchone()


def bulk_insert(entries: Sequence[Entry]) -> None:
    it = connection()
    with it:
        it.execute("BEGIN IMMEDIATE")
        it.executemany(SQL["BULK_INSERT"], entries)


def stream() -> tuple[int, int]:
    count = total = 0
    for track in connection().execute(SQL["STREAM"]):
        count += 1
        total += track[2]
    return count, total


def aggregate(artist: int) -> Row:
    return fetch_one("AGGREGATE", artist)
