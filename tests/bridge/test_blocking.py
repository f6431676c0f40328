"""Sync code that blocks the event loop is reported by its name, once."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from vinyl.bridge import blocking
from vinyl.bridge.blocking import call_reporting, not_counted, run_reporting
from vinyl.bridge.greenlets import await_

pytestmark = pytest.mark.anyio


# The time by which the steps are measured, in seconds.
clock = 0.0


def pass_time() -> None:
    global clock
    clock += 1


@pytest.fixture(autouse=True)
def own_clock(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(blocking, "perf_counter", lambda: clock)
    monkeypatch.setattr(blocking, "_reported", set())
    caplog.set_level(logging.WARNING, "vinyl.bridge")


def block() -> str:
    pass_time()
    return "done"


async def test_what_blocks_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        assert await run_reporting("mysite.slow", block) == "done"
    (record,) = caplog.records
    assert record.getMessage().startswith("mysite.slow blocked the event loop for ")
    assert "in_thread, from vinyl.web or vinyl.orm.asgi" in record.getMessage()


async def test_waiting_is_not_blocking(caplog: pytest.LogCaptureFixture) -> None:
    async def wait() -> None:
        asyncio.get_running_loop().call_soon(pass_time)
        await asyncio.sleep(0)

    before = clock
    await run_reporting("mysite.waits", lambda: await_(wait()))
    assert clock > before
    assert not caplog.records


async def test_only_the_code_that_blocks_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def outer() -> Any:
        return await_(not_counted(run_reporting("inner", block)))

    assert await run_reporting("outer", outer) == "done"
    assert [record.getMessage().split()[0] for record in caplog.records] == ["inner"]


async def test_a_function_inside_is_reported_by_its_own_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def inner() -> None:
        await_(asyncio.sleep(0))
        pass_time()

    def outer() -> None:
        call_reporting("quick", await_, asyncio.sleep(0))
        call_reporting("inner", inner)
        await_(asyncio.sleep(0))
        with pytest.raises(ZeroDivisionError):
            call_reporting("fails", lambda: 1 / 0)

    await run_reporting("outer", outer)
    assert [record.getMessage().split()[0] for record in caplog.records] == ["inner"]

    def outer_that_blocks() -> None:
        outer()
        pass_time()

    await run_reporting("outer", outer_that_blocks)
    assert [record.getMessage().split()[0] for record in caplog.records][1:] == [
        "outer"
    ]


def test_without_a_report_it_is_only_called(caplog: pytest.LogCaptureFixture) -> None:
    assert call_reporting("mysite.slow", block) == "done"
    assert not caplog.records


async def test_an_error_passes() -> None:
    with pytest.raises(ZeroDivisionError):
        await run_reporting("mysite.fails", lambda: 1 / 0)
