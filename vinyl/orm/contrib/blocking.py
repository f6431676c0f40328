"""
Django's caches, file storages and e-mail backends: called inside the bridge, a backend
that blocks runs in a worker thread, so that the event loop goes on.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from django.apps import apps

from vinyl import bridge
from vinyl.bridge.greenlets import await_, in_bridge
from vinyl.bridge.mode import dual
from vinyl.bridge.patching import Patch, is_subclass_of, name_of_class

__all__ = ["TABLE", "patch_blocking"]

# Base classes, which do not decide whether a backend blocks.
_CACHE = "django.core.cache.backends.base:BaseCache"
_EMAIL = "django.core.mail.backends.base:BaseEmailBackend"
_STORAGE = "django.core.files.storage.base:Storage"
_ABSTRACT = frozenset({_CACHE, _EMAIL, _STORAGE})

# Backends that use memory, or the database natively.
_NOT_BLOCKING = frozenset(
    {
        "django.core.cache.backends.db:BaseDatabaseCache",
        "django.core.cache.backends.dummy:DummyCache",
        "django.core.cache.backends.locmem:LocMemCache",
        "django.core.files.storage.memory:InMemoryStorage",
        "django.core.mail.backends.dummy:EmailBackend",
        "django.core.mail.backends.locmem:EmailBackend",
    }
)


def patch_blocking(fn: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch a function that always keeps the processor or the disk busy for long, such as
    a hash of a password: called inside the bridge, it runs in a worker thread.
    """

    @functools.wraps(fn)
    def method(*args: Any, **kwargs: Any) -> Any:
        __traceback_hide__ = True
        if in_bridge():
            return bridge.threads.in_thread(fn)(*args, **kwargs)
        return fn(*args, **kwargs)

    return method


def patch_backend(fn: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch a method of Django's caches, file storages and e-mail backends: called inside
    the bridge, one that blocks runs in a worker thread, and an async one is awaited.
    """
    if inspect.iscoroutinefunction(fn):
        return dual(fn)
    name = fn.__qualname__

    @functools.wraps(fn)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        cls: Any = type(self)
        if not in_bridge() or not _blocks(cls):
            return fn(self, *args, **kwargs)
        call = functools.partial(fn, self, *args, **kwargs)
        return await_(bridge.threads.run_in_worker(call, cls, None, name))

    return method


@functools.cache
def _blocks(backend: Any) -> bool:
    """
    Whether *backend*, a class for caching, files or e-mail, waits for the network or
    the disk.

    A backend whose classes all come from apps with models stores its data in the
    database (a queue of mail), so it must take part in the caller's transaction. Any
    other backend that does so sets `vinyl_in_bridge = True`.
    """
    if is_subclass_of(backend, _NOT_BLOCKING):
        return False
    if getattr(backend, "vinyl_in_bridge", False):
        return False
    return any(
        is_subclass_of(cls, _ABSTRACT)
        and name_of_class(cls) not in _ABSTRACT
        and not _has_models(cls)
        for cls in backend.__mro__
    )


def _has_models(cls: type) -> bool:
    app = apps.get_containing_app_config(cls.__module__)
    return app is not None and next(app.get_models(), None) is not None


TABLE = (
    Patch(
        _CACHE,
        "add clear close decr delete delete_many get get_many has_key incr set "
        "set_many touch",
        patch_backend,
        inherited=True,
    ),
    Patch(
        _STORAGE,
        "delete exists get_accessed_time get_created_time get_modified_time listdir "
        "open save size",
        patch_backend,
        inherited=True,
    ),
    Patch(
        _EMAIL,
        "close open send_messages",
        patch_backend,
        inherited=True,
    ),
)
