"""What a project writes with `async def`, for Django's code, which never awaits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction

from vinyl.orm.rows import dual

__all__ = ["Awaiting", "awaiting"]


def awaiting(function: Callable) -> Callable:
    """*function*; if it is async, the bridge waits for what it returns."""
    return dual(function) if iscoroutinefunction(function) else function


class Awaiting:
    """
    A class whose async methods may be called without `await` in the bridge: a coroutine
    of `has_change_permission` would be true, whatever the answer.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        cls = type(self)
        for name in dir(cls):
            if iscoroutinefunction(getattr(cls, name, None)):
                setattr(self, name, dual(getattr(self, name)))
