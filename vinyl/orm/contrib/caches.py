"""
One cache object for all tasks of an event loop.

Django makes a cache object for each context, so that each request would connect to
Redis or memcached again. On an event loop tasks share one, if its client supports that.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from vinyl.bridge.patching import Patch, is_subclass_of, patch_sync_to_async

__all__ = ["TABLE"]

# Backends without state, or with a client that is safe to share between threads.
_BACKENDS = "django.core.cache.backends"
SHAREABLE = frozenset(
    {
        f"{_BACKENDS}.db:BaseDatabaseCache",
        f"{_BACKENDS}.dummy:DummyCache",
        f"{_BACKENDS}.filebased:FileBasedCache",
        f"{_BACKENDS}.locmem:LocMemCache",
        f"{_BACKENDS}.memcached:PyMemcacheCache",
        f"{_BACKENDS}.redis:RedisCache",
    }
)

# By event loop and by the handler's storage, which changing CACHES replaces.
_caches: WeakKeyDictionary[Any, WeakKeyDictionary[Any, dict[str, Any]]]
_caches = WeakKeyDictionary()


def patch_getitem(getitem: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `caches[alias]` to return the event loop's cache object."""

    @functools.wraps(getitem)
    def __getitem__(self: Any, alias: str) -> Any:
        loop = asyncio._get_running_loop()
        if loop is None:
            return getitem(self, alias)
        of_loop = _caches.setdefault(loop, WeakKeyDictionary())
        known = of_loop.setdefault(self._connections, {})
        if alias in known:
            return known[alias]
        cache = getitem(self, alias)
        if is_subclass_of(type(cache), SHAREABLE):
            known[alias] = cache
        return cache

    return __getitem__


TABLE = (
    Patch("django.core.cache.backends.base", "sync_to_async", patch_sync_to_async),
    Patch("django.core.cache:CacheHandler", "__getitem__", patch_getitem),
)
