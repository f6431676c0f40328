"""An operation on the event loop acquires the connection that its place has."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, comparison-overlap, misc, return-value"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from vinyl.exceptions import ScopeClosedError
from vinyl.orm import connection, transaction
from vinyl.orm.pools.registry import pool_for
from vinyl.orm.scopes.operation import acquire, has_siblings, needs_run, release

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def test_one_of_the_pool_outside_of_blocks() -> None:
    pool = pool_for("default")
    wrapper, source = await acquire("default")
    assert source is pool
    assert list(pool.in_use) == [wrapper]
    release(wrapper, source)
    assert not pool.in_use


async def test_that_of_the_block_in_turn() -> None:
    async with transaction.atomic():
        first, source = await acquire("default")
        waiting = asyncio.create_task(acquire("default"))
        await asyncio.sleep(0)
        assert not waiting.done()
        release(first, source)
        second, source = await waiting
        assert second is first
        release(second, source)


async def test_none_of_a_block_that_has_ended() -> None:
    over = asyncio.Event()

    async def outlive() -> None:
        await over.wait()
        await acquire("default")

    async with transaction.atomic():
        task = asyncio.create_task(outlive())
        await asyncio.sleep(0)
    over.set()
    with pytest.raises(ScopeClosedError):
        await task


async def test_the_bridge_is_needed_where_a_placeholder_observes() -> None:
    assert not needs_run("default")
    wrapper = connection.execute_wrapper(lambda execute, *args: execute(*args))
    with wrapper:
        assert needs_run("default")
    assert not needs_run("default")


async def test_the_bridge_is_needed_in_the_block_of_a_generator() -> None:
    async def generate() -> AsyncIterator[bool]:
        async with transaction.atomic():
            yield needs_run("default")

    async for needed in generate():
        assert needed
    async with transaction.atomic():
        assert not needs_run("default")


async def test_only_tasks_inside_of_a_block_expect_siblings() -> None:
    async def asks() -> bool:
        return has_siblings()

    async def both() -> list[bool]:
        return await asyncio.gather(asks(), asks())

    assert await both() == [False, False]
    async with transaction.atomic():
        other = asyncio.create_task(asks())
        # The block's own task, although another one is ready to run.
        assert not has_siblings()
        # No task is ready to run after it.
        assert await asyncio.gather(asks()) == [False]
        assert (await both())[0]
        await other
