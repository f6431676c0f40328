"""Fixtures about sessions that are killed in the server, at rest or in a query."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import LiteralString

import psycopg
import pytest


@pytest.fixture
def admin(postgres_url: str) -> Iterator[psycopg.Connection]:
    """A session of its own, outside of everything."""
    with psycopg.connect(postgres_url, autocommit=True) as session:
        yield session


def kill(admin: psycopg.Connection, pid: int) -> None:
    """End a session, and see that it is gone."""
    found = admin.execute("SELECT pg_terminate_backend(%s, 10000)", [pid]).fetchone()
    assert found == (True,)


class Killer:
    """
    Kills sessions in their queries.

    Args:
        url: The server's.
        admin: A session to kill with.
    """

    def __init__(self, url: str, admin: psycopg.Connection) -> None:
        self.url = url
        self.admin = admin
        # How many sessions have been killed.
        self.kills = 0

    @asynccontextmanager
    async def killing(
        self, times: int = 1, lock: LiteralString = "LOCK TABLE records_artist"
    ) -> AsyncIterator[None]:
        """
        In the block, let queries wait for *lock*, kill the first *times* that wait, and
        let the others go on.
        """
        with psycopg.connect(self.url) as locking:
            locking.execute(lock)
            task = asyncio.create_task(self._kill(locking, times))
            try:
                yield
                await task
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    @asynccontextmanager
    async def locked(
        self, lock: LiteralString = "LOCK TABLE records_artist"
    ) -> AsyncIterator[None]:
        """In the block, let queries wait for *lock*."""
        with psycopg.connect(self.url) as locking:
            locking.execute(lock)
            yield
            locking.rollback()

    async def _kill(self, locking: psycopg.Connection, times: int) -> None:
        for _ in range(times):
            kill(self.admin, await self.waiting())
            self.kills += 1
        locking.rollback()

    async def waiting(self) -> int:
        """Wait until a session waits for a lock, and return its process."""
        while True:
            found = self.admin.execute(
                "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                "AND datname = current_database()"
            ).fetchone()
            if found is not None:
                return int(found[0])
            await asyncio.sleep(0.005)


@pytest.fixture
def killer(postgres_url: str, admin: psycopg.Connection) -> Killer:
    """Kills sessions in their queries."""
    return Killer(postgres_url, admin)
