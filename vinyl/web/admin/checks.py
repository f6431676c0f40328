"""System checks of what the admin needs around it."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core import checks

__all__ = ["check_dependencies"]

APPS = ("django.contrib.auth", "django.contrib.contenttypes", "django.contrib.messages")


def check_dependencies(**kwargs: Any) -> list[checks.CheckMessage]:
    """vinyl.E141: an app that the admin needs is not installed."""
    return [
        checks.Error(
            f"settings.INSTALLED_APPS has 'vinyl.web.admin' and not {name!r}, which "
            f"the admin needs.",
            hint=f"Add {name!r}.",
            id="vinyl.E141",
        )
        for name in APPS
        if not apps.is_installed(name)
    ]
