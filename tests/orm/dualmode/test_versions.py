"""An unsupported Django is refused by name, and so is a setting that makes no sense."""

from __future__ import annotations

import asyncio

import django
import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from tests.fix_db import default_database
from vinyl.exceptions import UnsupportedVersion
from vinyl.orm.dualmode import versions
from vinyl.orm.pools.registry import pool_for


def test_the_installed_django_is_supported() -> None:
    versions.check_django()


@pytest.mark.parametrize("version", [(5, 1), (6, 2), (7, 0)], ids=str)
def test_another_django_is_refused_by_name(
    version: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(django, "VERSION", (*version, 0, "final", 0))
    with pytest.raises(UnsupportedVersion, match=r"works with Django 5\.2, 6\.0, 6\.1"):
        versions.check_django()


def test_a_django_that_lacks_a_name_is_refused_by_that_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(versions.READ, "django.db.models.query:QuerySet", "_no_such")
    with pytest.raises(UnsupportedVersion, match=r"no '_no_such' in .*QuerySet"):
        versions.check_django()


def test_so_is_one_whose_backend_lacks_a_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = {"django.db.backends.sqlite3.base": "_no_such"}
    monkeypatch.setitem(versions.READ_FROM_ENGINES, "vinyl.orm.backends.sqlite3", read)
    with pytest.raises(UnsupportedVersion, match=r"no '_no_such' in .*sqlite3"):
        versions.check_django()
    monkeypatch.setattr(settings, "DATABASES", {"default": {"ENGINE": "another"}})
    versions.check_django()


def test_so_is_one_whose_app_lacks_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    app = "django.contrib.contenttypes"
    read = {"django.contrib.contenttypes.models:ContentTypeManager": "_no_such"}
    monkeypatch.setitem(versions.READ_FROM_APPS, app, read)
    versions.check_apps(set())
    with pytest.raises(UnsupportedVersion, match=r"no '_no_such' in .*ContentType"):
        versions.check_apps({app})


def test_a_backend_that_blocks_is_refused_on_the_event_loop() -> None:
    async def use() -> None:
        pool_for("default")

    blocking = {"ENGINE": "django.db.backends.sqlite3", "NAME": "/nonexistent"}
    with default_database(blocking):
        with pytest.raises(ImproperlyConfigured, match="ENGINE.*blocks"):
            asyncio.run(use())
