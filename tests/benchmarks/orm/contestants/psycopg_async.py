"""psycopg 3's AsyncConnection, in the pool of psycopg_pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from tests.benchmarks.orm.contestants import config, statements
from tests.benchmarks.orm.workloads import STREAM_CHUNK, Entry

Row = tuple[Any, ...]

pool = AsyncConnectionPool(
    # The address is in libpq's variables.
    "",
    min_size=config.POOL_SIZE,
    max_size=config.POOL_SIZE,
    kwargs={"autocommit": True},
    open=False,
)


async def open() -> None:
    await pool.open(wait=True)


async def close() -> None:
    await pool.close()


async def fetch_one(sql: Any, *params: Any) -> Any:
    async with pool.connection() as connection:
        return await (await connection.execute(sql, params)).fetchone()


async def fetch_all(sql: Any, *params: Any) -> list[Row]:
    async with pool.connection() as connection:
        return await (await connection.execute(sql, params)).fetchall()


async def get(key: int) -> Row:
    return await fetch_one(statements.GET, key)


async def exists(artist: int, year: int) -> bool:
    return await fetch_one(statements.EXISTS, artist, year) is not None


async def related(key: int) -> tuple[Row, Row]:
    album = await fetch_one(statements.GET, key)
    return album, await fetch_one(statements.ARTIST, album[5])


async def list_albums(after: int, count: int) -> list[Row]:
    return await fetch_all(statements.LIST, after, count)


async def select_related(after: int, count: int) -> list[Row]:
    return await fetch_all(statements.JOINED, after, count)


async def prefetch(after: int, count: int) -> list[tuple[Row, list[Row]]]:
    albums: dict[int, tuple[Row, list[Row]]] = {
        row[0]: (row, []) for row in await fetch_all(statements.LIST, after, count)
    }
    for track in await fetch_all(statements.TRACKS, list(albums)):
        albums[track[3]][1].append(track)
    return list(albums.values())


async def values(after: int, count: int) -> list[dict[str, Any]]:
    async with (
        pool.connection() as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        await cursor.execute(statements.VALUES, (after, count))
        return await cursor.fetchall()


async def filter_chain(artist: str, title: str, year: int, count: int) -> list[Row]:
    return await fetch_all(statements.CHAIN, artist, title, year, count)


async def insert(entry: Entry) -> int:
    return (await fetch_one(statements.INSERT, *entry))[0]


async def update(key: int, number: int) -> None:
    async with pool.connection() as connection:
        await connection.execute(statements.UPDATE, (number, key))


async def txn(key: int, number: int, entry: Entry) -> None:
    async with pool.connection() as connection, connection.transaction():
        await (await connection.execute(statements.COUNTER, (key,))).fetchone()
        await connection.execute(statements.UPDATE, (number, key))
        await (await connection.execute(statements.INSERT, entry)).fetchone()


async def bulk_insert(entries: Sequence[Entry]) -> None:
    async with (
        pool.connection() as connection,
        connection.transaction(),
        connection.cursor() as cursor,
    ):
        await cursor.executemany(statements.BULK_INSERT, entries)


async def stream() -> tuple[int, int]:
    count = total = 0
    async with (
        pool.connection() as connection,
        connection.transaction(),
        connection.cursor("tracks") as cursor,
    ):
        cursor.itersize = STREAM_CHUNK
        await cursor.execute(statements.STREAM)
        async for track in cursor:
            count += 1
            total += track[2]
    return count, total


async def aggregate(artist: int) -> Row:
    return await fetch_one(statements.AGGREGATE, artist)
