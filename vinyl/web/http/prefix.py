"""
The prefix under which visitors see the site: `/shop` where it is served below
`https://example.org/shop/`.

It is determined once for each request, outside all middleware: `FORCE_SCRIPT_NAME`, or
the server's `root_path` (`uvicorn --root-path`). `reverse()`, `static()` and
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

from vinyl.bridge.patching import Patch
from vinyl.conf import django_setting
from vinyl.web.http import local_value

__all__ = [
    "TABLE",
    "enter_prefix",
    "forced_prefix",
    "patch_settings",
    "path_info",
    "script_prefix",
    "without_prefix",
]

# Settings that Django puts below the prefix if they are relative.
URLS = ("MEDIA_URL", "STATIC_URL")


@contextmanager
def script_prefix(prefix: str) -> Iterator[None]:
    """Set Django's script prefix to *prefix* for a block. Never switches."""
    before = get_script_prefix()
    set_script_prefix(prefix)
    try:
        yield
    finally:
        set_script_prefix(before)


def enter_prefix(scope: Scope) -> str | None:
    """
    Set Django's script prefix to that of the request or WebSocket in *scope*. Return
    the script prefix to restore at its end; None if it has not changed.

    From this call on `root_path`, `path` and `raw_path` agree with the prefix: `path`
    begins with `root_path`, which is empty, or begins with a slash and does not end
    with one. Never switches.
    """
    given = scope.get("root_path") or ""
    forced = django_setting("FORCE_SCRIPT_NAME") or ""
    # Most sites have no prefix, and their paths are right as they are.
    prefix = _apply_prefix(scope, given, forced) if given or forced else ""
    scope["root_path"] = prefix
    before, inside = local_value.read_prefix(), f"{prefix}/"
    if inside == before:
        return None
    set_script_prefix(inside)
    return before


def _apply_prefix(scope: Scope, given: str, forced: str) -> str:
    """
    Return the prefix of *scope*, and put it in front of its paths.

    Args:
        given: The server's `root_path`.
        forced: The setting `FORCE_SCRIPT_NAME`, or "".
    """
    prefix, forced_one = _normalized(given), _normalized(forced)
    # The prefix of an application that is mounted in another one is longer.
    if forced_one and not f"{prefix}/".startswith(f"{forced_one}/"):
        prefix = forced_one
    # If the server does not know the prefix, the proxy may have left it in the path.
    known = given or forced
    scope["path"] = prefix + _rest(scope["path"], known)
    if raw := scope.get("raw_path"):
        rest = _rest(raw.decode("latin-1"), quote(known))
        scope["raw_path"] = (quote(prefix) + rest).encode("latin-1")
    return prefix


@contextmanager
def forced_prefix() -> Iterator[None]:
    """
    Set the script prefix to `FORCE_SCRIPT_NAME` for a block that is not part of a
    request. Never switches.
    """
    if settings.FORCE_SCRIPT_NAME:
        with script_prefix(f"{_normalized(settings.FORCE_SCRIPT_NAME)}/"):
            yield
    else:
        yield


def path_info(scope: Scope) -> str:
    """
    Return the path in *scope* below the prefix; empty for the prefix itself. Never
    switches.
    """
    return get_route_path(scope)


def without_prefix(path: str) -> str:
    """
    Return the path of a link to this site as `path_info` has it. Never switches.
    """
    prefix = get_script_prefix()
    return f"/{path.removeprefix(prefix)}" if path.startswith(prefix) else path


def _normalized(prefix: str) -> str:
    stripped = prefix.strip("/")
    return f"/{stripped}" if stripped else ""


def _rest(path: str, prefix: str) -> str:
    """
    *path* below *prefix*: empty, or beginning with a slash.

    Some servers put `root_path` in front of the path of the request, others do not.
    """
    for start in (prefix, prefix.rstrip("/")):
        rest = path.removeprefix(start)
        if path.startswith(start) and (not rest or rest.startswith("/")):
            return rest
    return path


# ----- Values that Django caches, although each prefix has its own


class EachTime:
    """A property that can be set on an instance, like a `cached_property`."""

    def __init__(self, func: Callable[[Any], Any]) -> None:
        self.func = func

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else self.func(instance)


def patch_settings() -> None:
    """
    Read the settings in URLS again on each use, where Django's `__getattr__` caches
    them. (It cannot be wrapped: it looks at its caller before it warns of a
    deprecation.) Never switches.
    """
    for name in URLS:
        setattr(LazySettings, name, property(methodcaller("__getattr__", name)))


def patch_base_url(cached: Any) -> Any:
    """The patch for `base_url` of storages, which is `MEDIA_URL` unless given."""
    return EachTime(cached.func)


def patch_static_files_init(init: Callable[..., Any]) -> Callable[..., Any]:
    """The patch for `StaticFilesStorage.__init__`, which reads `STATIC_URL`."""

    @functools.wraps(init)
    def __init__(
        self: Any, location: Any = None, base_url: Any = None, *args: Any, **kw: Any
    ) -> None:
        init(self, location, base_url, *args, **kw)
        self._is_at_static_url = base_url is None

    return __init__


def patch_static_base_url(inherited: Any) -> Any:
    """The patch for `StaticFilesStorage.base_url`."""

    def base_url(self: Any) -> Any:
        if not getattr(self, "_is_at_static_url", False):
            return inherited.func(self)
        url = settings.STATIC_URL
        return url if url.endswith("/") else f"{url}/"

    return EachTime(base_url)


def patch_static(static: Callable[..., Any]) -> Callable[..., Any]:
    """
    The patch for `static()` in urlpatterns. A relative `MEDIA_URL` begins with the
    prefix of the request that imports them, and patterns match what follows the prefix.
    """

    @functools.wraps(static)
    def changed(prefix: str, *args: Any, **kwargs: Any) -> Any:
        return static(prefix and without_prefix(prefix), *args, **kwargs)

    return changed


STORAGES = "django.core.files.storage"
STATIC = "django.contrib.staticfiles.storage:StaticFilesStorage"

TABLE = (
    Patch(f"{STORAGES}.filesystem:FileSystemStorage", "base_url", patch_base_url),
    Patch(f"{STORAGES}.memory:InMemoryStorage", "base_url", patch_base_url),
    Patch("django.conf.urls.static", "static", patch_static),
    Patch(STATIC, "__init__", patch_static_files_init),
    Patch(STATIC, "base_url", patch_static_base_url),
)
