"""
Django's own request handlers in a project of `vinyl.web`.

Packages and tests use them to call views: Wagtail for its previews, Django's test
client. They load `settings.MIDDLEWARE`, and get Django's classes for vinyl's.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.conf import settings

from vinyl.bridge.patching import Patch
from vinyl.web.middleware import REPLACEMENTS, is_of_djangos_kind, load_middleware

__all__ = ["TABLE", "djangos_middleware"]

_COMMON = "django.middleware.common.CommonMiddleware"


def djangos_middleware(paths: Iterable[str]) -> Iterator[str]:
    """
    Yield what Django's handler can use of *paths*: entries of Django's kind as they
    are, Django's own classes in place of vinyl's, and no other pure ASGI middleware.

    Args:
        paths: Entries of `settings.MIDDLEWARE`.

    Raises:
        UnusableMiddleware: An entry cannot be imported, or cannot be called.

    Never switches.
    """
    for path in paths:
        djangos = _DJANGOS.get(path)
        if djangos is not None:
            yield from djangos
        elif path.startswith("django.") or is_of_djangos_kind(load_middleware(path)):
            yield path


# The classes of Django that each class of vinyl replaces. For security, that is all
# except a policy that needs a setting; the router's part goes where Django lists it.
_DJANGOS: dict[str, list[str]] = {}
for _djangos, _ours in REPLACEMENTS.items():
    if _ours is not None and _ours.startswith("vinyl.") and ".csp." not in _djangos:
        if _djangos.startswith("django."):
            _DJANGOS.setdefault(_ours, []).append(_djangos)
_DJANGOS["vinyl.web.sessions.SessionMiddleware"].append(_COMMON)


def patch_load_middleware(load: Callable[..., None]) -> Callable[..., None]:
    """The patch for `BaseHandler.load_middleware()`."""

    @functools.wraps(load)
    def loading(self: Any, *args: Any, **kwargs: Any) -> None:
        listed = settings.MIDDLEWARE
        if not any(path in _DJANGOS for path in listed):
            return load(self, *args, **kwargs)
        settings.MIDDLEWARE = list(djangos_middleware(listed))
        try:
            return load(self, *args, **kwargs)
        finally:
            settings.MIDDLEWARE = listed

    return loading


TABLE = (
    Patch(
        "django.core.handlers.base:BaseHandler",
        "load_middleware",
        patch_load_middleware,
    ),
)
