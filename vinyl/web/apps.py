"""The app config of vinyl.web."""

from __future__ import annotations

from django.apps import AppConfig

from vinyl.bridge.patching import apply_patches

__all__ = ["VinylWebConfig"]


class VinylWebConfig(AppConfig):
    """Apply the web layer's patches to Django, and register its system checks."""

    name = "vinyl.web"
    label = "vinyl_web"
    verbose_name = "Vinyl web"

    def ready(self) -> None:
        # Registers the checks.
        from vinyl.web import (
            csrf,
            django_handlers,
            forms,
            pagination,
            views,
        )
        from vinyl.web.checks import deploy, settings  # noqa: F401
        from vinyl.web.errors import exception_reporter
        from vinyl.web.http import local_value, login_redirects, prefix
        from vinyl.web.templating import form_templates

        for module in (
            csrf,
            deploy,
            django_handlers,
            exception_reporter,
            form_templates,
            forms,
            local_value,
            login_redirects,
            pagination,
            prefix,
            views,
        ):
            apply_patches(module.TABLE)
        prefix.patch_settings()
