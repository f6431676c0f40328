"""
procrastinate's connector for Django, natively async: its queries run in the bridge, on
the connection and in the transaction of the task that defers a job.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from vinyl.bridge.greenlets import run

__all__ = ["patch_execute"]


def patch_execute(execute: Callable[..., Any]) -> Callable[..., Any]:
    """
    The patch for a method of the connector that calls the one without `_async` in a
    thread.
    """
    plain = execute.__name__.removesuffix("_async")

    @functools.wraps(execute)
    async def execute_in_bridge(self: Any, query: str, **arguments: Any) -> Any:
        return await run(getattr(self, plain), query, **arguments)

    return execute_in_bridge
