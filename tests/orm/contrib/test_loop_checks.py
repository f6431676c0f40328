"""The running loop is hidden in the bridge from packages that only ask for it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from vinyl.bridge.patching import Patch, apply_patches
from vinyl.orm import run
from vinyl.orm.contrib.loop_checks import LoopHidden

pytestmark = pytest.mark.anyio

# What constance.base and strawberry.utils.inspect contain.
MODULE = """
import asyncio


def in_async_context():
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
"""


async def test_a_module_sees_the_loop_outside_the_bridge_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vinyl_test_asking.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    apply_patches([Patch("vinyl_test_asking", "asyncio", LoopHidden)])
    import vinyl_test_asking as asking  # type: ignore[import-not-found]

    try:
        assert asking.in_async_context()
        assert not await run(asking.in_async_context)
        assert asking.in_async_context()
        assert not await asyncio.to_thread(asking.in_async_context)
    finally:
        del sys.modules["vinyl_test_asking"]


async def test_the_rest_of_asyncio_is_as_it_was() -> None:
    hidden = LoopHidden(asyncio)
    assert hidden.sleep is asyncio.sleep
    assert hidden.get_running_loop() is asyncio.get_running_loop()
    with pytest.raises(RuntimeError, match="no running event loop"):
        await run(hidden.get_running_loop)
    # What waits in the bridge needs it.
    assert await run(asyncio.get_running_loop) is asyncio.get_running_loop()
