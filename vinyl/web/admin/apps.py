"""The app config of the admin."""

from __future__ import annotations

from pathlib import Path

from django.contrib.admin import apps
from django.contrib.admin.checks import check_admin_app
from django.core import checks

from vinyl.bridge.patching import apply_patches

__all__ = ["AdminConfig"]


class AdminConfig(apps.SimpleAdminConfig):
    """
    Django's admin app, with vinyl's site: its models, migrations and translations, and
    `django.contrib.admin.site` for an `admin.py` that was written for Django.
    """

    default = True
    default_site = "vinyl.web.admin.sites.AdminSite"
    # The folder of the templates and the static files. `path` is that of Django's
    # admin, for its translations.
    files_path = str(Path(__file__).parent)

    def ready(self) -> None:
        # Not Django's ready(), which registers checks for Django's own pages.
        from vinyl.web.admin import awaiting, facets, filters, links, static, tags
        from vinyl.web.admin.checks import check_dependencies, check_middleware
        from vinyl.web.admin.engines import check_engines
        from vinyl.web.admin.foreign import replace_filter_tag
        from vinyl.web.admin.overrides import check_templates

        for module in (awaiting, facets, filters, links, static):
            apply_patches(module.TABLE)
        replace_filter_tag(tags)
        checks.register(check_admin_app, checks.Tags.admin)
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(check_middleware, checks.Tags.admin)
        checks.register(check_templates, checks.Tags.admin)
        checks.register(check_engines, checks.Tags.admin)
        self.module.autodiscover()  # type: ignore[union-attr]
