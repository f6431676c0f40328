"""
Dual-mode functions: they run in sync mode, and give a `Call` in async mode.

`dual()` makes one; what decides by more than the mode makes its `Call` with `begin()`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from asgiref.sync import iscoroutinefunction

from vinyl.bridge.calls import Call
from vinyl.bridge.dropped import refuse_lost
from vinyl.bridge.greenlets import run, runs_sync, suspend_or_refuse

__all__ = ["begin", "dual", "dual_if_async", "is_dual"]


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
