"""
Packages that take an async path where an event loop runs in their thread.

In the bridge one does, although the code is sync: the loop is hidden from the modules
that only ask, and no others, because what waits in the bridge needs it.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop
from types import ModuleType
from typing import Any

from vinyl.bridge.greenlets import in_bridge

__all__ = ["LoopHidden"]


class LoopHidden:
    """
    The module asyncio, without a running loop in the bridge.

    Args:
        asyncio: The module.
    """

    def __init__(self, asyncio: ModuleType) -> None:
        self._asyncio = asyncio

    def __getattr__(self, name: str) -> Any:
        return getattr(self._asyncio, name)

    def get_running_loop(self) -> AbstractEventLoop:
        """
        Raises:
            RuntimeError: There is none, or the code runs in the bridge.
        """
        if in_bridge():
            raise RuntimeError("no running event loop")
        loop: AbstractEventLoop = self._asyncio.get_running_loop()
        return loop
