"""Code that blocks the event loop is reported with its line and its view."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from typing import Any

import pytest

from tests.web.serving import serving
from vinyl.web import Response, loop_watch, path
from vinyl.web.loop_watch import report_blocking

pytestmark = pytest.mark.anyio

PATIENCE = 30.0


class Watched:
    """The watch, with an event for each look at the blocked loop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.looked = threading.Event()
        place_of = loop_watch.place_of

        def looking(frame: Any) -> str:
            place = place_of(frame)
            self.looked.set()
            return place

        monkeypatch.setattr(loop_watch, "place_of", looking)
        monkeypatch.setattr(loop_watch, "BLOCKS_AFTER", 0.05)
        monkeypatch.setattr(loop_watch, "INTERVAL", 0.01)

    def block(self) -> None:
        self.looked.clear()
        assert self.looked.wait(PATIENCE)


@pytest.fixture
def watched(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Watched:
    caplog.set_level(logging.WARNING, "vinyl.bridge")
    return Watched(monkeypatch)


async def reports(caplog: pytest.LogCaptureFixture, count: int) -> list[str]:
    deadline = time.monotonic() + PATIENCE
    while True:
        found = [r.getMessage() for r in caplog.records if r.name == "vinyl.bridge"]
        if len(found) >= count or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.01)


async def test_an_async_view_is_named_with_the_line_that_blocks(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    async def helper() -> None:
        watched.block()

    async def album(request: Any) -> Response:
        await helper()
        return Response("done")

    async with serving(path("", album)) as http, report_blocking():
        for _ in range(2):
            assert (await http.get("/")).text == "done"
        (report,) = await reports(caplog, 1)
    assert "The event loop was blocked for" in report
    assert f"({__file__}:" in report
    assert "Watched.block" in report
    assert "in a call of threading." in report


async def test_each_line_is_reported(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    async with report_blocking():
        watched.looked.clear()
        watched.looked.wait(PATIENCE)
        await asyncio.sleep(0)
        watched.block()
        await reports(caplog, 2)
    assert len(await reports(caplog, 2)) == 2


async def test_waiting_is_not_reported(
    watched: Watched,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # However slow the machine is.
    monkeypatch.setattr(loop_watch, "BLOCKS_AFTER", PATIENCE)
    loop = asyncio.get_running_loop()
    call_soon = loop.call_soon_threadsafe
    asked: list[Any] = []

    def counted(*args: Any, **kwargs: Any) -> Any:
        asked.append(args)
        return call_soon(*args, **kwargs)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    async with report_blocking():
        while len(asked) < 5:
            await asyncio.sleep(0.01)
    assert not watched.looked.is_set()
    assert not await reports(caplog, 0)


async def test_it_ends_with_the_block() -> None:
    async with report_blocking():
        names = {thread.name for thread in threading.enumerate()}
        assert "vinyl-loop-watch" in names
    names = {thread.name for thread in threading.enumerate()}
    assert "vinyl-loop-watch" not in names
