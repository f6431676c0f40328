"""A connection of the pool knows the task that has it, without keeping it alive."""

from __future__ import annotations

import asyncio
import gc

import pytest

from vinyl.bridge.tasks import running_task
from vinyl.orm.pools.pooled import weakly
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def test_has_the_task_that_acquired_it() -> None:
    pool = pool_for("default")
    wrapper = await pool.acquire()
    pooled = pool.in_use[wrapper]
    assert pooled.holder() is running_task()
    pool.release(wrapper)
    assert pooled.holder() is None


async def test_does_not_keep_the_task() -> None:
    pool = pool_for("default")
    wrapper = await asyncio.create_task(pool.acquire())
    # The callback that has woken this task up refers to the other one.
    await asyncio.sleep(0)
    gc.collect()
    holder = pool.in_use[wrapper].holder()
    pool.release(wrapper)
    assert holder is None


def test_code_without_a_task_has_none() -> None:
    assert weakly(None) is None
