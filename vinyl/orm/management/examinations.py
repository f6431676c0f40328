"""What `vinyl doctor` looks at. Each function yields findings, and changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from django.apps import apps
from django.core import checks
from django.db import DEFAULT_DB_ALIAS, DatabaseError, InterfaceError, connections
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.state import ProjectState

from vinyl.orm.pools.registry import configured_pools
from vinyl.records import NamedTuple

__all__ = [
    "Finding",
    "examine_checks",
    "examine_database",
    "examine_migrations",
    "examine_models",
    "examine_pools",
]


class Finding(NamedTuple):
    """
    A finding.

    Args:
        level: Whether it is fine, or how bad it is.
        text: What was found, as a sentence.
        remedy: What to do, as a sentence; empty if there is nothing to do.
    """

    level: Literal["ok", "warning", "error"]
    text: str
    remedy: str = ""


def examine_models() -> Iterator[Finding]:
    """
    Whether each change of a model is in a migration, and migrations have one end each.
    Never switches.
    """
    # Without a connection: that of a database is examined elsewhere.
    loader = MigrationLoader(None)
    if conflicts := loader.detect_conflicts():
        for app, names in sorted(conflicts.items()):
            yield Finding(
                "error",
                f"App {app!r} has migrations that do not follow each other: "
                f"{', '.join(sorted(names))}.",
                "Run `vinyl makemigrations --merge`.",
            )
        return
    changes = MigrationAutodetector(
        loader.project_state(), ProjectState.from_apps(apps)
    ).changes(graph=loader.graph)
    own = [app for app in sorted(changes) if app in loader.migrated_apps]
    for app in own:
        what = "; ".join(
            operation.describe()
            for migration in changes[app]
            for operation in migration.operations
        )
        yield Finding(
            "warning",
            f"Models of app {app!r} have changes that are in no migration: {what}.",
            f"Run `vinyl makemigrations {app}`.",
        )
    if not own:
        yield Finding("ok", "All changes of models are in migrations.")


def examine_database(alias: str) -> Iterator[Finding]:
    """Whether the database *alias* can be reached. Never switches."""
    connection: Any = connections[alias]
    try:
        connection.ensure_connection()
        version = ".".join(map(str, connection.get_database_version()))
    except (DatabaseError, InterfaceError) as error:
        yield Finding(
            "error",
            f"Database {alias!r} cannot be reached: {_first_line(error)}",
            f"Check that it runs, and its address in settings.DATABASES[{alias!r}].",
        )
        return
    yield Finding(
        "ok", f"Database {alias!r} answers: {connection.display_name} {version}."
    )


def examine_migrations(alias: str) -> Iterator[Finding]:
    """Whether all migrations are applied to the database *alias*. Never switches."""
    executor = MigrationExecutor(connections[alias])
    try:
        executor.loader.check_consistent_history(connections[alias])
    except Exception as error:
        yield Finding(
            "error",
            f"The migrations applied to {alias!r} do not fit together: {error}",
            "Restore a backup, or correct the table django_migrations by hand.",
        )
        return
    leaves = executor.loader.graph.leaf_nodes()
    missing = [migration for migration, _ in executor.migration_plan(leaves)]
    if not missing:
        yield Finding("ok", f"All migrations are applied to {alias!r}.")
        return
    names = [f"{each.app_label}.{each.name}" for each in missing]
    shown = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
    count = "1 migration is" if len(names) == 1 else f"{len(names)} migrations are"
    option = "" if alias == DEFAULT_DB_ALIAS else f" --database {alias}"
    yield Finding(
        "warning",
        f"{count} not applied to {alias!r}: {shown}",
        f"Run `vinyl migrate{option}`.",
    )


def examine_pools(alias: str, processes: int | None) -> Iterator[Finding]:
    """
    Whether the server of *alias* takes as many connections as the pools may open.

    Args:
        processes: How many processes have a pool; None for `WEB_CONCURRENCY`, or 1.

    Never switches.
    """
    connection = connections[alias]
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('max_connections')::int - "
            "current_setting('superuser_reserved_connections')::int"
        )
        (allowed,) = cursor.fetchone()
    if processes is None:
        given = os.environ.get("WEB_CONCURRENCY", "")
        processes = int(given) if given.isdecimal() else 1
    for name, options, *_ in configured_pools():
        if name != alias:
            continue
        needed = options.max_size * processes
        text = (
            f"The pools of {alias!r} may open {needed} connections ({options.max_size} "
            f"in each of {processes} processes); the server allows {allowed}."
        )
        if needed <= allowed:
            yield Finding("ok", text)
        else:
            yield Finding(
                "warning",
                text,
                f"Lower max_size in DATABASES[{alias!r}]['OPTIONS']['pool'], raise "
                f"max_connections of the server, or use PgBouncer.",
            )


def examine_checks(*, deploy: bool, databases: Sequence[str]) -> Iterator[Finding]:
    """
    What the system checks report: forgotten awaits, wrong settings, and others.

    Args:
        deploy: Whether to run those about security, too.
        databases: The aliases of the databases to check.

    Never switches.
    """
    messages = checks.run_checks(
        include_deployment_checks=deploy, databases=list(databases)
    )
    shown = [each for each in messages if not each.is_silenced()]
    for message in sorted(shown, key=lambda each: -each.level):
        place = f"{_place(message.obj)}: " if message.obj is not None else ""
        number = f" ({message.id})" if message.id else ""
        yield Finding(
            "error" if message.is_serious() else "warning",
            f"{place}{message.msg}{number}",
            message.hint or "",
        )
    if not shown:
        yield Finding("ok", "The system checks found nothing.")


def _place(value: Any) -> str:
    """What a check names: a model, a field, or anything else, as text."""
    if hasattr(value, "_meta"):
        return str(value._meta.label)
    return str(value)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
