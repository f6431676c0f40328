"""
The bridge: sync code that waits on the event loop instead of blocking it.

    run(fn)            calls fn in a new greenlet
      fn ... wait      suspend(awaitable) passes the awaitable to run() and switches
    run                awaits it, as any coroutine would, and switches back
      fn continues     with the result, or with the error raised in it
    run                returns what fn returned

Each `run()` has one greenlet, which is reused unless an error ended it. There are no
threads and no second event loop, and the task and the context variables stay the same,
so cancellation and timeouts work as in any coroutine.

This is the only module that imports greenlet.
"""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextvars import Context
from types import FrameType
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from greenlet import getcurrent, greenlet

from vinyl.bridge.cancellation import Shield, Waiter
from vinyl.exceptions import BridgeError

__all__ = [
    "Bridge",
    "active_shield",
    "await_",
    "current_bridge",
    "current_shield",
    "describe",
    "frame_waiting_in",
    "frames_around",
    "here",
    "in_bridge",
    "in_steps",
    "leave_run",
    "run",
    "suspend",
]

P = ParamSpec("P")
T = TypeVar("T")

_get_running_loop = asyncio._get_running_loop


class Holdings(Protocol):
    """The connections that a run holds, from its first use of each to its end."""

    def lend_to(self, awaitable: Awaitable[T]) -> Coroutine[Any, Any, T]:
        """Await *awaitable*, which may use the connections of the run meanwhile."""

    def close(self) -> None:
        """Release all connections. Never switches."""


class Bridge(Waiter, greenlet):
    """
    One run of sync code. The type distinguishes it from other greenlets (gevent,
    SQLAlchemy), whose code is not in the bridge.
    """

    # The task that runs this code; None before Python 3.12. With an eager task factory,
    # the first step of another task may run in this greenlet; it is not in the bridge.
    # Neither is the code of a forked process; see leave_run().
    task: asyncio.Task[Any] | None = None
    scope: Holdings | None = None
    # Whether the coroutine was closed early, so that nothing can be awaited any more.
    abandoned = False
    # What fn returned.
    result: Any = None


def _serve() -> None:
    """
    The main loop of a greenlet: executes one run after the other.

    An error ends the greenlet, which raises it unchanged in the parent. The loop has no
    variable for the greenlet or for a run, so nothing is kept alive between two runs.
    """
    __traceback_hide__ = True
    while True:
        fn, args, kwargs = _parent().switch(_DONE)
        current_bridge().result = fn(*args, **kwargs)
        del fn, args, kwargs


# The greenlet switches back with this value when a run has ended.
_DONE: Any = object()
# Maximum number of idle greenlets that a thread keeps for reuse.
MAX_IDLE = 100


class _Idle(threading.local):
    """
    The thread's idle greenlets. Creating a greenlet takes longer than a short run,
    because the system has to allocate a stack for Python's frames.
    """

    def __init__(self) -> None:
        self.bridges: list[Bridge] = []


_idle = _Idle()


