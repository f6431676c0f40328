"""
Fixtures about the databases: a real PostgreSQL, and SQLite.

A test that takes `db` runs once on each. It gets empty tables, and it fails if it
leaves a connection of a pool on loan.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import connections
from django.db.backends.utils import CursorWrapper
from django.db.models import Model

from tests.postgres import postgres_server
from tests.settings import SQLITE_URL, database
from vinyl.orm.pools import registry


def pytest_report_header() -> str:
    import django
    import greenlet

    return (
        f"django {django.get_version()}, psycopg {psycopg.__version__}, "
        f"greenlet {greenlet.__version__}"
    )


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of an empty database of a running PostgreSQL."""
    with postgres_server() as url:
        name = f"vinyl_{os.getpid()}"
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
            if "VINYL_TEST_POSTGRES_URL" not in os.environ:
                # It analyzes tables at times of its own, and then rows that are equal
                # for an ORDER BY may come in another order.
                connection.execute("ALTER SYSTEM SET autovacuum = off")
                connection.execute("SELECT pg_reload_conf()")
        info = psycopg.conninfo.conninfo_to_dict(url)
        host, user = info.get("host", ""), info.get("user", "")
        password, port = info.get("password", ""), info.get("port", "")
        yield (
            f"postgresql://{user}:{password}@/{name}?host={host}"
            if str(host).startswith("/")
            else f"postgresql://{user}:{password}@{host}:{port or 5432}/{name}"
        )
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def migrated() -> set[str]:
    """The databases whose tables have been made."""
    return set()


@contextmanager
def default_database(settings: dict[str, Any]) -> Iterator[None]:
    """Make *settings* the database "default" for everything in the block."""
    before = connections.settings["default"]
    connections["default"].close()
    del connections["default"]
    connections.settings["default"] = connections.configure_settings(
        {"default": settings}
    )["default"]
    ContentType.objects.clear_cache()
    try:
        yield
    finally:
        connections["default"].close()
        del connections["default"]
        connections.settings["default"] = before
        ContentType.objects.clear_cache()


@contextmanager
def default_at(**changed: Any) -> Iterator[None]:
    """The default database with other settings, for connections made in the block."""
    settings = connections.settings["default"]
    before = dict(settings, OPTIONS=dict(settings["OPTIONS"]))
    settings.update(changed)
    try:
        yield
    finally:
        settings.update(before)


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, migrated: set[str]) -> Iterator[str]:
    """The vendor of the database that the test runs on, with empty tables."""
    vendor = request.param
    url = SQLITE_URL
    if vendor == "postgresql":
        url = request.getfixturevalue("postgres_url")
    with default_database(database(url)):
        if vendor not in migrated:
            call_command("migrate", verbosity=0)
            migrated.add(vendor)
        # Left open, it would keep SQLite locked or PostgreSQL waiting.
        connections["default"].close()
        yield vendor
        loops = registry._pools.values()
        lent = [pool for loop in loops for pool in loop.values() if pool.in_use]
        empty_tables()
    collect_garbage()
    assert not lent, f"Connections were not given back: {lent}"


def collect_garbage() -> None:
    """
    Let what the test has left behind warn now. What stays is out of the collector's
    way from here on: it grows from test to test.
    """
    gc.collect()
    gc.freeze()


only_postgresql = pytest.mark.parametrize("db", ["postgresql"], indirect=True)
only_sqlite = pytest.mark.parametrize("db", ["sqlite"], indirect=True)


def empty_tables(alias: str = "default") -> None:
    connection = connections[alias]
    ops = connection.ops
    models = models_to_empty()
    tables = [model._meta.db_table for model in models]
    if connection.vendor == "postgresql":
        # TRUNCATE makes new files for each table, which takes 20 times as long.
        deletes = [f"DELETE FROM {ops.quote_name(table)};" for table in tables]
        sequences = [
            {"table": model._meta.db_table, "column": key.column}
            for model in models
            if (key := model._meta.auto_field)
        ]
        resets = ops.sequence_reset_by_name_sql(no_style(), sequences)
        sql = [" ".join([*deletes, *resets])]
    else:
        sql = ops.sql_flush(no_style(), tables, reset_sequences=True)
    ops.execute_sql_flush(sql)


@cache
def models_to_empty() -> list[type[Model]]:
    """Those that tests write, and those with foreign keys to them."""
    found = {User, Session, *apps.get_app_config("records").get_models(True)}
    models = set(apps.get_models(include_auto_created=True))
    while more := {
        model
        for model in models - found
        if any(field.related_model in found for field in model._meta.concrete_fields)
    }:
        found |= more
    return sorted(found, key=lambda model: model._meta.label)


@pytest.fixture
def queries(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SQL of each query from here on, over all connections."""
    seen: list[str] = []
    execute = CursorWrapper.execute

    def logged(self: CursorWrapper, sql: Any, params: Any = None) -> Any:
        seen.append(str(sql))
        return execute(self, sql, params)

    monkeypatch.setattr(CursorWrapper, "execute", logged)
    return seen
