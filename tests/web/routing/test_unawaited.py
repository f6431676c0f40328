"""Calls that a view never awaits, on the development server."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
import warnings
from collections.abc import Iterator

import pytest

from tests.records.models import Album, Artist
from vinyl.exceptions import NotAwaitedError
from vinyl.web.routing import unawaited
from vinyl.web.routing.unawaited import refusing_unawaited, watch

pytestmark = pytest.mark.anyio

FORGOTTEN = r"^the view\(\) made a call without awaiting it.*'forgotten' was never"


@pytest.fixture
def watching(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What runserver turns on for the rest of the process."""
    monkeypatch.setattr(unawaited, "_watching", False)
    monkeypatch.setattr(unawaited, "_report_other", unawaited._report_other)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    depth = sys.get_coroutine_origin_tracking_depth()
    with warnings.catch_warnings():
        watch()
        # More than once does no harm.
        watch()
        yield
    sys.set_coroutine_origin_tracking_depth(depth)


async def forgotten() -> None: ...


def forget() -> None:
    coroutine = forgotten()
    del coroutine
    gc.collect()


def describe() -> str:
    return "the view()"


async def test_a_forgotten_call_is_an_error_at_the_end(watching: None) -> None:
    done = []
    with pytest.raises(NotAwaitedError, match=FORGOTTEN) as caught:
        with refusing_unawaited(describe):
            forget()
            done.append("the rest of the view")
    assert done
    # Where the call was made.
    assert "in forget" in str(caught.value)


async def test_an_awaited_one_is_none(watching: None) -> None:
    with refusing_unawaited(describe):
        await forgotten()


async def test_an_error_of_the_view_comes_first(
    watching: None, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(LookupError), refusing_unawaited(describe):
        forget()
        raise LookupError
    assert "'forgotten' was never awaited" in caplog.text


async def test_each_view_has_its_own(watching: None) -> None:
    async def view(forgets: bool) -> None:
        with refusing_unawaited(describe):
            await asyncio.sleep(0)
            if forgets:
                forget()

    found = await asyncio.gather(view(True), view(False), return_exceptions=True)
    assert isinstance(found[0], NotAwaitedError)
    assert found[1] is None


async def test_awaiting_what_is_there_is_explained(watching: None) -> None:
    with pytest.raises(TypeError) as caught, refusing_unawaited(describe):
        album = Album(artist=Artist(name="Nina"))
        await album.artist
    assert "fetch(album, 'artist')" in caught.value.__notes__[0]


def test_outside_a_view_it_is_logged(
    watching: None, caplog: pytest.LogCaptureFixture
) -> None:
    forget()
    [record] = caplog.records
    assert (record.name, record.levelno) == ("django.request", logging.ERROR)
    assert "'forgotten' was never awaited" in record.message


def test_other_errors_in_destructors_go_where_they_went(
    watching: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Bad:
        def __del__(self) -> None:
            raise LookupError("elsewhere")

    seen: list[object] = []
    monkeypatch.setattr(unawaited, "_report_other", lambda it: seen.append(it.exc_type))
    bad = Bad()
    del bad
    gc.collect()
    assert seen == [LookupError]


async def test_without_the_server_nothing_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unawaited, "_watching", False)
    with refusing_unawaited(describe):
        with pytest.warns(RuntimeWarning, match="never awaited"):
            forget()
