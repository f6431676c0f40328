"""
Special methods that objects have in async mode only, such as the `__await__` of
querysets.

Sync code of libraries asks whether a value is awaitable, and treats it as one if it
is. So an object of Django must not look awaitable where Django's own does not.
"""

from __future__ import annotations

import functools
from abc import ABCMeta
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import MethodType
from typing import Any

from vinyl.bridge.mode import runs_sync

__all__ = ["AsyncMethod", "patch_instancecheck"]


class AsyncMethod:
    """
    A method that an object has in async mode only. In sync mode, reading it raises
    `AttributeError`, so `hasattr()` is False.

    `await` and `async with` read it from the class, and call `__get__` as well.

    Args:
        fn: The method in async mode.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn

    def __get__(self, instance: Any, owner: type | None = None) -> Callable[..., Any]:
        if instance is None:
            # AsyncExitStack takes it from the class.
            return self.fn
        if runs_sync():
            raise AttributeError(
                f"{type(instance).__name__!r} object has no attribute "
                f"{self.fn.__name__!r} in sync mode",
                name=self.fn.__name__,
                obj=instance,
            )
        return MethodType(self.fn, instance)


def patch_instancecheck(check: Callable[..., bool]) -> Callable[..., bool]:
    """
    Patch the function behind `isinstance(value, Awaitable)`, and so behind
    `inspect.isawaitable(value)`: False in sync mode if the `__await__` of *value* is an
    `AsyncMethod`. Abstract classes remember the answer by class, and cannot say so
    themselves.
    """

    @functools.wraps(check)
    def __instancecheck__(cls: ABCMeta, instance: Any) -> bool:
        # Always by the original: protocols look for the module "abc" on the stack.
        if not check(cls, instance):
            return False
        if cls is Awaitable:
            return not _is_hidden(instance, "__await__")
        if cls is AbstractAsyncContextManager:
            return not _is_hidden(instance, "__aenter__")
        return True

    return __instancecheck__


def _is_hidden(instance: Any, name: str) -> bool:
    """Whether *instance* has the method *name* in async mode, and this is sync mode."""
    for cls in type(instance).__mro__:
        if (method := vars(cls).get(name)) is not None:
            return type(method) is AsyncMethod and runs_sync()
    return False
