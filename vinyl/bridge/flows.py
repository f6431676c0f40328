"""
Flows: generator functions that run in both modes.

A flow yields its calls, and a driver makes them. The sync driver calls each function;
the async driver also awaits the result. `use_driver` chooses the driver.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine, Generator
from typing import Any, ParamSpec, TypeVar, cast, overload

from vinyl.bridge.calls import Dual
from vinyl.bridge.mode import dual, suspend_or_refuse

__all__ = ["drive", "drive_async", "use_driver"]

P = ParamSpec("P")
T = TypeVar("T")


@overload
def use_driver(fn: Callable[P, Generator[Any, Any, T]]) -> Callable[P, Dual[T]]: ...


@overload
def use_driver(fn: Callable[P, T]) -> Callable[P, Dual[T]]: ...


def use_driver(fn: Callable[P, Any]) -> Callable[P, Any]:
    """
    Decorator that makes *fn* dual-mode: a call returns the value in sync mode, and a
    coroutine in async mode.

    A generator function yields its calls as `(function, args)` or `(function, args,
    kwargs)` and receives their results. The driver makes each call, and awaits it in
    async mode. Use `yield from` to compose flows. If *fn* is not a generator function,
    all of it runs in the bridge in async mode.

    Args:
        fn: A generator function or a plain function.

    Raises:
        TypeError: *fn* is `async def`, which cannot run in sync mode. Raised at the
            `yield` if a flow yields something that is not a call.

    Never switches; calls of the decorated function switch to the event loop.
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
    Return the result of *flow*, after making each call that it yields.

    Switches to the event loop inside the bridge, if a call does.
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
    Return the result of *flow*, after making and awaiting each call that it yields.

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
    """Return the function, args and kwargs of a call that a flow yielded."""
    match step:
        case (call, tuple() | list() as args) if callable(call):
            return call, tuple(args), {}
        case (call, tuple() | list() as args, dict() as kwargs) if callable(call):
            return call, tuple(args), kwargs
    raise TypeError(
        f"A flow for use_driver yielded {step!r}. It has to yield its calls as "
        f"(function, args) or (function, args, kwargs), with args a tuple."
    )
