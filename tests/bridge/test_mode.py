"""Which mode a call is in, and what is dual-mode."""

from __future__ import annotations

import asyncio

import pytest
from django.test import override_settings

from vinyl.bridge.mode import runs_sync
from vinyl.orm import run

pytestmark = pytest.mark.anyio


class TestMode:
    def test_is_sync_without_an_event_loop(self) -> None:
        assert runs_sync()

    async def test_is_async_on_an_event_loop_and_sync_in_the_bridge(self) -> None:
        assert not runs_sync()
        assert await run(runs_sync)

    async def test_is_sync_in_a_thread_beside_the_loop(self) -> None:
        assert await asyncio.to_thread(runs_sync)

    def test_can_be_forced_to_async(self) -> None:
        with override_settings(VINYL={"IS_ASYNC": True}):
            assert not runs_sync()
        assert runs_sync()

    async def test_can_be_forced_to_sync(self) -> None:
        with override_settings(VINYL={"IS_ASYNC": False}):
            assert runs_sync()
        assert not runs_sync()
