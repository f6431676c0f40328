"""The app config of vinyl.web."""

from __future__ import annotations

from django.apps import AppConfig

from vinyl.orm.rows import apply_rows

__all__ = ["VinylWebConfig"]


class VinylWebConfig(AppConfig):
    name = "vinyl.web"
    label = "vinyl_web"
    verbose_name = "Vinyl web"

    def ready(self) -> None:
        # Registers the checks.
        from vinyl.web import (
            checks,  # noqa: F401
            decorators,
            deploychecks,
            forms,
            pagination,
            prefix,
            reporting,
            views,
        )

        for module in (decorators, forms, pagination, prefix, reporting, views):
            apply_rows(module.TABLE)
        prefix.patch_settings()
        deploychecks.translate_djangos_checks()
