"""The callsite of a query: the line of the user's code that makes it."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="call-overload, misc"

from __future__ import annotations

import asyncio
import inspect
import sys
from typing import Any

import pytest

from tests.records.models import Album, Artist
from vinyl.orm import run
from vinyl.orm.recording import recording


def line_of(function: Any, text: str) -> tuple[str, int]:
    """File and number of the line of *function* that has *text*."""
    lines, first = inspect.getsourcelines(function)
    [found] = [i for i, line in enumerate(lines) if text in line]
    return function.__code__.co_filename, first + found


@pytest.mark.usefixtures("db")
class TestCallsites:
    def test_sync_code(self) -> None:
        def fetch_artists() -> None:
            list(Artist.objects.all())  # queries

        with recording(full=True) as record:
            fetch_artists()
        frame = record.queries[0].callsite.frame
        assert frame is not None
        assert (frame.file, frame.line) == line_of(fetch_artists, "# queries")
        assert frame.function == "fetch_artists"
        where = f"tests/orm/observe/test_callsite.py:{frame.line}"
        assert str(frame) == f"{where} in fetch_artists()"

    @pytest.mark.anyio
    async def test_async_code_that_awaits(self) -> None:
        async def view() -> None:
            await Artist.objects.count()  # queries

        with recording(full=True) as record:
            await asyncio.create_task(view())
        frame = record.queries[0].callsite.frame
        assert frame is not None
        assert (frame.file, frame.line) == line_of(view, "# queries")

    @pytest.mark.anyio
    async def test_sync_code_in_the_bridge(self) -> None:
        def work() -> None:
            Artist.objects.count()  # queries

        async def view() -> None:
            await run(work)

        with recording(full=True) as record:
            await view()
        frame = record.queries[0].callsite.frame
        assert frame is not None
        assert (frame.file, frame.line) == line_of(work, "# queries")

    @pytest.mark.anyio
    @pytest.mark.parametrize("is_call", [True, False], ids=["calls", "querysets"])
    async def test_tasks_of_gather(self, is_call: bool) -> None:
        async def view() -> None:
            artists, albums = Artist.objects.all(), Album.objects.all()
            if is_call:
                await asyncio.gather(artists.count(), albums.count())  # queries
            else:
                await asyncio.gather(artists, albums)  # also queries

        before = sys.get_coroutine_origin_tracking_depth()
        try:
            with recording(full=True) as record:
                # The development server has Python keep note of it.
                for depth in (0, 4):
                    sys.set_coroutine_origin_tracking_depth(depth)
                    await view()
        finally:
            sys.set_coroutine_origin_tracking_depth(before)
        frames = [query.callsite.frame for query in record.queries]
        assert frames[:2] == [None, None]
        assert str(record.queries[0].callsite) == "an unknown line"
        for frame in frames[2:]:
            if is_call or sys.version_info >= (3, 12):
                assert frame is not None
                text = "# queries" if is_call else "# also queries"
                assert (frame.file, frame.line) == line_of(view, text)
            else:
                assert frame is None

    def test_the_code_that_runs_the_loop_is_not_the_callsite(self, db: str) -> None:
        async def main() -> None:
            await asyncio.gather(Album.objects.all(), Artist.objects.all())

        with recording(full=True) as record:
            asyncio.run(main())
        assert record.count == 2
        # Python may keep note of who started the tasks.
        frames = [query.callsite.frame for query in record.queries]
        assert all(frame is None or frame.function == "main" for frame in frames)
