"""A connection of the pool, and the task that has it."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

from vinyl.orm.backends.base import BridgeMixin

__all__ = ["Pooled", "weakly"]


class Pooled:
    """A connection of the pool."""

    __slots__ = ("began", "expires", "since", "task", "wrapper")

    def __init__(self, wrapper: BridgeMixin, expires: float) -> None:
        self.wrapper = wrapper
        # When it is too old to be used again, in time.monotonic().
        self.expires = expires
        # When it was acquired or released, in time.monotonic().
        self.since = 0.0
        # When its task acquired it, before it released it and acquired it again.
        self.began = 0.0
        # The task that acquired it, or that may acquire it again. Weak, so that a lost
        # task can be closed.
        self.task: weakref.ref[asyncio.Task[Any]] | None = None

    def holder(self) -> asyncio.Task[Any] | None:
        """The task that has it, None if that task is gone. Never switches."""
        return None if self.task is None else self.task()


def weakly(task: asyncio.Task[Any] | None) -> weakref.ref[asyncio.Task[Any]] | None:
    """A reference to *task*, None for None. Never switches."""
    return None if task is None else weakref.ref(task)
