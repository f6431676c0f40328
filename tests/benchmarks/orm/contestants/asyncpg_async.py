"""asyncpg, in its own pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from tests.benchmarks.orm.contestants import config, statements
from tests.benchmarks.orm.workloads import STREAM_CHUNK, Entry

pool: Any = None


def numbered(sql: str) -> str:
    """*sql* with asyncpg's placeholders."""
    parts = sql.split("%s")
    return "".join(f"{part}${n}" for n, part in enumerate(parts[:-1], 1)) + parts[-1]


SQL = {
    name: numbered(sql)
    for name, sql in vars(statements).items()
    if isinstance(sql, str) and name.isupper()
}


async def nothing(connection: Any) -> None:
    """Instead of statements which undo what no contestant does to a session."""


async def open() -> None:
    global pool
    pool = await asyncpg.create_pool(
        min_size=config.POOL_SIZE, max_size=config.POOL_SIZE, reset=nothing
    )


async def close() -> None:
    await pool.close()


async def get(key: int) -> Any:
    return await pool.fetchrow(SQL["GET"], key)


async def exists(artist: int, year: int) -> bool:
    return await pool.fetchval(SQL["EXISTS"], artist, year) is not None


async def related(key: int) -> Any:
    album = await pool.fetchrow(SQL["GET"], key)
    return album, await pool.fetchrow(SQL["ARTIST"], album[5])


async def list_albums(after: int, count: int) -> Any:
    return await pool.fetch(SQL["LIST"], after, count)


async def select_related(after: int, count: int) -> Any:
    return await pool.fetch(SQL["JOINED"], after, count)


async def prefetch(after: int, count: int) -> Any:
    albums: dict[int, tuple[Any, list[Any]]] = {
        row[0]: (row, []) for row in await pool.fetch(SQL["LIST"], after, count)
    }
    for track in await pool.fetch(SQL["TRACKS"], list(albums)):
        albums[track[3]][1].append(track)
    return list(albums.values())


async def values(after: int, count: int) -> list[dict[str, Any]]:
    return [dict(row) for row in await pool.fetch(SQL["VALUES"], after, count)]


async def filter_chain(artist: str, title: str, year: int, count: int) -> Any:
    return await pool.fetch(SQL["CHAIN"], artist, title, year, count)


async def insert(entry: Entry) -> int:
    return await pool.fetchval(SQL["INSERT"], *entry)


async def update(key: int, number: int) -> None:
    await pool.execute(SQL["UPDATE"], number, key)


async def txn(key: int, number: int, entry: Entry) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.fetchrow(SQL["COUNTER"], key)
        await connection.execute(SQL["UPDATE"], number, key)
        await connection.fetchval(SQL["INSERT"], *entry)


async def bulk_insert(entries: Sequence[Entry]) -> None:
    # In one transaction, as its documentation says.
    await pool.executemany(SQL["BULK_INSERT"], entries)


async def stream() -> tuple[int, int]:
    count = total = 0
    async with pool.acquire() as connection, connection.transaction():
        async for track in connection.cursor(SQL["STREAM"], prefetch=STREAM_CHUNK):
            count += 1
            total += track[2]
    return count, total


async def aggregate(artist: int) -> tuple[Any, ...]:
    return tuple(await pool.fetchrow(SQL["AGGREGATE"], artist))
