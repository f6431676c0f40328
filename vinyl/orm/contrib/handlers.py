"""
Django's ASGI handler, with its sync code in the bridge: sync middleware, sync views,
the rendering and closing of responses run on the event loop instead of in threads.

Django passes each of them to `sync_to_async()`, which the modules of the handler import
by name. Here, the object that it returns decides with each call where it runs: in the
bridge if a bridged handler serves the request, and in Django's thread otherwise.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from asgiref.sync import SyncToAsync, iscoroutinefunction, sync_to_async
from django.db import close_old_connections

from vinyl.bridge.blocking import call_reporting, not_counted, run_reporting
from vinyl.bridge.greenlets import await_, current_shield, in_bridge
from vinyl.bridge.threads import runs_in_thread
from vinyl.conf import vinyl_settings
from vinyl.orm.contrib.task_locals import begin_request, end_request

__all__ = [
    "patch_adapt_method_mode",
    "patch_errors_sync_to_async",
    "patch_get_response_async",
    "patch_handle",
    "patch_handlers_sync_to_async",
]

# Whether the running code serves a request of a bridged handler.
_is_bridged: ContextVar[bool] = ContextVar("vinyl_is_bridged", default=False)


class BridgedSyncToAsync(SyncToAsync[..., Any]):
    """
    A sync callable of Django's handler, to be awaited. It runs in the bridge if the
    handler is bridged and the callable is not marked with `in_thread`.
    """

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        __traceback_hide__ = True
        if not _is_bridged.get() or _stays_in_thread(self.func):
            return await super().__call__(*args, **kwargs)
        name = functools.partial(_name, self.func)
        return await run_reporting(name, _undisturbed, self.func, *args, **kwargs)


def _undisturbed(fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """
    Call *fn*, and complete its queries even if the client leaves, as a thread would.
    The cancellation is raised after *fn* has returned.
    """
    __traceback_hide__ = True
    with current_shield().undoing():
        return fn(*args, **kwargs)


def _name(fn: Callable[..., Any]) -> str:
    """The name of a view, or of a method of a middleware, with its module."""
    fn = inspect.unwrap(_part_itself(fn))
    fn = getattr(fn, "view_class", fn)
    owner = getattr(fn, "__self__", None)
    if owner is not None:
        return f"{type(owner).__module__}.{type(owner).__qualname__}.{fn.__name__}"
    named = fn if hasattr(fn, "__qualname__") else type(fn)
    return f"{named.__module__}.{named.__qualname__}"


def _stays_in_thread(fn: Any) -> bool:
    """Whether *fn*, or the middleware class that it belongs to, has that mark."""
    fn = _part_itself(fn)
    if runs_in_thread(fn):
        return True
    owner = getattr(fn, "__self__", None)
    if owner is None:
        # Around a middleware, Django wraps a function that makes errors responses.
        return runs_in_thread(inspect.unwrap(fn))
    # A handler calls the process_exception() of all middleware in one thread.
    hooks = getattr(owner, "_exception_middleware", None) or ()
    return runs_in_thread(owner) or any(map(_stays_in_thread, hooks))


class Part:
    """
    A sync middleware, or a hook of one, that other sync code of a handler calls. In the
    bridge it is reported by its own name if it blocks, and runs in the thread of the
    request if it is marked with `in_thread`.
    """

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.fn = fn
        functools.update_wrapper(self, fn)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        __traceback_hide__ = True
        if not (_is_bridged.get() and in_bridge()):
            return self.fn(*args, **kwargs)
        if _stays_in_thread(self.fn):
            return await_(sync_to_async(self.fn)(*args, **kwargs))
        name = functools.partial(_name, self.fn)
        return call_reporting(name, self.fn, *args, **kwargs)


def _part_itself(fn: Any) -> Any:
    while isinstance(fn, Part):
        fn = fn.fn
    return fn


def patch_adapt_method_mode(adapt: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch `adapt_method_mode`, which makes middleware fit into the one around it. Where
    both are sync, Django has nothing to adapt: they run as one.
    """

    @functools.wraps(adapt)
    def adapted(
        self: Any,
        is_async: bool,
        method: Any,
        method_is_async: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        if is_async or not _is_bridged_by(self):
            return adapt(self, is_async, method, method_is_async, **kwargs)
        if method_is_async is None:
            method_is_async = iscoroutinefunction(method)
        if method_is_async:
            # What async code does is not the doing of the middleware around it.
            method = _on_its_own(method)
        found = adapt(self, is_async, method, method_is_async, **kwargs)
        return found if method_is_async else Part(found)

    return adapted


def _on_its_own(fn: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(fn)
    async def call(*args: Any, **kwargs: Any) -> Any:
        return await not_counted(fn(*args, **kwargs))

    return call


def patch_handlers_sync_to_async(original: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch `sync_to_async` in modules of Django's handler. What may run in any thread
    (`thread_sensitive=False`), such as logging, still does.
    """

    def sync_to_async(fn: Callable[..., Any], *, thread_sensitive: bool = True) -> Any:
        if not thread_sensitive:
            return original(fn, thread_sensitive=False)
        return BridgedSyncToAsync(fn)

    return sync_to_async


def patch_errors_sync_to_async(original: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch `sync_to_async` where Django makes responses of errors. The views for that,
    such as `handler404`, may run in any thread, and render pages that use the database.
    """

    def sync_to_async(fn: Callable[..., Any], *, thread_sensitive: bool = True) -> Any:
        @functools.wraps(fn)
        async def call(*args: Any, **kwargs: Any) -> Any:
            bridged = BridgedSyncToAsync(fn, thread_sensitive=thread_sensitive)
            return await bridged(*args, **kwargs)

        return call

    return sync_to_async


def _is_bridged_by(handler: Any) -> bool:
    is_bridged = getattr(handler, "is_bridged", None)
    if is_bridged is None:
        return vinyl_settings.DJANGO_HANDLER == "bridge"
    return bool(is_bridged)


def patch_handle(
    handle: Callable[..., Coroutine[Any, Any, None]],
) -> Callable[..., Coroutine[Any, Any, None]]:
    """Patch `ASGIHandler.handle`, which serves one request."""

    @functools.wraps(handle)
    async def bridged(self: Any, scope: Any, *args: Any) -> None:
        # Mounted in vinyl.web, it serves a part of a request.
        request = None if "vinyl.is_mounted" in scope else begin_request()
        is_bridged = _is_bridged_by(self)
        token = _is_bridged.set(is_bridged)
        try:
            await handle(self, scope, *args)
        except GeneratorExit:
            # Nothing can be awaited any more.
            raise
        except BaseException:
            if is_bridged:
                await _close_connections_of_thread()
            raise
        else:
            if is_bridged:
                await _close_connections_of_thread()
        finally:
            if request is not None:
                end_request(request)
            with suppress(ValueError):
                # The garbage collector may close this in another context.
                _is_bridged.reset(token)

    return bridged


async def _close_connections_of_thread() -> None:
    """
    Do in the thread of the request, if it has one, what Django does in it at the end of
    the request: the response was closed in the bridge.
    """
    context = SyncToAsync.thread_sensitive_context.get(None)
    if context is not None and context in SyncToAsync.context_to_thread_executor:
        await sync_to_async(close_old_connections)()


def patch_get_response_async(
    get_response_async: Callable[..., Coroutine[Any, Any, Any]],
) -> Callable[..., Coroutine[Any, Any, Any]]:
    """Patch `get_response_async`, by which Django's test client serves a request."""

    @functools.wraps(get_response_async)
    async def bridged(self: Any, request: Any) -> Any:
        if _is_bridged.get() or not _is_bridged_by(self):
            return await get_response_async(self, request)
        values = begin_request()
        token = _is_bridged.set(True)
        try:
            return await get_response_async(self, request)
        finally:
            end_request(values)
            with suppress(ValueError):
                _is_bridged.reset(token)

    return bridged
