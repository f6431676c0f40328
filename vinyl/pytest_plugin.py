"""
The pytest plugin for projects: settings, test databases, and a client.

    [tool.pytest.ini_options]
    addopts = ["-p", "vinyl.pytest_plugin", "-p", "no:django"]
    anyio_mode = "auto"

A call that is never awaited makes its test fail, and the error for awaiting a relation
that had already been fetched says what to write. Tracebacks show only the lines of the
project; `--full-trace` shows all lines. `no:django` turns pytest-django off if it is
installed, because it has fixtures with the same names, and refuses database access in
tests without its marks.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import django
import pytest
from django.conf import global_settings, settings
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from vinyl.cli import find_settings
from vinyl.orm.dualmode.awaited_value import note_awaited_value
from vinyl.orm.testing import pytest_configure

__all__ = [
    "anyio_backend",
    "client",
    "databases",
    "db",
    "pytest_configure",
    "pytest_runtest_makereport",
]

# What Django recommends for tests: a real hash takes a third of a second.
FAST_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def pytest_load_initial_conftests(early_config: Any) -> None:
    """Set up Django with the settings module that `[tool.vinyl]` names."""
    find_settings(Path(early_config.rootpath))
    django.setup()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> None:
    """
    Explain the error of *call*, a phase of the test *item*, and shorten its traceback
    to the project's lines. Never switches.
    """
    from vinyl.web.testing.tracebacks import shorten

    if call.excinfo is None:
        return
    error = call.excinfo.value
    # Before shortening, because it looks for the line that awaited.
    note_awaited_value(error)
    if not item.config.getoption("fulltrace") and shorten(error):
        call.excinfo = pytest.ExceptionInfo.from_exception(error)


@pytest.fixture
def anyio_backend() -> str:
    """The event loop that `async def` tests and fixtures run on. Never switches."""
    return "asyncio"


@pytest.fixture(scope="session")
def databases() -> Iterator[None]:
    """
    Empty, migrated test databases, which are removed at the end of the session. Each
    process of pytest-xdist has its own.

    Meanwhile passwords are hashed by MD5, unless the settings set `PASSWORD_HASHERS`.

    Never switches.
    """
    from django.test.utils import (
        override_settings,
        setup_databases,
        setup_test_environment,
        teardown_databases,
        teardown_test_environment,
    )

    if worker := os.environ.get("PYTEST_XDIST_WORKER"):
        for alias in connections:
            _name_apart(connections[alias], worker)
    hashers = settings.PASSWORD_HASHERS
    if hashers == global_settings.PASSWORD_HASHERS:
        hashers = FAST_HASHERS
    setup_test_environment()
    made = setup_databases(verbosity=0, interactive=False)
    # An open connection would keep SQLite locked.
    connections.close_all()
    try:
        with override_settings(PASSWORD_HASHERS=hashers):
            yield
    finally:
        teardown_databases(made, verbosity=0)
        teardown_test_environment()


def _name_apart(connection: BaseDatabaseWrapper, worker: str) -> None:
    """Name the test database of *connection* after *worker*."""
    test = connection.settings_dict["TEST"]
    if connection.vendor == "sqlite":
        # Without a name it is in memory.
        if test["NAME"]:
            file = Path(test["NAME"])
            test["NAME"] = file.with_stem(f"{file.stem}_{worker}")
    else:
        name = test["NAME"] or f"test_{connection.settings_dict['NAME']}"
        test["NAME"] = f"{name}_{worker}"


@pytest.fixture
async def _transactions(
    anyio_backend: Any, databases: None
) -> AsyncIterator[dict[str, BaseDatabaseWrapper]]:
    """The connections by alias, each in a transaction that is rolled back."""
    from vinyl.orm import transaction

    async with AsyncExitStack() as stack:
        for alias in connections:
            block: Any = transaction.atomic(using=alias)
            await stack.enter_async_context(block)
        yield {alias: connections[alias] for alias in connections}
        for alias in connections:
            transaction.set_rollback(True, using=alias)


@pytest.fixture
def db(_transactions: dict[str, BaseDatabaseWrapper]) -> Iterator[None]:
    """
    The test databases. What the test writes is rolled back after it.

    Everything that the test awaits runs in one transaction. So does a plain `def` test,
    on the same connections as its async fixtures.

    Never switches.
    """
    own: dict[str, Any] = {}
    storage: Any = vars(connections)["_connections"]
    for alias, wrapper in _transactions.items():
        own[alias] = getattr(storage, alias, None)
        setattr(storage, alias, wrapper)
    yield
    for alias, before in own.items():
        if before is None:
            delattr(storage, alias)
        else:
            setattr(storage, alias, before)


@pytest.fixture
async def client(db: None) -> AsyncIterator[Any]:
    """
    A `vinyl.web.testing.Client`, which calls the project's application directly,
    without a server. It reads and writes the test databases of *db*.

    Switches to the event loop.
    """
    from vinyl.web import testing

    async with testing.client() as http:
        yield http
