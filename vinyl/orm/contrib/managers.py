"""
Managers and objects of Django whose methods run several queries: in async mode a method
runs in the bridge as a whole, and is awaited under its own name.
"""

from __future__ import annotations

from vinyl.bridge.mode import dual
from vinyl.bridge.patching import Patch

__all__ = ["TABLE"]

_CONTRIB = "django.contrib"

TABLE = (
    # Saving or deleting a file also saves the model instance.
    Patch(
        "django.db.models.fields.files:FieldFile", "save delete", dual, inherited=True
    ),
    Patch(
        "django.core.serializers.base:DeserializedObject",
        "save save_deferred_fields",
        dual,
        inherited=True,
    ),
    # Django caches the site for the whole process.
    Patch(
        f"{_CONTRIB}.sites.models:SiteManager",
        "get_current",
        dual,
        inherited=True,
        app="sites",
    ),
    Patch(f"{_CONTRIB}.sites.shortcuts", "get_current_site", dual, app="sites"),
    Patch(
        f"{_CONTRIB}.admin.models:LogEntryManager",
        "log_actions",
        dual,
        inherited=True,
        app="admin",
    ),
    Patch(
        f"{_CONTRIB}.admin.models:LogEntryManager",
        "log_action",
        dual,
        inherited=True,
        app="admin",
        before=(6, 0),
    ),
)
