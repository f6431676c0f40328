"""The session that listens: what it sends, and a server that does not answer."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from tests.fix_db import only_postgresql
from tests.orm.live.listeners import closed, sessions, shared, until
from vinyl.orm.live import Note, listen, notify, shared_session

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db"), only_postgresql]


async def test_channels_come_and_go_in_one_session(admin: psycopg.Connection) -> None:
    async with listen("a") as first:
        pids = sessions(admin)
        # The channel that is given up is taken again before UNLISTEN is answered.
        for _ in range(20):
            async with listen("b") as second:
                await notify("b", "to b")
                assert (await anext(second)).payload == "to b"
        await notify("a", "to a")
        assert (await anext(first)).payload == "to a"
        assert sessions(admin) == pids
    await closed(admin)


async def test_a_silent_session_is_checked_and_replaced(
    admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_session, "CHECK_INTERVAL", 0.01)
    async with listen("orders") as notes:
        session = shared()._session
        assert session is not None
        first = session.wrapper
        connection = first.connection
        await asyncio.sleep(0.05)
        # Checked several times, and still the same.
        assert first.connection is connection
        await notify("orders", "still")
        assert (await anext(notes)).payload == "still"
        monkeypatch.setattr(first, "is_usable", lambda: False)
        assert await anext(notes) == Note("orders", missed=True)
        assert shared()._session is not session
    await closed(admin)


async def test_the_next_listener_opens_another_session(
    admin: psycopg.Connection,
) -> None:
    pids = set()
    for _ in range(2):
        async with listen("orders"):
            pids.update(sessions(admin))
        await until(lambda: not sessions(admin))
    assert len(pids) == 2
