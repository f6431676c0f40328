"""
Async functions where Django calls plain ones without an event loop: `handle()` of a
management command, and the functions of `RunPython` in migrations.
"""

from __future__ import annotations

import asyncio
import copy
import functools
from collections.abc import Callable, Coroutine
from typing import Any

from asgiref.sync import iscoroutinefunction

from vinyl.bridge.greenlets import await_, in_bridge
from vinyl.bridge.mode import dual
from vinyl.bridge.patching import Patch
from vinyl.orm import scopes

__all__ = ["TABLE", "wait_in_loop"]


def wait_in_loop(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """
    Return the result of *coroutine*, which takes part in the open transactions of the
    calling code.

    Switches to the event loop, inside the bridge; elsewhere, runs one.
    """
    if in_bridge():
        return await_(coroutine)
    with scopes.lending.lent_by_thread():
        # async_to_sync() would run it in another thread, which Ctrl-C does not end.
        return asyncio.run(coroutine)


def dual_command(handle: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch a method of a management command: if it is `async def`, sync code that calls
    it gets its result.
    """
    if not iscoroutinefunction(handle):
        return handle

    @functools.wraps(handle)
    def in_sync(*args: Any, **kwargs: Any) -> Any:
        return wait_in_loop(handle(*args, **kwargs))

    return dual(handle, in_sync)


def patch_run_python(original: Callable[..., Any]) -> Callable[..., Any]:
    """Patch a method of `RunPython`, which calls a function of the migration."""

    @functools.wraps(original)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        # A copy, since the operation itself describes the migration.
        operation = copy.copy(self)
        for name in ("code", "reverse_code"):
            if (code := getattr(self, name)) is not None:
                setattr(operation, name, _waiting_for(code))
        return original(operation, *args, **kwargs)

    return run


def _waiting_for(code: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(code, updated=())
    def call(*args: Any, **kwargs: Any) -> Any:
        result = code(*args, **kwargs)
        return wait_in_loop(result) if isinstance(result, Coroutine) else result

    return call


_BASE = "django.core.management.base"
_RUN_PYTHON = "django.db.migrations.operations.special:RunPython"
TABLE = (
    Patch(f"{_BASE}:BaseCommand", "handle", dual_command, inherited=True),
    Patch(f"{_BASE}:AppCommand", "handle_app_config", dual_command, inherited=True),
    Patch(f"{_BASE}:LabelCommand", "handle_label", dual_command, inherited=True),
    Patch(_RUN_PYTHON, "database_forwards database_backwards", patch_run_python),
)
