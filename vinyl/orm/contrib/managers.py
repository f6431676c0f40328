"""
The rows of Django's own managers and objects that do more than one query at a time: as
sync code they run in the bridge as a whole, and are awaited under their own names.
"""

from __future__ import annotations

from vinyl.bridge.mode import dual
from vinyl.bridge.patching import Row

__all__ = ["TABLE"]

_CONTRIB = "django.contrib"

TABLE = (
    # Files are stored and deleted together with the row that names them.
    Row("django.db.models.fields.files:FieldFile", "save delete", dual, inherited=True),
    Row(
        "django.core.serializers.base:DeserializedObject",
        "save save_deferred_fields",
        dual,
        inherited=True,
    ),
    # Django keeps the site that it finds for the whole process.
    Row(
        f"{_CONTRIB}.sites.models:SiteManager",
        "get_current",
        dual,
        inherited=True,
        app="sites",
    ),
    Row(f"{_CONTRIB}.sites.shortcuts", "get_current_site", dual, app="sites"),
    Row(
        f"{_CONTRIB}.admin.models:LogEntryManager",
        "log_actions",
        dual,
        inherited=True,
        app="admin",
    ),
    Row(
        f"{_CONTRIB}.admin.models:LogEntryManager",
        "log_action",
        dual,
        inherited=True,
        app="admin",
        before=(6, 0),
    ),
)
