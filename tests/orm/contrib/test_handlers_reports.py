"""What blocks the event loop in Django's handler in the bridge is reported by name."""

from __future__ import annotations

import asyncio

import pytest

from tests.orm.contrib import test_handlers as handlers
from tests.orm.contrib.test_handlers import client, get, pass_time, site
from tests.orm.live.listeners import until
from vinyl.bridge import blocking

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

NAME = handlers.__name__


@pytest.fixture(autouse=True)
def own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocking, "perf_counter", lambda: handlers.clock)
    monkeypatch.setattr(blocking, "_reported", set())


async def test_what_blocks_the_loop_is_reported_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with site("sync_only"):
        async with client() as http:
            await http.get("/blocking/")
            await http.get("/blocking/")
    name = f"{NAME}.blocking_view"
    told = [text for text in caplog.messages if "blocked the event loop" in text]
    # The time that the middleware spends in the view is not its own.
    assert len(told) == 1
    assert told[0].startswith(f"{name} blocked the event loop for 1000 ms")
    assert "in_thread, from vinyl.web or vinyl.orm.asgi" in told[0]


@pytest.mark.parametrize(
    ("url", "middleware", "told"),
    [
        (
            "/class/",
            ["Hooks", "sync_only", "blocking_middleware", "sync_only"],
            ["blocking_middleware.<locals>.blocks blocked the event loop for 2000"],
        ),
        (
            "/blocking/",
            ["sync_only", "blocking_middleware"],
            [
                "blocking_view blocked the event loop for 1000",
                "blocking_middleware.<locals>.blocks blocked the event loop for 2",
            ],
        ),
        ("/blocking-async/", ["sync_only", "Hooks", "sync_only"], []),
        (
            "/unmended/",
            ["Hooks", "BlockingHook"],
            ["BlockingHook.process_exception blocked the event loop for 3000"],
        ),
    ],
)
async def test_each_middleware_has_its_own_time(
    url: str,
    middleware: list[str],
    told: list[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await get(url, *middleware)
    reports = [text for text in caplog.messages if "blocked the event" in text]
    assert len(reports) == len(told)
    for report, expected in zip(reports, told, strict=True):
        assert report.startswith(f"{NAME}.{expected}")


async def test_waiting_on_the_event_loop_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    handlers.barrier = asyncio.Barrier(2)
    with site():
        async with client() as http:
            request = asyncio.create_task(http.get("/meeting/"))
            await until(lambda: handlers.barrier.n_waiting)
            pass_time(1)
            await handlers.barrier.wait()
            assert (await request).status_code == 200
    assert "blocked the event loop" not in caplog.text
