"""
Which mode a call is in, and dual-mode functions: they run in sync mode, and return a
`Call` in async mode.

`dual()` makes one; what decides by more than the mode makes its `Call` with `begin()`.
"""

from __future__ import annotations

import asyncio
import functools
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction

from vinyl.bridge.calls import Call
from vinyl.bridge.dropped import refuse_lost
from vinyl.bridge.greenlets import await_, describe, in_bridge, run
from vinyl.exceptions import NotAwaitedError

__all__ = [
    "begin",
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

_get_running_loop = asyncio._get_running_loop


def runs_sync() -> bool:
    """
    Whether a dual-mode call made here runs as plain sync code.

    In this order: inside the bridge it does; `settings.VINYL["IS_ASYNC"]` may force a
    mode; otherwise it does unless this thread has a running event loop.
    Never switches.
    """
    if forced_mode is None:
        return _get_running_loop() is None or in_bridge()
    return not forced_mode or in_bridge()


def refuse_to_block(what: str) -> None:
    """
    Raise `NotAwaitedError` where a wait would block an event loop. Never switches.

    Args:
        what: What is about to wait, as the message begins.
    """
    if not runs_sync() and not os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE"):
        raise NotAwaitedError(
            f"{what} was used on the event loop outside the bridge, where it would "
            f"block everything else. Await a call of the ORM, use `async with "
            f"connection.cursor()`, or `await vinyl.orm.run(function, ...)`."
        )


def suspend_or_refuse(coroutine: Coroutine[Any, Any, T]) -> T:
    """
    Wait for *coroutine*, made by an async function that sync code called.

    Raises:
        NotAwaitedError: No bridge: in sync mode nothing can run it. It is closed.

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
) -> Callable[..., Any]:
    """
    Return the dual-mode function for *fn*: called in async mode it returns a `Call`,
    which runs *fn* in the bridge when awaited.

    An `async def` (a user's own `save()`) is awaited where sync code calls it.

    Args:
        in_sync: What runs in sync mode; *fn* if None.
        in_async: What makes the coroutine in async mode, if not a run of *fn*.
        name: What users call it; found from *fn* and its first argument if None.
    """
    is_async = iscoroutinefunction(fn)
    plain = in_sync or (_waiting_for(fn) if is_async else fn)
    work = in_async or (fn if is_async else functools.partial(_run, fn))

    @functools.wraps(fn)
    def method(*args: Any, **kwargs: Any) -> Any:
        # Reports of errors would show the arguments; one may be a password.
        __traceback_hide__ = True
        if runs_sync():
            return plain(*args, **kwargs)
        return begin(method, name or _name(fn, args), work, *args, **kwargs)

    # Itself, since a decorator copies the mark to what it makes.
    method.is_dual = method  # type: ignore[attr-defined]
    return method


def begin(
    dual: Callable[..., Any],
    name: str,
    work: Callable[..., Coroutine[Any, Any, Any]],
    /,
    *args: Any,
    **kwargs: Any,
) -> Call:
    """
    Return the `Call` that a dual-mode function gives in async mode. To be called by
    that function itself: the caller of it is looked at.

    Args:
        dual: The dual-mode function.
        name: What the user called, such as `Album.save`.
        work: Makes the coroutine, from the further arguments.

    Raises:
        NotAwaitedError: The call would never be awaited. Nothing has been made then.

    Never switches.
    """
    __traceback_hide__ = True
    refuse_lost(dual, name, sys._getframe(2))
    return Call(work(*args, **kwargs), name)


def dual_if_async(fn: Callable[..., Any]) -> Callable[..., Any]:
    """The change for a hook that Django's code calls, and which may be `async def`."""
    return dual(fn) if iscoroutinefunction(fn) else fn


def is_dual(value: Any) -> bool:
    """Whether what *value* returns in async mode is to be awaited."""
    return hasattr(value, "is_dual")


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
    """What the user called: `Album.save` for a method, `fetch` for a function."""
    if args and hasattr(type(args[0]), fn.__name__):
        return f"{type(args[0]).__name__}.{fn.__name__}"
    return fn.__qualname__
