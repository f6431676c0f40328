"""The test databases, and the transactions around tests."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from django.conf import global_settings, settings
from django.core.management import call_command
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase
from django.test.utils import (
    override_settings,
    setup_databases,
    setup_test_environment,
    teardown_databases,
    teardown_test_environment,
)

from vinyl.pytest_plugin.reuse import find_change, keep_sources, test_name

__all__ = ["flushed", "is_test_of_django", "made_databases", "rolled_back"]

# What Django recommends for tests: a real hash takes a third of a second.
FAST_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def is_test_of_django(item: Any) -> bool:
    """
    Whether the test *item* is a method of Django's `TestCase` or `TransactionTestCase`.
    Never switches.
    """
    cls = getattr(item, "cls", None)
    return cls is not None and issubclass(cls, TransactionTestCase)


@contextmanager
def made_databases(
    *, reuse: bool, create: bool, tell: Callable[[str], None]
) -> Iterator[None]:
    """
    Have empty, migrated test databases in the block, those of this process.

    Args:
        reuse: Whether to keep them after the block, and to use those of the last time,
            unless a migration that they have has changed.
        create: Whether to create them even so.
        tell: Is called with the reason why those of the last time are not used.

    Never switches.
    """
    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        for alias in connections:
            _name_apart(connections[alias], worker)
    hashers = settings.PASSWORD_HASHERS
    if hashers == global_settings.PASSWORD_HASHERS:
        hashers = FAST_HASHERS
    setup_test_environment()
    keep = reuse and not create
    if keep and (change := find_change()):
        tell(f"The test databases are made anew, because {change}.")
        keep = False
    made = setup_databases(verbosity=0, interactive=False, keepdb=keep)
    if reuse:
        keep_sources()
    # An open connection would keep SQLite locked.
    connections.close_all()
    try:
        with override_settings(PASSWORD_HASHERS=hashers):
            yield
    finally:
        connections.close_all()
        if not reuse:
            teardown_databases(made, verbosity=0)
        teardown_test_environment()


def _name_apart(connection: BaseDatabaseWrapper, worker: str) -> None:
    """Name the test database of *connection* after *worker*."""
    test = connection.settings_dict["TEST"]
    name = test_name(connection)
    if name is not None and connection.vendor == "sqlite":
        file = Path(name)
        test["NAME"] = file.with_stem(f"{file.stem}_{worker}")
    elif name is not None:
        test["NAME"] = f"{name}_{worker}"


@contextmanager
def rolled_back() -> Iterator[None]:
    """
    Roll back in the end what the block writes to any database. Never switches.

    Raises:
        IntegrityError: It left rows that violate a deferred constraint.
    """
    with ExitStack() as stack:
        for alias in connections:
            block = transaction.atomic(using=alias)
            # Blocks inside may be durable=True.
            block._from_testcase = True  # type: ignore[attr-defined]
            stack.enter_context(block)
        try:
            yield
            for alias in connections:
                _check_constraints(connections[alias])
        finally:
            for alias in connections:
                transaction.set_rollback(True, using=alias)


def _check_constraints(connection: Any) -> None:
    """What COMMIT would have done, if the test has not had an error."""
    if (
        connection.features.can_defer_constraint_checks
        and not connection.needs_rollback
        and connection.is_usable()
    ):
        connection.check_constraints()


@contextmanager
def flushed() -> Iterator[None]:
    """
    Empty the databases after the block, except for what migrations have written. Never
    switches.
    """
    try:
        yield
    finally:
        for alias in connections:
            connection: Any = connections[alias]
            contents = getattr(connection, "_test_serialized_contents", None)
            call_command(
                "flush",
                verbosity=0,
                interactive=False,
                database=alias,
                # Content types and permissions are among the contents.
                inhibit_post_migrate=contents is not None,
            )
            if contents is not None:
                connection.creation.deserialize_db_from_string(contents)
            # An open connection would keep SQLite locked.
            connection.close()
