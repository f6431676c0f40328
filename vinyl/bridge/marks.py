"""Marks on functions, such as "is dual-mode"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["Mark"]

FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


class Mark:
    """
    A mark on functions, kept in an attribute.

    `functools.wraps` copies the attribute to the function that a decorator returns. Its
    value is the function that was marked, which distinguishes the two.

    Args:
        name: The name of the attribute.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def put_on(self, fn: FunctionT) -> FunctionT:
        """Mark *fn* and return it. Never switches."""
        setattr(fn, self.name, fn)
        return fn

    def is_on(self, value: Any) -> bool:
        """
        Whether *value* is marked, or a decorator made it from a function that is. Never
        switches.
        """
        return hasattr(value, self.name)

    def is_on_itself(self, value: Any) -> bool:
        """Whether *value* is the function that was marked. Never switches."""
        return getattr(value, self.name, None) is value
