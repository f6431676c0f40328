"""The app of the admin: Django's app, with vinyl's site, patches and checks."""

from __future__ import annotations

from pathlib import Path

from django.apps import apps
from django.contrib import admin as djangos
from django.contrib.admin import helpers
from django.contrib.staticfiles import finders
from django.core import checks

from vinyl.web import admin
from vinyl.web.admin.apps import AdminConfig
from vinyl.web.admin.sites import AdminSite


def test_it_has_djangos_label_models_and_translations() -> None:
    config = apps.get_app_config("admin")
    assert isinstance(config, AdminConfig)
    assert config.name == "django.contrib.admin"
    assert {model.__name__ for model in config.get_models()} == {"LogEntry"}
    assert Path(config.path) == Path(djangos.__file__).parent


def test_djangos_site_is_vinyls() -> None:
    assert isinstance(djangos.site, AdminSite)
    assert djangos.site == admin.site


def test_its_own_files_are_served() -> None:
    found = finders.find("vinyl/admin.css")
    assert found is not None
    assert Path(found).is_relative_to(Path(admin.__file__).parent)


def test_patches_and_checks_are_in_place() -> None:
    assert helpers.lookup_field.__wrapped__.__module__ == "django.contrib.admin.utils"  # type: ignore[attr-defined]
    found = checks.registry.registry.get_checks()
    names = {f"{check.__module__}.{getattr(check, '__name__', '')}" for check in found}
    assert "vinyl.web.admin.checks.check_middleware" in names
    assert "django.contrib.admin.checks.check_admin_app" in names
    # It is for the needs of the pages of Django's admin.
    assert "django.contrib.admin.checks.check_dependencies" not in names
