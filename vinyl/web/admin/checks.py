"""System checks for the apps and middleware that the admin needs."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.utils.module_loading import import_string

from vinyl.web.middleware import middleware_classes

__all__ = ["check_dependencies", "check_middleware"]

APPS = (
    "vinyl.web",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
)
MIDDLEWARE = (
    "vinyl.web.sessions.SessionMiddleware",
    "vinyl.web.auth.AuthenticationMiddleware",
    "vinyl.web.messages.MessagesMiddleware",
)


def check_dependencies(**kwargs: Any) -> list[checks.CheckMessage]:
    """vinyl.E141: an app that the admin needs is not installed. Never switches."""
    return [
        checks.Error(
            f"settings.INSTALLED_APPS contains 'vinyl.web.admin' without {name!r}, "
            f"which the admin needs.",
            hint=f"Add {name!r}.",
            id="vinyl.E141",
        )
        for name in APPS
        if not apps.is_installed(name)
    ]


def check_middleware(**kwargs: Any) -> list[checks.CheckMessage]:
    """
    vinyl.E142: a class that the admin needs is not in `MIDDLEWARE`. Never switches.
    """
    listed = list(middleware_classes(settings.MIDDLEWARE))
    return [
        checks.Error(
            f"settings.MIDDLEWARE does not contain {path!r}, which the admin needs.",
            hint=f"Add it, in this order: {', '.join(MIDDLEWARE)}.",
            id="vinyl.E142",
        )
        for path in MIDDLEWARE
        if not any(issubclass(cls, import_string(path)) for cls in listed)
    ]
