"""
The links that Django's admin makes, to each model of the sidebar and to related objects
of each field, from vinyl's cache of links.
"""

from __future__ import annotations

from typing import Any

from vinyl.bridge.patching import Patch
from vinyl.web.templating.links import reverse

__all__ = ["TABLE"]


def patch_reverse(djangos: Any) -> Any:
    """The patch for `reverse` in modules of Django's admin."""
    return reverse


TABLE = tuple(
    Patch(f"django.contrib.admin.{module}", "reverse", patch_reverse)
    for module in ("options", "sites", "widgets")
)
