"""
Script prefix, urlconf, language and time zone of the running code, in context
variables.

Django keeps each in an asgiref `Local`. Reading one that has not been set, as usual,
takes 5 µs, and each `reverse()` reads three of them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from django.urls import get_script_prefix

from vinyl.bridge.patching import Patch

__all__ = ["TABLE", "read_prefix"]

UNSET: Any = object()

# Returns the script prefix; faster than Django's function where that is possible.
read_prefix: Callable[[], str] = get_script_prefix


class LocalValue:
    """
    A replacement for an asgiref `Local` of which only the attribute `value` is used.

    Args:
        default: The value while none is set; with `UNSET`, an `AttributeError` is
            raised instead.
    """

    __slots__ = ("_default", "_variable", "get")

    def __init__(self, default: Any = UNSET) -> None:
        self._default = default
        self._variable = ContextVar("vinyl_local_value", default=default)
        # The value without a Python frame, for code that runs with each request.
        self.get = self._variable.get

    @property
    def value(self) -> Any:
        value = self._variable.get()
        if value is UNSET:
            raise AttributeError("value")
        return value

    @value.setter
    def value(self, value: Any) -> None:
        self._variable.set(value)

    @value.deleter
    def value(self) -> None:
        if self._variable.get() is self._default:
            raise AttributeError("value")
        self._variable.set(self._default)


def patch_local(local: Any, default: Any = UNSET) -> Any:
    """The patch for a `Local` in which Django keeps only `value`."""
    if getattr(sys.flags, "thread_inherit_context", False):
        # New threads inherit context variables there, but not the values of a Local.
        return local
    changed = LocalValue(default)
    if (value := getattr(local, "value", UNSET)) is not UNSET:
        changed.value = value
    return changed


def patch_prefixes(local: Any) -> Any:
    """The patch for the `Local` of script prefixes, which each request reads."""
    global read_prefix
    changed = patch_local(local, "/")
    if type(changed) is LocalValue:
        read_prefix = changed.get
    return changed


URLS = "django.urls.base"

TABLE = (
    Patch(URLS, "_prefixes", patch_prefixes),
    Patch(URLS, "_urlconfs", patch_local),
    Patch("django.utils.timezone", "_active", patch_local),
    Patch("django.utils.translation.trans_real", "_active", patch_local),
)
