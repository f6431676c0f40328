"""The task of a source: started, ended, cancelled."""

from __future__ import annotations

import asyncio
import gc
import weakref
from contextlib import AsyncExitStack

import psycopg
import pytest
from django.db import InterfaceError

from tests.fix_db import only_postgresql
from tests.orm.live.listeners import closed, shared, until
from vinyl.orm import transaction
from vinyl.orm.live import listen, notify, registry

pytestmark = [pytest.mark.usefixtures("db"), only_postgresql]


@pytest.mark.anyio
async def test_it_does_not_belong_to_the_transaction_that_it_begins_in(
    admin: psycopg.Connection,
) -> None:
    stack = AsyncExitStack()
    async with transaction.atomic():
        notes = await stack.enter_async_context(listen("orders"))
        await notify("orders", "with the commit")
    async with stack:
        await notify("orders", "after it")
        assert (await anext(notes)).payload == "with the commit"
        async with listen("more") as more:
            await notify("more")
            assert (await anext(more)).channel == "more"
        assert (await anext(notes)).payload == "after it"
    await closed(admin)


@pytest.mark.anyio
async def test_listeners_notice_that_it_was_cancelled(
    admin: psycopg.Connection,
) -> None:
    async with listen("orders") as notes:
        task = shared()._task
        assert task is not None
        task.cancel()
        with pytest.raises(InterfaceError, match="was cancelled, so no more"):
            await anext(notes)
    await closed(admin)
    async with listen("orders") as notes:
        await notify("orders", "again")
        assert (await anext(notes)).payload == "again"
    await closed(admin)


def test_the_end_of_the_loop_closes_the_session(admin: psycopg.Connection) -> None:
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def listen_for_ever() -> None:
        async for _ in listen("orders"):
            pytest.fail("Nothing was sent.")

    async def work() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        task = asyncio.create_task(listen_for_ever())
        await until(lambda: shared().channels)
        del task

    asyncio.run(work())
    asyncio.run(closed(admin))
    gc.collect()
    assert loops[0]() is None


def test_a_loop_that_is_closed_at_once(admin: psycopg.Connection) -> None:
    """Its session is closed when another loop listens."""
    loop = asyncio.new_event_loop()

    async def enter() -> None:
        await listen("orders").__aenter__()

    loop.run_until_complete(enter())
    source = registry._sources[loop]["default"]
    task = source._task
    assert task is not None
    loop.close()
    # Or it complains that it was destroyed while it was pending.
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    del task, source
    asyncio.run(closed(admin))
