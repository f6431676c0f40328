"""
Calling a function when an event loop ends.

`loop.shutdown_asyncgens()`, which `asyncio.run()` and every server call at the end, is
the only hook that a loop offers: it closes a suspended generator.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["at_loop_end", "forget_loop", "inherit_loops"]

# The suspended generators. They refer to their loops, so each loop removes its own.
_generators: WeakKeyDictionary[
    asyncio.AbstractEventLoop, list[AsyncGenerator[None, Any]]
]
_generators = WeakKeyDictionary()
# In a forked process, those of the parent's loops. They are kept alive, because they
# would act at their end.
_inherited: list[object] = []


def at_loop_end(
    loop: asyncio.AbstractEventLoop, fn: Callable[[], Awaitable[None] | None]
) -> None:
    """
    Call *fn* when *loop*, which is the running one, shuts down. Never switches.

    Args:
        fn: May return an awaitable, which is awaited. It is kept until the loop ends.
    """

    async def end() -> AsyncGenerator[None, Any]:
        try:
            yield
        finally:
            forget_loop(loop)
            if inspect.isawaitable(result := fn()):
                await result

    generator = end()
    # The first step has nothing to wait for, so it can be made here.
    try:
        generator.asend(None).send(None)
    except StopIteration:
        _generators.setdefault(loop, []).append(generator)


def forget_loop(loop: asyncio.AbstractEventLoop) -> None:
    """
    Call nothing more for *loop* by itself: it shuts down, or was closed without that.
    Never switches.
    """
    _generators.pop(loop, None)


def inherit_loops() -> None:
    """
    In a forked process: call nothing for the loops of the parent. Never switches.
    """
    global _generators
    _inherited.extend(_generators.items())
    _generators = WeakKeyDictionary()
