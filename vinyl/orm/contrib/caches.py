"""
Which cache object a task uses.

Django gives each context one of its own, so each request would open a connection to
Redis or memcached anew. On an event loop tasks share one instead, if its client allows
that.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from django.core.cache.backends.db import BaseDatabaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.memcached import PyMemcacheCache
from django.core.cache.backends.redis import RedisCache

from vinyl.bridge.patching import Row, native

__all__ = ["TABLE"]

# Without state, or with a client that several threads may use at once.
SHAREABLE = (
    BaseDatabaseCache,
    DummyCache,
    FileBasedCache,
    LocMemCache,
    PyMemcacheCache,
    RedisCache,
)

# By event loop and the handler's storage, which a change of CACHES replaces.
_caches: WeakKeyDictionary[Any, WeakKeyDictionary[Any, dict[str, Any]]]
_caches = WeakKeyDictionary()


def patch_getitem(getitem: Callable[..., Any]) -> Callable[..., Any]:
    """The change for `caches[alias]`: on an event loop, the one of the loop."""

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
        if isinstance(cache, SHAREABLE):
            known[alias] = cache
        return cache

    return __getitem__


TABLE = (
    Row("django.core.cache.backends.base", "sync_to_async", native),
    Row("django.core.cache:CacheHandler", "__getitem__", patch_getitem),
)
