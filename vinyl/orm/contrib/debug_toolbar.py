"""
The SQL panel of django-debug-toolbar under an ASGI handler.

The panel watches the connection objects of the thread of its middleware. On the event
loop each query borrows one: its placeholder hands what watches it to all of them.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any

from asgiref.sync import sync_to_async
from django.db import connections
from django.db.backends.utils import CursorWrapper

from vinyl.bridge.greenlets import in_bridge
from vinyl.bridge.mode import runs_sync

__all__ = ["patch_aenable", "patch_disable"]


class Recording:
    """
    An `execute_wrapper()` that lets a panel record the queries.

    Args:
        panel: The panel of one request.
    """

    def __init__(self, panel: Any) -> None:
        self.panel = panel

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,
        context: Any,
    ) -> Any:
        tracking: Any = import_module("debug_toolbar.panels.sql.tracking")
        kind = tracking.patch_cursor_wrapper_with_mixin(
            CursorWrapper, tracking.NormalCursorMixin
        )
        recorder = kind(context["cursor"].cursor, context["connection"], self.panel)

        def call(sql: str, params: Any = None) -> Any:
            return execute(sql, params, many, context)

        return recorder._record(call, sql, params)


def patch_aenable(
    aenable: Callable[[Any], Awaitable[None]],
) -> Callable[[Any], Awaitable[None]]:
    """The patch for `SQLPanel.aenable_instrumentation()`."""

    @functools.wraps(aenable)
    async def aenable_instrumentation(self: Any) -> None:
        # For plain views, which Django's handler calls in a thread.
        await sync_to_async(enable_in_thread)(self)
        for alias in connections:
            connections[alias].execute_wrappers.append(Recording(self))

    return aenable_instrumentation


def enable_in_thread(panel: Any) -> None:
    if not in_bridge():
        panel.enable_instrumentation()


def patch_disable(disable: Callable[[Any], None]) -> Callable[[Any], None]:
    """The patch for `SQLPanel.disable_instrumentation()`."""

    @functools.wraps(disable)
    def disable_instrumentation(self: Any) -> None:
        disable(self)
        if in_bridge() or runs_sync():
            return
        for alias in connections:
            wrappers = connections[alias].execute_wrappers
            wrappers[:] = [
                wrapper
                for wrapper in wrappers
                if getattr(wrapper, "panel", None) is not self
            ]

    return disable_instrumentation
