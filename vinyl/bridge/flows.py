"""
Write once, run in both modes: a flow yields its calls, and a driver makes them.

The sync driver calls each; the async one calls and awaits it. `use_driver` chooses.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Generator
from typing import Any, ParamSpec, TypeVar, cast

from vinyl.bridge.mode import dual, suspend_or_refuse

__all__ = ["drive", "drive_async", "use_driver"]

P = ParamSpec("P")
T = TypeVar("T")


def use_driver(fn: Callable[P, Any]) -> Callable[P, Any]:
    """
    Make *fn* dual-mode: it returns its value in sync mode, a coroutine in async mode.

    A generator function yields its calls, `(function, args)` or `(function, args,
    kwargs)`, and receives their results: the driver calls each (sync mode), or calls
    and awaits it (async mode). `yield from` composes flows. Any other function runs
    in the bridge as a whole in async mode.

    Raises:
        TypeError: A coroutine function was given, which cannot run in sync mode; or,
            at the yield, something that is not a call was yielded.

    Never switches; calls of what it returns switch to the event loop.
    """
    if inspect.iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn):
        raise TypeError(
            f"use_driver() was given {fn.__qualname__}, which is async and so cannot "
            f"run in sync mode. Write it as a generator that yields its calls, "
            f"`result = yield function, args`, or as a plain function."
        )
    name = fn.__qualname__
    if not inspect.isgeneratorfunction(fn):
        return dual(fn, name=name)

    def in_sync(*args: P.args, **kwargs: P.kwargs) -> Any:
        return drive(fn(*args, **kwargs))

    def in_async(*args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, Any]:
        return drive_async(fn(*args, **kwargs))

    return dual(fn, in_sync, in_async, name=name)


def drive(flow: Generator[Any, Any, T]) -> T:
    """
    Run *flow*, calling what it yields; return what it returns.

    Switches to the event loop, inside the bridge, where a call does.
    """
    step: Callable[..., Any] = functools.partial(flow.send, None)
    while True:
        try:
            call, args, kwargs = _as_call(step())
        except StopIteration as stop:
            return cast(T, stop.value)
        try:
            result = call(*args, **kwargs)
            if isinstance(result, Coroutine):
                result = suspend_or_refuse(result)
        except BaseException as error:
            step = functools.partial(flow.throw, error)
        else:
            step = functools.partial(flow.send, result)


async def drive_async(flow: Generator[Any, Any, T]) -> T:
    """
    Run *flow*, calling what it yields and awaiting what the calls return; return what
    it returns.

    Switches to the event loop.
    """
    step: Callable[..., Any] = functools.partial(flow.send, None)
    while True:
        try:
            call, args, kwargs = _as_call(step())
        except StopIteration as stop:
            return cast(T, stop.value)
        try:
            result = call(*args, **kwargs)
            if hasattr(type(result), "__await__"):
                result = await result
        except BaseException as error:
            step = functools.partial(flow.throw, error)
        else:
            step = functools.partial(flow.send, result)


def _as_call(step: Any) -> tuple[Callable[..., Any], tuple[Any, ...], dict[Any, Any]]:
    """Read what a flow yielded."""
    match step:
        case (call, tuple() | list() as args) if callable(call):
            return call, tuple(args), {}
        case (call, tuple() | list() as args, dict() as kwargs) if callable(call):
            return call, tuple(args), kwargs
    raise TypeError(
        f"A flow for use_driver yielded {step!r}. It has to yield its calls as "
        f"(function, args) or (function, args, kwargs), with args a tuple."
    )
