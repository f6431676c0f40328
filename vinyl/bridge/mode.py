"""
Which mode a call is in, and dual-mode functions, which run in sync mode and return a
`Call` in async mode.

`dual()`, which makes a function dual-mode, is the only place that makes a `Call`.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import Callable, Coroutine
from inspect import CO_COROUTINE
from types import FrameType, FunctionType
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction

from vinyl import bridge
from vinyl.bridge.calls import Call
from vinyl.bridge.greenlets import await_, describe, in_bridge, run
from vinyl.bridge.marks import Mark
from vinyl.exceptions import NotAwaitedError

__all__ = [
    "DUAL",
    "dual",
    "dual_if_async",
    "is_dual",
    "refuse_to_block",
    "runs_sync",
    "suspend_or_refuse",
]

T = TypeVar("T")

# VINYL["IS_ASYNC"]: None stands for "auto". Each dual-mode call reads it;
# vinyl.orm.apps sets it from the settings.
forced_mode: bool | None = None

# The mark on dual-mode functions.
DUAL = Mark("is_dual")

_get_running_loop = asyncio._get_running_loop


def runs_sync() -> bool:
    """
    Whether a dual-mode call made here is in sync mode. Never switches.

    The first rule that applies decides: inside the bridge, sync mode;
    `settings.VINYL["IS_ASYNC"]`, the mode that it forces; otherwise, async mode if this
    thread has a running event loop, and sync mode if not.
    """
    if forced_mode is None:
        return _get_running_loop() is None or in_bridge()
    return not forced_mode or in_bridge()


def refuse_to_block(what: str) -> None:
    """
    Raise `NotAwaitedError` if waiting here would block an event loop. Never switches.

    Args:
        what: The object that is about to wait; the subject of the message.
    """
    if not runs_sync() and not os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE"):
        raise NotAwaitedError(
            f"{what} was used on the event loop outside the bridge, where it would "
            f"block everything else. Await a call of the ORM, use `async with "
            f"connection.cursor()`, or `await vinyl.orm.run(function, ...)`."
        )


def suspend_or_refuse(coroutine: Coroutine[Any, Any, T]) -> T:
    """
    Return the result of *coroutine*, which sync code got by calling an `async def`.

    Raises:
        NotAwaitedError: Called outside the bridge, where nothing can run the coroutine.
            It is closed.

    Switches to the event loop.
    """
    if in_bridge():
        return await_(coroutine)
    coroutine.close()
    raise NotAwaitedError(
        f"{describe(coroutine)} is async and was reached from sync code without an "
        f"event loop to run it. Call it from an async function, or make it a plain "
        f"function."
    )


def dual(
    fn: Callable[..., Any],
    in_sync: Callable[..., Any] | None = None,
    in_async: Callable[..., Coroutine[Any, Any, Any]] | None = None,
    *,
    name: str | None = None,
    is_sync: Callable[..., bool] | None = None,
    call: type[Call] = Call,
) -> Callable[..., Any]:
    """
    Return a dual-mode version of *fn*. In async mode it returns a `Call`, which runs
    *fn* in the bridge when it is awaited.

    If *fn* is `async def` (a user's own `save()`), sync code that calls it in the
    bridge waits for it.

    Args:
        fn: The function.
        in_sync: The function that runs in sync mode; *fn* if None.
        in_async: Creates the coroutine in async mode; if None, it is `run(fn, ...)`.
        name: The name in messages; None derives it from *fn* and its first argument.
        is_sync: Decides from the arguments whether a call is in sync mode, in place of
            `runs_sync()`.
        call: The class of what a call returns in async mode.
    """
    is_async = _is_async(fn)
    plain = in_sync or (_waiting_for(fn) if is_async else fn)
    work = in_async or (fn if is_async else functools.partial(_run, fn))

    def begin(frame: FrameType, args: Any, kwargs: Any) -> Call:
        __traceback_hide__ = True
        called = name or _name(fn, args)
        # Before there is a coroutine, which Python would warn of.
        bridge.dropped.refuse_lost(method, called, frame)
        return call(work(*args, **kwargs), called)

    # Two functions, because sync calls are too frequent for a test of `is_sync`.
    if is_sync is None:

        def method(*args: Any, **kwargs: Any) -> Any:
            # Reports of errors would show the arguments; one may be a password.
            __traceback_hide__ = True
            if runs_sync():
                return plain(*args, **kwargs)
            return begin(sys._getframe(1), args, kwargs)

    else:

        def method(*args: Any, **kwargs: Any) -> Any:
            __traceback_hide__ = True
            if is_sync(*args, **kwargs):
                return plain(*args, **kwargs)
            return begin(sys._getframe(1), args, kwargs)

    # As `wraps()`, which takes almost twice as long, for more than a hundred methods.
    return DUAL.put_on(functools.update_wrapper(method, fn))


def _is_async(fn: Callable[..., Any]) -> bool:
    """As `iscoroutinefunction()`, which takes a microsecond for a plain function."""
    if type(fn) is FunctionType and not vars(fn):
        return bool(fn.__code__.co_flags & CO_COROUTINE)
    return iscoroutinefunction(fn)


def dual_if_async(fn: Callable[..., Any]) -> Callable[..., Any]:
    """
    Return *fn* as `dual()` does if it is `async def`, and unchanged otherwise: for
    methods and callbacks that Django calls and users may write as `async def`. Never
    switches.
    """
    return dual(fn) if _is_async(fn) else fn


def is_dual(value: Any) -> bool:
    """
    Whether *value* is a dual-mode function, or a decorator made it from one. Never
    switches.
    """
    return DUAL.is_on(value)


def _waiting_for(fn: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def wait(*args: Any, **kwargs: Any) -> Any:
        __traceback_hide__ = True
        return suspend_or_refuse(fn(*args, **kwargs))

    return wait


async def _run(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    __traceback_hide__ = True
    result = await run(fn, *args, **kwargs)
    # A wrapper around an async method does not look like one.
    return await result if isinstance(result, Coroutine) else result


def _name(fn: Callable[..., Any], args: tuple[Any, ...]) -> str:
    """The name of a call: `Album.save` for a method, `fetch` for a function."""
    if args and hasattr(type(args[0]), fn.__name__):
        return f"{type(args[0]).__name__}.{fn.__name__}"
    return fn.__qualname__
