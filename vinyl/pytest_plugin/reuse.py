"""
What test databases that are kept were made of: the files of the migrations, and the
models of apps that have none. Where that has changed, `--reuse-db` makes them anew.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.apps import apps
from django.db import DatabaseError, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader

__all__ = ["find_change", "keep_sources", "test_name"]

# In each test database: a row for each source, a migration or a model.
TABLE = "vinyl_test_database"


def find_change() -> str | None:
    """
    Return what says that a test database that was kept has to be made anew, or None.
    Migrations that have been added since are no reason: `migrate` applies them.

    Never switches.
    """
    for alias in connections:
        connection = connections[alias]
        name = test_name(connection)
        if name is None or connection.settings_dict["TEST"]["MIRROR"]:
            continue
        with _named(connection, name):
            if not _exists(connection):
                continue
            kept = _kept(connection)
        if kept is None:
            return f"nothing says what migrations {name} was made of"
        found = _sources(connection)
        for source, digest in sorted(kept.items()):
            if source not in found:
                return f"{source} is not there any more"
            if found[source] != digest:
                return f"{source} has changed"
    return None


def keep_sources() -> None:
    """Note in the test databases what they are made of. Never switches."""
    for alias in connections:
        connection = connections[alias]
        rows = sorted(_sources(connection).items())
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS {TABLE}")
            cursor.execute(f"CREATE TABLE {TABLE} (source text, digest text)")
            cursor.executemany(f"INSERT INTO {TABLE} VALUES (%s, %s)", rows)


def test_name(connection: BaseDatabaseWrapper) -> str | None:
    """
    Return the name of the test database that Django makes for *connection*, None for
    one in memory. Never switches.
    """
    name: str | None = connection.settings_dict["TEST"]["NAME"]
    if connection.vendor == "sqlite":
        return str(name) if name else None
    return name or f"test_{connection.settings_dict['NAME']}"


@contextmanager
def _named(connection: BaseDatabaseWrapper, name: str) -> Iterator[None]:
    """Connect to the database *name* in the block, in place of the real one."""
    real = connection.settings_dict["NAME"]
    connection.close()
    connection.settings_dict["NAME"] = name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = real


def _exists(connection: BaseDatabaseWrapper) -> bool:
    if connection.vendor == "sqlite":
        # Connecting would make the file.
        return Path(connection.settings_dict["NAME"]).exists()
    try:
        connection.ensure_connection()
    except DatabaseError:
        return False
    return True


def _kept(connection: BaseDatabaseWrapper) -> dict[str, str] | None:
    """The sources that the database was made of, None for one that was made without."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT source, digest FROM {TABLE}")
            return dict(cursor.fetchall())
    except DatabaseError:
        return None


def _sources(connection: BaseDatabaseWrapper) -> dict[str, str]:
    loader = MigrationLoader(None)
    found = {
        f"the migration {label}.{name}": _digest(
            Path(inspect.getfile(type(migration))).read_text("utf-8")
        )
        for (label, name), migration in loader.disk_migrations.items()
    }
    migrates = connection.settings_dict["TEST"]["MIGRATE"]
    made_directly = [
        model
        for model in apps.get_models()
        if not (migrates and model._meta.app_label in loader.migrated_apps)
    ]
    for model in made_directly:
        fields = [
            field.deconstruct()[1:]
            for field in (*model._meta.local_fields, *model._meta.local_many_to_many)
        ]
        found[f"the model {model._meta.label}"] = _digest(
            repr((model._meta.db_table, fields, vars(model._meta)["original_attrs"]))
        )
    return found


def _digest(text: str) -> str:
    # A function in a model is shown with its address.
    text = re.sub(" at 0x[0-9a-f]+", "", text)
    return hashlib.sha256(text.encode()).hexdigest()
