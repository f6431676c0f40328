"""
Worker threads for code that blocks or computes for a long time.

In the thread the ORM is in sync mode and uses a separate connection, which is closed at
the end of each call.
"""

from __future__ import annotations

import functools
import inspect
import threading
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import ExitStack
from contextvars import ContextVar, Token, copy_context
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload
from weakref import WeakKeyDictionary

from asgiref.sync import _restore_context, iscoroutinefunction
from django.db import connections, transaction

from vinyl.bridge.calls import Call
from vinyl.bridge.greenlets import await_, in_bridge
from vinyl.bridge.marks import Mark
from vinyl.bridge.mode import dual
from vinyl.conf import vinyl_settings

if TYPE_CHECKING:
    from anyio import CapacityLimiter

__all__ = [
    "atomic_in_thread",
    "can_wait",
    "dual_coroutine",
    "in_thread",
    "is_atomic_in_thread",
    "run_in_worker",
    "runs_in_thread",
    "wait",
]

P = ParamSpec("P")
T = TypeVar("T")

# Of each event loop: how many threads each kind of work may have at a time.
_limiters: WeakKeyDictionary[AbstractEventLoop, dict[object, CapacityLimiter]]
_limiters = WeakKeyDictionary()

# The databases on which the thread of the running code is to open a transaction.
_atomic: ContextVar[tuple[str, ...]] = ContextVar("vinyl_atomic", default=())


# The mark on functions decorated with in_thread().
_IN_THREAD = Mark("runs_in_thread")


class _Here(threading.local):
    # Whether this thread works for a task of an event loop, which waits for it.
    works = False


_here = _Here()


@overload
def in_thread(fn: Callable[P, Any], /) -> Callable[P, Any]: ...


@overload
def in_thread(*, limit: int) -> Callable[[Callable[P, Any]], Callable[P, Any]]: ...


def in_thread(
    fn: Callable[..., Any] | None = None, /, *, limit: int | None = None
) -> Any:
    """
    Decorator that runs a plain function or view in a worker thread when it is called on
    an event loop, for code that blocks or computes for a long time:

        @in_thread
        def report(request): ...

    In a coroutine, await the call. Inside the bridge, where plain views run, the call
    returns the value. Without an event loop, *fn* runs in the calling thread.

    In the thread the ORM is in sync mode. It uses a separate connection, which is
    closed at the end of the call, so it is outside the caller's transaction and does
    not see uncommitted changes. Context variables are copied. A thread cannot be
    stopped, so a cancelled task waits for it to finish.

    A middleware class of Django's kind can be decorated, too, for
    `vinyl.orm.asgi`: its methods run in the thread of the request.

    Args:
        fn: The function or class, if the decorator is used without parentheses.
        limit: Maximum number of calls of *fn* that run at the same time; further calls
            wait. If None, all functions share the threads of
            `settings.VINYL["THREADS"]`, 10 for each event loop.

    Raises:
        TypeError: *fn* is `async def` or a generator function.
        ValueError: *limit* is not a positive integer.

    Never switches; calls of the decorated function switch to the event loop.
    """
    if fn is None:
        if type(limit) is not int or limit < 1:
            raise ValueError(
                f"in_thread()'s limit must be a positive integer (got {limit!r}). "
                f"Omit it to share the threads of VINYL['THREADS']."
            )
        return functools.partial(_in_thread, limit=limit)
    return _in_thread(fn, None)


