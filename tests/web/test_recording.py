"""RecordingMiddleware: each request has a recording of its own, in debug mode."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, misc"

from __future__ import annotations

import asyncio

import pytest

from tests.fix_lazy_loads import Reports, rows, visit
from tests.records.models import Album
from tests.web.serving import serving
from vinyl.orm.recording import Recording, current_recording
from vinyl.web import PlainTextResponse, Request, Response, path

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("albums")]


@pytest.mark.parametrize(
    ("debug", "policy", "full"),
    [
        (True, "allow", True),
        (True, "warn", True),
        (False, "warn", False),
        (False, "allow", None),
        (False, "raise", None),
    ],
)
async def test_what_is_recorded(debug: bool, policy: str, full: bool | None) -> None:
    seen: list[Recording | None] = []

    async def view(request: Request) -> Response:
        await Album.objects.count()
        seen.append(current_recording())
        return PlainTextResponse("")

    vinyl = {"OPENTELEMETRY": False, "LAZY_IN_TEMPLATES": policy}
    async with serving(path("", view), DEBUG=debug, VINYL=vinyl) as http:
        await http.get("/")
    [record] = seen
    assert (None if record is None else record.full) is full
    if record is not None:
        assert record.count == 1
        assert record.ended


async def test_requests_at_the_same_time_do_not_add_up(reports: Reports) -> None:
    both = asyncio.Barrier(2)

    async def view(request: Request) -> Response:
        await both.wait()
        album = await Album.objects.afirst()
        assert album is not None
        await album.artist
        await both.wait()
        return PlainTextResponse("")

    async with serving(path("", view), DEBUG=True) as http:
        await asyncio.gather(http.get("/"), http.get("/"))
    assert reports.all() == []


async def test_only_in_debug_mode(reports: Reports) -> None:
    await visit(rows("row.artist.name"), lambda: Album.objects.all(), DEBUG=False)
    assert reports.all() == []
