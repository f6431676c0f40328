"""
Patches that let a project write `async def` where Django's admin never awaits, and
`await super().save_related(...)` there: Django's methods that use the database are
dual-mode.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any

from vinyl.bridge.mode import dual, dual_if_async, suspend_or_refuse
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

# What an async override may await of super(). Not `get_queryset`, `get_fieldsets` and
# others that return the same without the database: they are called without `await`.
_PERMISSIONS = (
    "has_add_permission has_change_permission has_delete_permission "
    "has_module_permission has_view_or_change_permission has_view_permission"
)
_OF_MODEL_ADMIN = (
    "add_view change_view changeform_view changelist_view delete_model "
    "delete_queryset delete_view get_actions get_changelist_instance "
    "get_deleted_objects get_form get_inline_instances get_object history_view "
    "log_addition log_change log_deletions render_change_form response_action "
    "response_add response_change response_delete save_formset save_model save_related"
)
_OF_SITE = (
    "app_index each_context get_app_list has_permission index login logout "
    "password_change password_change_done"
)

TABLE = (
    # A coroutine of `has_change_permission` would be true whatever it returns.
    Patch(f"{_ADMIN}.options:BaseModelAdmin", "*", dual_if_async, inherited=True),
    Patch(f"{_ADMIN}.sites:AdminSite", "*", dual_if_async, inherited=True),
    # After those, so that an `async def` is waited for in the bridge, too.
    Patch(f"{_ADMIN}.options:BaseModelAdmin", _PERMISSIONS, dual, inherited=True),
    Patch(f"{_ADMIN}.options:ModelAdmin", _OF_MODEL_ADMIN, dual, inherited=True),
    Patch(f"{_ADMIN}.options:InlineModelAdmin", "get_formset", dual, inherited=True),
    Patch(f"{_ADMIN}.sites:AdminSite", _OF_SITE, dual, inherited=True),
    Patch(f"{_ADMIN}.filters:ListFilter", "*", dual_if_async, inherited=True),
    Patch(f"{_ADMIN}.helpers", "lookup_field", patch_lookup_field),
    Patch(f"{_ADMIN}.templatetags.admin_list", "lookup_field", patch_lookup_field),
)