async def run(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """
    Return `fn(*args, **kwargs)`, called so that it waits on the event loop for the
    database.

    *fn* is any sync code: a form's `is_valid`, a function of a library, or your own.
    It holds at most one connection per database alias, from its first use to the end.

    Args:
        fn: The function to call.
        args, kwargs: Its arguments.

    Raises: any error of *fn*.

    Switches to the event loop.
    """
    # Reports of errors would show the arguments; one may be a password.
    __traceback_hide__ = True
    idle = _idle.bridges
    around = getcurrent()
    if idle:
        bridge = idle.pop()
        bridge.parent = around
    else:
        bridge = Bridge(_serve, around)
        # Start it before the first run, because a greenlet keeps its first arguments.
        bridge.switch()
    # The same context object, not a copy: variables set inside stay set outside.
    bridge.gr_context = around.gr_context
    if (handled := sys.exception()) is not None:
        # A greenlet starts with no exception being handled; the caller may have one.
        fn = functools.partial(_call_while_handling, handled, fn)
    bridge.task = _current_task()
    awaitable: Any = None
    try:
        awaitable = bridge.switch(fn, args, kwargs)
        # Each switch returns something to await, until fn is done.
        while awaitable is not _DONE:
            if bridge.dead:
                # fn raised GreenletExit, which ends a greenlet without an error.
                return cast(T, awaitable)
            try:
                value = await awaitable
            except GeneratorExit:
                # This coroutine is being closed: let fn end without waiting.
                bridge.abandoned = True
                bridge.parent, bridge.task = getcurrent(), _current_task()
                bridge.throw(GeneratorExit)
                raise
            except BaseException as error:
                bridge.parent, bridge.task = getcurrent(), _current_task()
                awaitable = bridge.throw(error)
            else:
                # An eager task starts in the greenlet of the code that creates it, and
                # continues in that of the event loop.
                bridge.parent, bridge.task = getcurrent(), _current_task()
                awaitable = bridge.switch(value)
        return cast(T, bridge.result)
    finally:
        if bridge.scope is not None:
            bridge.scope.close()
        shield = None if bridge.abandoned else bridge.shield
        if awaitable is _DONE and len(idle) < MAX_IDLE:
            vars(bridge).clear()
            bridge.gr_context = None
            idle.append(bridge)
        if shield is not None and shield.postponed is not None:
            raise shield.postponed


def _call_while_handling(
    handled: BaseException, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
) -> Any:
    """Call *fn* so that `sys.exc_info()` in it shows *handled*."""
    __traceback_hide__ = True
    traceback = handled.__traceback__
    try:
        raise handled
    except BaseException:
        # Raising has added this frame to the caller's traceback.
        handled.__traceback__ = traceback
        return fn(*args, **kwargs)


def in_bridge() -> bool:
    """Whether the calling code runs inside `run()`. Never switches."""
    bridge = getcurrent()
    return type(bridge) is Bridge and bridge.task is _current_task()


if sys.version_info >= (3, 12):

    def _current_task() -> asyncio.Task[Any] | None:
        """The running task, None without one."""
        loop = _get_running_loop()
        return None if loop is None else asyncio.current_task(loop)

else:

    def _current_task() -> asyncio.Task[Any] | None:
        """None: before Python 3.12 there are no eager tasks to distinguish."""
        return None


# A task that never runs.
_NO_TASK: Any = object()


def leave_run() -> None:
    """
    In a forked process: turn the rest of the current run into plain sync code, since no
    event loop waits for it. Does nothing outside the bridge. Never switches.
    """
    if in_bridge():
        current_bridge().task = _NO_TASK


class _Here(threading.local):
    # The connections that an event loop has lent to this thread, for a call that it
    # waits for (vinyl.orm.scopes.lending.Loan).
    waiter: Any = None


here = _Here()


def _waiter() -> Waiter | None:
    """The run or the call in a thread that the calling code is part of, or None."""
    return current_bridge() if in_bridge() else here.waiter


def current_bridge() -> Bridge:
    """Return the run that the calling code is part of. Never switches."""
    return cast(Bridge, getcurrent())


def _parent() -> greenlet:
    """The greenlet that the current run switches to when it waits."""
    # A greenlet has a parent until it has ended.
    return cast(greenlet, getcurrent().parent)


def frames_around() -> Iterator[FrameType]:
    """
    Yield the frames of the code that awaits this run, innermost first. Never switches.
    """
    frame = _parent().gr_frame
    while frame is not None:
        yield frame
        frame = frame.f_back


def frame_waiting_in(frame: FrameType) -> FrameType | None:
    """
    Return the innermost frame of the sync code of a run that is waiting, if *frame* is
    the frame of its `run()`; otherwise None. That frame is not part of the stack while
    the run waits. Never switches.
    """
    if frame.f_code is not run.__code__:
        return None
    # The running greenlet has no gr_frame: its frames are on the stack.
    return cast(greenlet, frame.f_locals["bridge"]).gr_frame


def suspend(awaitable: Awaitable[T]) -> T:
    """
    Wait for *awaitable* and return its result. It cannot use this run's connections.

    For drivers and for vinyl itself. Other code calls `await_()`, which lets the
    awaited code use the connections.

    Raises:
        BridgeError: Called outside the bridge, or the run's coroutine was closed.

    Switches to the event loop.
    """
    bridge = getcurrent()
    if type(bridge) is not Bridge or bridge.task is not _current_task():
        _close(awaitable)
        raise BridgeError(
            f"await_() was given {describe(awaitable)} outside the bridge, where no "
            f"event loop can wait for it. Run the calling code with `await "
            f"vinyl.orm.run(fn)`, or use `await` itself in an async function."
        )
    if bridge.abandoned:
        _close(awaitable)
        raise BridgeError(
            f"{describe(awaitable)} cannot be awaited: the coroutine that runs this "
            f"code was closed before its end."
        )
    _raise_postponed(bridge, awaitable)
    parent = _parent()
    context = bridge.gr_context
    if context is not parent.gr_context and context is not None:
        # This code runs in a separate context, as in `copy_context().run(...)`.
        awaitable = _in_context(awaitable, context)
    handled = sys.exception()
    if handled is None:
        return parent.switch(awaitable)
    try:
        return parent.switch(awaitable)
    except BaseException as error:
        _note_context(error, handled)
        raise


def _note_context(error: BaseException, handled: BaseException) -> None:
    """
    Chain *error* to the exception that this code is *handled* in, as Python does where
    an error is raised: it was raised in the greenlet of the event loop.
    """
    own, others = _chain(error), _chain(handled)
    if not any(one is other for one in own for other in others):
        own[-1].__context__ = handled


def _chain(error: BaseException) -> list[BaseException]:
    """*error*, and the exceptions in whose handlers it was raised, innermost first."""
    found = [error]
    while (around := found[-1].__context__) is not None:
        if any(around is one for one in found):
            # Only code that sets the attribute itself makes such a ring.
            break
        found.append(around)
    return found


async def _in_context(awaitable: Awaitable[T], context: Context) -> T:
    """
    Await *awaitable* with *context* as the current one.

    `context.run()` cannot be used, because the waiting code has already entered the
    context. So it is set for each step and reset before the task is suspended.
    """

    def in_context(step: Callable[[], Any]) -> Any:
        here = getcurrent()
        outer, here.gr_context = here.gr_context, context
        try:
            return step()
        finally:
            here.gr_context = outer

    return await in_steps(_awaiting(awaitable), in_context)


@types.coroutine
def in_steps(
    coroutine: Coroutine[Any, Any, T], take: Callable[[Callable[[], Any]], Any]
) -> Generator[Any, Any, T]:
    """
    Await *coroutine*, each step of it called by *take*. Other tasks run between two
    steps and never within one.

    Args:
        take: Called with each step; calls it, and returns what it returns.

    Raises: what *coroutine* raises.

    Switches to the event loop.
    """
    step: Callable[[], Any] = functools.partial(coroutine.send, None)
    while True:
        try:
            waiting_for = take(step)
        except StopIteration as stop:
            return cast(T, stop.value)
        try:
            value = yield waiting_for
        except BaseException as error:
            step = functools.partial(coroutine.throw, error)
        else:
            step = functools.partial(coroutine.send, value)


async def _awaiting(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _raise_postponed(bridge: Bridge, awaitable: Awaitable[Any]) -> None:
    """Raise a cancellation that the shield postponed, if it is down again."""
    if (shield := bridge.shield) is not None:
        if (cancelled := shield.take_postponed()) is not None:
            _close(awaitable)
            raise cancelled


def current_shield() -> Shield:
    """
    Return the shield of the calling code: of its run, or of its call in a thread.

    If no event loop waits for the code, it cannot be cancelled, and the shield has no
    effect. Never switches.
    """
    waiter = _waiter()
    if waiter is None:
        return Shield()
    if waiter.shield is None:
        waiter.shield = Shield()
    return waiter.shield


def active_shield() -> Shield | None:
    """Return the shield of the calling code if it is up, or None. Never switches."""
    waiter = _waiter()
    if waiter is None or waiter.shield is None or not waiter.shield.is_up():
        return None
    return waiter.shield


def await_(awaitable: Awaitable[T]) -> T:
    """
    Inside the bridge, wait for *awaitable* and return its result.

    The awaited code uses the connections of this run, in the same transaction, and the
    context variables of the calling code.

    Args:
        awaitable: A coroutine, a task, or any other awaitable.

    Raises:
        BridgeError: Called outside the bridge. A coroutine is closed.
        CancelledError: The task was cancelled while it waited.

    Switches to the event loop.
    """
    if in_bridge() and (bridge := current_bridge()).scope is not None:
        _raise_postponed(bridge, awaitable)
        awaitable = bridge.scope.lend_to(awaitable)
    return suspend(awaitable)


def _close(awaitable: Any) -> None:
    """Close a refused coroutine, so that Python does not warn "never awaited" too."""
    if isinstance(awaitable, Coroutine):
        awaitable.close()


def describe(awaitable: Any) -> str:
    """Return the name of *awaitable* for messages. Never switches."""
    name = getattr(awaitable, "__qualname__", None)
    return f"coroutine '{name}'" if name else f"{awaitable!r}"
