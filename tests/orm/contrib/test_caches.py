"""The tasks of an event loop share a cache object."""

from __future__ import annotations

import asyncio
from contextvars import Context

import pytest
from django.core.cache import BaseCache, caches
from django.test import override_settings

from vinyl.orm import run

pytestmark = pytest.mark.anyio

FILES = {
    "default": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": "/nowhere",
    }
}


class Unknown(BaseCache):
    """A backend whose client may not be safe to share."""

    def __init__(self, location: str, params: dict[str, object]) -> None:
        super().__init__(params)


async def test_tasks_share_the_object_and_its_connections() -> None:
    async def one() -> BaseCache:
        return caches["default"]

    async def of_a_new_request() -> BaseCache:
        return await asyncio.create_task(one(), context=Context())

    with override_settings(CACHES=FILES):
        first = await of_a_new_request()
        assert await of_a_new_request() is first
        assert await run(lambda: caches["default"]) is first
        # One of another event loop, or of a thread, may be in use meanwhile.
        assert await asyncio.to_thread(asyncio.run, one()) is not first
        assert await asyncio.to_thread(lambda: caches["default"]) is not first
    with override_settings(CACHES=FILES):
        assert await one() is not first
    with override_settings(CACHES={"default": {"BACKEND": f"{__name__}.Unknown"}}):
        assert await of_a_new_request() is not await of_a_new_request()
