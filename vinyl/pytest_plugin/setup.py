"""Finding the project's settings, and setting up Django with them."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

__all__ = ["ACTIVE", "is_active", "set_up"]

# Whether the plugin is active, in the stash of pytest's config: decided once, since a
# conftest.py may set up Django later, for tests that know nothing of the plugin.
ACTIVE = pytest.StashKey[bool]()

APP = "vinyl.orm"
# What the first process has decided, for the workers of pytest-xdist: they inherit what
# a conftest.py has put into the environment since.
DECIDED = "VINYL_PYTEST_ACTIVE"


def set_up(config: Any) -> bool:
    """
    Set up Django if the folder of *config*, pytest's, is in a project of vinyl.

    Returns: Whether it is.

    Raises:
        UsageError: The project's settings cannot be used.

    Never switches.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        return os.environ.get(DECIDED) != "0" and _set_up(config)
    os.environ[DECIDED] = "0"
    if active := _set_up(config):
        os.environ[DECIDED] = "1"
    return active


def _set_up(config: Any) -> bool:
    root = Path(config.rootpath)
    # Cheaper than importing Django for tests that have nothing to do with it.
    named = any(map(_names_settings, (root, *root.parents)))
    if not named and not os.environ.get("DJANGO_SETTINGS_MODULE"):
        return False
    from django.core.exceptions import ImproperlyConfigured

    from vinyl.cli import find_settings

    try:
        if named:
            find_settings(root)
        elif not _lists_the_app():
            return False
        # pytest-django does it itself, with settings of its own options.
        if not config.pluginmanager.has_plugin("django"):
            import django

            django.setup()
    except (ImportError, ImproperlyConfigured) as error:
        raise pytest.UsageError(
            f"The settings of the project, "
            f"{os.environ.get('DJANGO_SETTINGS_MODULE')!r}, cannot be used in tests: "
            f"{error} Correct them, or the name in [tool.vinyl] of pyproject.toml."
        ) from error
    return True


def _names_settings(folder: Path) -> bool:
    try:
        return "[tool.vinyl]" in (folder / "pyproject.toml").read_text("utf-8")
    except (OSError, ValueError):
        return False


def _lists_the_app() -> bool:
    """Whether the settings of the environment can be read, and list vinyl.orm."""
    from django.conf import settings

    try:
        return APP in settings.INSTALLED_APPS
    except Exception:
        # These may not be the tests that the settings are for.
        return False


def is_active() -> bool:
    """Whether Django is set up, with vinyl.orm. Never switches."""
    if "django" not in sys.modules:
        return False
    from django.apps import apps

    return apps.ready and apps.is_installed(APP)
