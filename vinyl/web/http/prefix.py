"""
The prefix under which visitors see the site: `/shop` where it is served below
`https://example.org/shop/`.

It is settled once for each request, outside all middleware: `FORCE_SCRIPT_NAME`, or
what the server says (`root_path`, uvicorn's `--root-path`). `reverse()`, `static()` and
`MEDIA_URL` take it from Django's script prefix, everything else from the scope.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import methodcaller
from typing import Any
from urllib.parse import quote

from django.conf import LazySettings, settings
from django.urls import get_script_prefix, set_script_prefix
from starlette.routing import get_route_path  # type: ignore[attr-defined]
from starlette.types import Scope

from vinyl.bridge.patching import Row

__all__ = [
    "TABLE",
    "below_prefix",
    "forced_prefix",
    "patch_settings",
    "path_info",
    "without_prefix",
]

# The settings that Django puts the prefix before, where they are relative.
URLS = ("MEDIA_URL", "STATIC_URL")


@contextmanager
def below_prefix(scope: Scope) -> Iterator[None]:
    """
    In the block, Django's script prefix is that of the request or WebSocket in *scope*,
    whose `root_path`, `path` and `raw_path` agree with it from then on: `path` begins
    with `root_path`, which is empty or begins with a slash and does not end with one.
    """
    given, forced = scope.get("root_path") or "", settings.FORCE_SCRIPT_NAME or ""
    prefix, forced_one = _normalized(given), _normalized(forced)
    # An application that is mounted in another one has more than the forced one.
    if forced_one and not f"{prefix}/".startswith(f"{forced_one}/"):
        prefix = forced_one
    # Where the server knows of no prefix, the proxy may have left it in the path.
    known = given or forced
    scope["root_path"] = prefix
    scope["path"] = prefix + _rest(scope["path"], known)
    if raw := scope.get("raw_path"):
        rest = _rest(raw.decode("latin-1"), quote(known))
        scope["raw_path"] = (quote(prefix) + rest).encode("latin-1")
    with script_prefix(f"{prefix}/"):
        yield


@contextmanager
def forced_prefix() -> Iterator[None]:
    """In the block, outside of requests, `FORCE_SCRIPT_NAME` is the script prefix."""
    if settings.FORCE_SCRIPT_NAME:
        with script_prefix(f"{_normalized(settings.FORCE_SCRIPT_NAME)}/"):
            yield
    else:
        yield


@contextmanager
def script_prefix(prefix: str) -> Iterator[None]:
    before = get_script_prefix()
    if prefix == before:
        yield
        return
    set_script_prefix(prefix)
    try:
        yield
    finally:
        # A test's client calls the application in the test's own context.
        set_script_prefix(before)


def path_info(scope: Scope) -> str:
    """The path in *scope* below the prefix; empty where it is the prefix itself."""
    return get_route_path(scope)


def without_prefix(path: str) -> str:
    """*path*, of a link to this site, as `path_info` will have it."""
    prefix = get_script_prefix()
    return f"/{path.removeprefix(prefix)}" if path.startswith(prefix) else path


def _normalized(prefix: str) -> str:
    stripped = prefix.strip("/")
    return f"/{stripped}" if stripped else ""


def _rest(path: str, prefix: str) -> str:
    """
    *path* below *prefix*: empty, or with a slash at the front.

    Some servers put `root_path`, as it is, before the path of the request, others
    leave the path alone.
    """
    for start in (prefix, prefix.rstrip("/")):
        rest = path.removeprefix(start)
        if path.startswith(start) and (not rest or rest.startswith("/")):
            return rest
    return path


# ----- What Django reads once, and which is another value for each prefix


class EachTime:
    """In place of a `cached_property`: not cached, but may be set on an instance."""

    def __init__(self, func: Callable[[Any], Any]) -> None:
        self.func = func

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else self.func(instance)


def patch_settings() -> None:
    """
    Look these settings up each time. Django's `__getattr__` keeps what it has found; it
    is not wrapped, since it looks at its caller before it warns of a deprecation.
    """
    for name in URLS:
        setattr(LazySettings, name, property(methodcaller("__getattr__", name)))


def base_url_each_time(cached: Any) -> Any:
    """The change for `base_url` of storages, `MEDIA_URL` unless it is given."""
    return EachTime(cached.func)


def remember_base_url(init: Callable[..., Any]) -> Callable[..., Any]:
    """The change for `StaticFilesStorage.__init__`, which reads `STATIC_URL`."""

    @functools.wraps(init)
    def __init__(
        self: Any, location: Any = None, base_url: Any = None, *args: Any, **kw: Any
    ) -> None:
        init(self, location, base_url, *args, **kw)
        self._is_at_static_url = base_url is None

    return __init__


def static_url_each_time(inherited: Any) -> Any:
    """The change for `StaticFilesStorage.base_url`."""

    def base_url(self: Any) -> Any:
        if not getattr(self, "_is_at_static_url", False):
            return inherited.func(self)
        url = settings.STATIC_URL
        return url if url.endswith("/") else f"{url}/"

    return EachTime(base_url)


def patterns_without_prefix(static: Callable[..., Any]) -> Callable[..., Any]:
    """
    The change for `static()` of urlpatterns: a relative `MEDIA_URL` has the prefix of
    the request that imports them, and patterns are for what follows it.
    """

    @functools.wraps(static)
    def changed(prefix: str, *args: Any, **kwargs: Any) -> Any:
        return static(prefix and without_prefix(prefix), *args, **kwargs)

    return changed


STORAGES = "django.core.files.storage"
STATIC = "django.contrib.staticfiles.storage:StaticFilesStorage"

TABLE = (
    Row(f"{STORAGES}.filesystem:FileSystemStorage", "base_url", base_url_each_time),
    Row(f"{STORAGES}.memory:InMemoryStorage", "base_url", base_url_each_time),
    Row("django.conf.urls.static", "static", patterns_without_prefix),
    Row(STATIC, "__init__", remember_base_url),
    Row(STATIC, "base_url", static_url_each_time),
)
