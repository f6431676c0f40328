"""
Django's decorators for views, for async and plain views: on functions and, with
`method_decorator`, on classes and methods.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from asgiref.sync import iscoroutinefunction
from django.utils.decorators import method_decorator
from django.views.decorators import cache, gzip, http
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.clickjacking import (
    xframe_options_deny,
    xframe_options_exempt,
    xframe_options_sameorigin,
)
from django.views.decorators.common import no_append_slash
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import etag, last_modified, require_http_methods
from django.views.decorators.vary import vary_on_cookie, vary_on_headers

from vinyl.bridge.greenlets import await_, run
from vinyl.bridge.mode import dual_if_async
from vinyl.bridge.patching import Patch

__all__ = [
    "TABLE",
    "cache_control",
    "cache_page",
    "condition",
    "conditional_page",
    "csrf_exempt",
    "etag",
    "gzip_page",
    "last_modified",
    "method_decorator",
    "never_cache",
    "no_append_slash",
    "require_GET",
    "require_POST",
    "require_http_methods",
    "require_safe",
    "sensitive_post_parameters",
    "sensitive_variables",
    "vary_on_cookie",
    "vary_on_headers",
    "xframe_options_deny",
    "xframe_options_exempt",
    "xframe_options_sameorigin",
]

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


class Decorator(Protocol):
    """A decorator, for which pyright finds no types in django-stubs."""

    def __call__(self, view: F, /) -> F: ...


cache_page = patch_cache_page(cache.cache_page)
condition = patch_condition(http.condition)
conditional_page: Decorator = http.conditional_page
gzip_page: Decorator = gzip.gzip_page
require_GET: Decorator = http.require_GET
require_POST: Decorator = http.require_POST
require_safe: Decorator = http.require_safe

TABLE = (
    Patch("django.views.decorators.cache", "cache_page", patch_cache_page),
    Patch("django.views.decorators.http", "condition", patch_condition),
)
