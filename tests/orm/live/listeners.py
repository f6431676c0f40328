"""Looks at the sessions that listen, and kills them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg

from tests.fix_kills import kill
from vinyl.orm.live.registry import source_for
from vinyl.orm.live.shared_session import SharedSession
from vinyl.orm.live.source import Source

__all__ = ["closed", "kill_listener", "sessions", "shared", "until"]


async def until(condition: Callable[[], Any]) -> None:
    """Wait until *condition* holds, which other tasks or processes bring about."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def sessions(admin: psycopg.Connection) -> list[int]:
    """The processes of the sessions whose last statement concerned listening."""
    found = admin.execute(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
        "AND query ~ '^(UN)?LISTEN '"
    )
    return [pid for (pid,) in found]


def kill_listener(admin: psycopg.Connection) -> None:
    [pid] = sessions(admin)
    kill(admin, pid)


def shared() -> SharedSession:
    """The session of the running event loop, None in it while nobody listens."""
    return source_for(SharedSession, "default")


async def closed(admin: psycopg.Connection) -> None:
    """Wait until nothing listens any more, in the loop and in the server."""
    source: Source = shared()
    await until(lambda: source._task is None)
    assert not source.subscribers
    assert not source._served
    assert not source._waiting
    await until(lambda: not sessions(admin))
