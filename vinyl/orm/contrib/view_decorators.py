"""
Django's decorators for views that wait for a cache or the database: around an async
view, they do so in the bridge.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from asgiref.sync import iscoroutinefunction

from vinyl.bridge.greenlets import await_, run
from vinyl.bridge.mode import dual_if_async

__all__ = ["patch_cache_page", "patch_condition"]

F = TypeVar("F", bound=Callable[..., Any])


def run_in_bridge(decorator: Callable[..., Any]) -> Callable[..., Any]:
    """
    Return *decorator* so that its own code, which would block the event loop around an
    async view, runs inside the bridge and awaits the view from there.
    """

    @functools.wraps(decorator)
    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        if not iscoroutinefunction(view):
            return decorator(view)

        @functools.wraps(view, assigned=functools.WRAPPER_ASSIGNMENTS, updated=())
        def waiting(*args: Any, **kwargs: Any) -> Any:
            return await_(view(*args, **kwargs))

        decorated = decorator(waiting)

        @functools.wraps(view)
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            return await run(decorated, *args, **kwargs)

        return wrapper

    return decorate


def patch_cache_page(cache_page: F) -> F:
    """`cache_page()`, whose cache an async view waits for without blocking the loop."""

    @functools.wraps(cache_page)
    def patched(*args: Any, **kwargs: Any) -> Callable[..., Any]:
        return run_in_bridge(cache_page(*args, **kwargs))

    return cast(F, patched)


def patch_condition(condition: F) -> F:
    """
    `condition()`, which `etag()` and `last_modified()` call: its functions may use the
    database or be async, whatever the view is.
    """

    @functools.wraps(condition)
    def patched(
        etag_func: Callable[..., Any] | None = None,
        last_modified_func: Callable[..., Any] | None = None,
    ) -> Callable[..., Any]:
        functions = (etag_func, last_modified_func)
        return run_in_bridge(condition(*(fn and dual_if_async(fn) for fn in functions)))

    return cast(F, patched)
