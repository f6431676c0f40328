"""Patches that let a project write `async def` where Django's admin never awaits."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any

from vinyl.bridge.mode import dual_if_async, suspend_or_refuse
from vinyl.bridge.patching import Patch

__all__ = ["TABLE"]


def patch_lookup_field(lookup_field: Callable[..., Any]) -> Callable[..., Any]:
    """`lookup_field()`, the value of a column or read-only field; it may be async."""

    @functools.wraps(lookup_field)
    def lookup(*args: Any) -> Any:
        field, attribute, value = lookup_field(*args)
        if isinstance(value, Coroutine):
            value = suspend_or_refuse(value)
        return field, attribute, value

    return lookup


_ADMIN = "django.contrib.admin"

TABLE = (
    # A coroutine of `has_change_permission` would be true whatever it returns.
    Patch(f"{_ADMIN}.options:BaseModelAdmin", "*", dual_if_async, inherited=True),
    Patch(f"{_ADMIN}.sites:AdminSite", "*", dual_if_async, inherited=True),
    Patch(f"{_ADMIN}.filters:ListFilter", "*", dual_if_async, inherited=True),
    Patch(f"{_ADMIN}.helpers", "lookup_field", patch_lookup_field),
    Patch(f"{_ADMIN}.templatetags.admin_list", "lookup_field", patch_lookup_field),
)
