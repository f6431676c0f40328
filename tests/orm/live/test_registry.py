"""Each loop and database has one source."""

from __future__ import annotations

import asyncio

from vinyl.orm.live.polling import Poller
from vinyl.orm.live.registry import source_for


def test_each_loop_has_its_own() -> None:
    async def two() -> tuple[Poller, Poller]:
        return source_for(Poller, "default"), source_for(Poller, "default")

    first, again = asyncio.run(two())
    assert first is again
    assert asyncio.run(two())[0] is not first
