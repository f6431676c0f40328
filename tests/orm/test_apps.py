"""The app "vinyl.orm": what it makes of Django, and when it reads its settings."""

from __future__ import annotations

import subprocess
import sys

import pytest
from django.apps import apps
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.models import QuerySet
from django.test import override_settings

from tests.records.models import Album
from vinyl.bridge import mode
from vinyl.bridge.mode import is_dual
from vinyl.orm.apps import VinylORMConfig, read_settings
from vinyl.orm.observe.events import is_observed
from vinyl.orm.plans import trails


def test_it_is_installed_under_a_label_of_its_own() -> None:
    config = apps.get_app_config("vinyl_orm")
    assert type(config) is VinylORMConfig
    assert config.name == "vinyl.orm"


def test_models_are_dual_mode() -> None:
    assert is_dual(Album.save)
    assert is_dual(QuerySet.count)


def test_its_checks_are_registered() -> None:
    modules = {check.__module__ for check in checks.registry.registry.get_checks()}
    assert {"vinyl.orm.checks", "vinyl.orm.lint.checks"} <= modules


@pytest.mark.parametrize(
    "ask",
    [
        "checks.tag_exists('vinyl')",
        "'vinyl.E003' in [each.id for each in checks.run_checks(tags=['vinyl'])]",
        "'vinyl.E003' in [each.id for each in checks.run_checks()]",
    ],
)
def test_its_checks_are_imported_when_django_asks_for_them(ask: str) -> None:
    code = f"""
import sys
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["vinyl.orm"], VINYL={{"REPLICAS": ["gone"]}})
django.setup()
from django.core import checks
assert "vinyl.orm.checks" not in sys.modules
assert {ask}
assert "vinyl.orm.checks" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, env={})


class TestSettings:
    @pytest.mark.parametrize(
        ("value", "forced"), [("auto", None), (True, True), (False, False)]
    )
    def test_are_read_whenever_they_change(
        self, value: object, forced: bool | None
    ) -> None:
        with override_settings(VINYL={"IS_ASYNC": value}):
            assert mode.forced_mode is forced
        assert mode.forced_mode is None

    def test_of_observers_and_plans(self) -> None:
        observed = is_observed(connection)
        with override_settings(VINYL={"SLOW_QUERIES": 1.0, "PLANS": False}):
            assert is_observed(connection)
            assert not trails._enabled
        assert is_observed(connection) == observed
        assert trails._enabled

    def test_a_wrong_value_is_refused(self) -> None:
        refused = override_settings(VINYL={"IS_ASYNC": "sometimes"})
        with pytest.raises(ImproperlyConfigured, match="IS_ASYNC"), refused:
            pass
        read_settings()
        assert mode.forced_mode is None


def test_without_it_django_is_as_it_was() -> None:
    code = """
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["django.contrib.contenttypes"])
django.setup()
from django.db.models import Model
assert not hasattr(Model.save, "is_dual")
settings.INSTALLED_APPS.append("vinyl.orm")
from django.apps import apps
apps.set_installed_apps(settings.INSTALLED_APPS)
assert hasattr(Model.save, "is_dual")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# What only code on an event loop, or only a connection to PostgreSQL, needs.
LATER = (
    "vinyl.bridge.threads",
    "vinyl.orm.backends.psycopg_connection",
    "vinyl.orm.dualmode.singleflight",
    "vinyl.orm.pools",
    "vinyl.orm.retry",
    "vinyl.orm.scopes.scope",
    "vinyl.orm.standalone",
)


def test_a_process_starts_without_what_only_an_event_loop_needs(
    postgres_url: str,
) -> None:
    code = f"""
import asyncio, sys
from tests.benchmarks.memory.start import start
start("vinyl", {postgres_url!r})
found = [name for name in {LATER!r} if name in sys.modules]
assert not found, found

from django.contrib.contenttypes.models import ContentType
from django.db import connection
connection.introspection.table_names()
assert "vinyl.orm.backends.psycopg_connection" in sys.modules
assert "vinyl.orm.pools" not in sys.modules

from vinyl import orm
assert "configure" in dir(orm) and "configure" not in vars(orm)
assert set(dir(orm)) == set(vars(orm)) | set(orm.__all__)
from vinyl.orm import configure, transaction
from vinyl.orm.transaction import retry_on_conflict
assert transaction.retry_on_conflict is retry_on_conflict
assert configure.__module__ == "vinyl.orm.standalone"

async def ask():
    async with transaction.atomic():
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT 1")
            return await cursor.fetchone()

assert asyncio.run(ask()) == (1,)
assert "vinyl.orm.pools" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
