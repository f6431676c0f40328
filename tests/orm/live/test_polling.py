"""SQLite's changes: one connection asks for them, and the log says so."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing

import pytest

from tests.fix_db import only_sqlite
from tests.orm.live.listeners import until
from tests.records.models import Artist
from vinyl.orm.live import polling, watch
from vinyl.orm.live.registry import source_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db"), only_sqlite]


async def test_watchers_share_one_connection_and_the_log_says_so_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "POLL_INTERVAL", 0.01)
    caplog.set_level(logging.INFO, "vinyl.live")
    for round_ in range(2):
        many = [watch(Artist.objects.all()) for _ in range(10)]
        assert all(
            len(each) == round_ for each in await asyncio.gather(*map(anext, many))
        )
        poller = source_for(polling.Poller, "default")
        wrapper = poller._wrapper
        assert wrapper.connection is not None
        await Artist.objects.create(name=f"{round_}")
        lists = await asyncio.gather(*map(anext, many))
        assert all(len(each) == round_ + 1 for each in lists)
        assert poller._wrapper is wrapper
        for each in many:
            await each.aclose()
        await until(lambda poller=poller: poller._task is None)
        assert wrapper.connection is None
    # The log may also say that the event loop is slow, on a busy machine.
    [told] = [each.message for each in caplog.records if each.name == "vinyl.live"]
    assert "has no notifications, so watch() asks it for changes" in told


async def test_a_failure_is_a_change(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polling, "POLL_INTERVAL", 0.01)
    async with aclosing(watch(Artist.objects.all())) as lists:
        await anext(lists)
        poller = source_for(polling.Poller, "default")
        wrapper = poller._wrapper
        wrapper.discard()
        wrapper.settings_dict = {**wrapper.settings_dict, "NAME": "/nowhere/at/all"}
        async with asyncio.timeout(10):
            assert await anext(lists) == []
        assert poller._wrapper is not wrapper
    assert "Listening on database 'default' has failed" in caplog.text