def _in_thread(fn: Callable[..., Any], limit: int | None) -> Callable[..., Any]:
    if isinstance(fn, type):
        return _IN_THREAD.put_on(fn)
    name = getattr(fn, "__qualname__", repr(fn))
    if iscoroutinefunction(fn) or inspect.isasyncgenfunction(fn):
        raise TypeError(
            f"in_thread() was given {name}, which is async and waits on the event "
            f"loop. Make it a plain function, or decorate the part of it that blocks."
        )
    if inspect.isgeneratorfunction(fn):
        raise TypeError(
            f"in_thread() was given {name}, a generator, which does its work where it "
            f"is read and not in the thread. Return a list of what it yields."
        )
    kind: object = "in_thread" if limit is None else object()

    def in_async(*args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        call = functools.partial(_atomically, fn, *args, **kwargs)
        return run_in_worker(call, kind, limit, name)

    def in_sync(*args: Any, **kwargs: Any) -> Any:
        return await_(in_async(*args, **kwargs)) if in_bridge() else fn(*args, **kwargs)

    return _IN_THREAD.put_on(dual(fn, in_sync, in_async, name=name))


def runs_in_thread(value: Any) -> bool:
    """
    Whether *value* was decorated with `in_thread`, directly or inside other decorators.
    Never switches.
    """
    return _IN_THREAD.is_on(value)


class atomic_in_thread:
    """
    Return a context manager: in its block, each call of an `in_thread` function runs in
    a separate transaction on the databases *aliases*. Never switches.
    """

    __slots__ = ("aliases", "token")

    def __init__(self, aliases: Iterable[str]) -> None:
        self.aliases = tuple(aliases)
        self.token: Token[tuple[str, ...]] | None = None

    def __enter__(self) -> None:
        if self.aliases != _atomic.get():
            self.token = _atomic.set(self.aliases)

    def __exit__(self, *exc_info: object) -> None:
        if self.token is not None:
            _atomic.reset(self.token)


def is_atomic_in_thread() -> bool:
    """Whether the calling code is in a block of `atomic_in_thread`. Never switches."""
    return bool(_atomic.get())


def _atomically(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    with ExitStack() as stack:
        for alias in _atomic.get():
            stack.enter_context(transaction.atomic(using=alias))
        return fn(*args, **kwargs)


def can_wait() -> bool:
    """
    Whether `wait()` works here: inside the bridge, and in a thread of `in_thread`.
    Never switches.
    """
    return in_bridge() or _here.works


def wait(awaitable: Awaitable[T]) -> T:
    """
    Wait for *awaitable* on the event loop, from inside the bridge or from a thread of
    `in_thread`.

    Raises:
        BridgeError: Called elsewhere. The awaitable is closed.

    Switches to the event loop.
    """
    if not _here.works:
        return await_(awaitable)

    # Imported with the first use: it takes as long as twenty of vinyl's modules.
    from anyio.from_thread import run as run_in_loop

    async def awaited() -> T:
        return await awaitable

    return run_in_loop(awaited)


def dual_coroutine(
    name: str, call: type[Call] = Call
) -> Callable[[Callable[..., Coroutine[Any, Any, Any]]], Callable[..., Any]]:
    """
    Return a decorator that makes an `async def` dual-mode: sync code that can `wait()`
    gets its result, and other code a `Call`.

    Args:
        name: The name in messages, such as `Request.json`.
        call: The class of what a call returns in async mode.

    Never switches.
    """

    def decorate(fn: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        def in_sync(*args: Any, **kwargs: Any) -> Any:
            return wait(fn(*args, **kwargs))

        def is_sync(*args: Any, **kwargs: Any) -> bool:
            return can_wait()

        return dual(fn, in_sync, name=name, is_sync=is_sync, call=call)

    return decorate


async def run_in_worker(
    call: Callable[[], T], kind: object, limit: int | None, name: str
) -> T:
    """Return the result of *call*, run in one of at most *limit* threads for *kind*."""
    # See wait().
    from anyio import CapacityLimiter
    from anyio.to_thread import run_sync

    limiters = _limiters.setdefault(get_running_loop(), {})
    limiter = limiters.get(kind)
    if limiter is None:
        limiter = limiters[kind] = CapacityLimiter(limit or vinyl_settings.THREADS)
    result = await run_sync(_and_disconnect, call, limiter=limiter)
    if isinstance(result, Coroutine):
        result.close()
        raise TypeError(
            f"{name} ran in a thread and returned {result!r}, which nothing has "
            f"awaited. Only plain functions can run in a thread."
        )
    return result


def _and_disconnect(call: Callable[[], T]) -> T:
    _here.works = True
    try:
        # The context is here; asgiref's Locals (the language, the time zone) are to be
        # told that they may be read in this thread.
        _restore_context(copy_context())
        return call()
    finally:
        _here.works = False
        # The thread may idle or end now, and its connections with it.
        connections.close_all()
