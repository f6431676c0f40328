"""
The pytest plugin for projects: settings, test databases, transactions that async and
plain tests share, and a client. pytest finds it by itself; it does nothing where there
are no settings of vinyl.

    [tool.pytest.ini_options]
    addopts = ["-p", "no:django"]
    anyio_mode = "auto"

setup.py            finding the project's settings
access.py           refusing the databases to tests that have not asked for them
databases.py        the test databases, and transactions around tests
reuse.py            whether those that were kept are still up to date
steps.py            async tests and fixtures, which take part in the transactions
fixtures.py         fixtures with the names that pytest-django has, too
own_fixtures.py     the other fixtures
async_fixtures.py   the clients, for each plugin that runs async fixtures
live.py             the server of `live_server`
asserting.py        assertions about queries, and hooks of `on_commit()`
ending.py           removing the test databases when a signal ends pytest

A call that is never awaited makes its test fail, and the error for awaiting a relation
that had already been fetched says what to write. Tracebacks show only the lines of the
project; `--full-trace` shows all lines.

With pytest-django, its fixtures and marks are used, and async tests take part in their
transactions; see docs/topics/testing.md.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from vinyl.pytest_plugin.ending import EndingBySignal
from vinyl.pytest_plugin.setup import ACTIVE, is_active, set_up

__all__ = [
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_fixture_setup",
    "pytest_load_initial_conftests",
    "pytest_runtest_call",
    "pytest_runtest_makereport",
    "pytest_runtest_protocol",
    "pytest_runtest_setup",
]


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: Any, parser: Any) -> None:
    """
    Set up Django with the settings module that `[tool.vinyl]` names, or that of
    `DJANGO_SETTINGS_MODULE` if it has vinyl's apps. Never switches.
    """
    # Not in pytest_addoption(), which may be called before pytest-django is loaded.
    if not early_config.pluginmanager.has_plugin("django"):
        group = parser.getgroup("vinyl")
        group.addoption(
            "--reuse-db",
            action="store_true",
            help="Keep the test databases for the next run, and use those of the last.",
        )
        group.addoption(
            "--create-db",
            action="store_true",
            help="Create the test databases anew, even with --reuse-db.",
        )
    early_config.stash[ACTIVE] = set_up(early_config)


@pytest.hookimpl(trylast=True)
def pytest_configure(config: Any) -> None:
    """
    Turn Python's warning "coroutine was never awaited" into an error, and add the
    fixtures; they replace those of anyio's plugin. Never switches.
    """
    if config.pluginmanager.has_plugin("django") or ACTIVE not in config.stash:
        # pytest-django has set up Django, or a conftest.py that asks for this plugin.
        config.stash[ACTIVE] = is_active()
    if not config.stash[ACTIVE]:
        return
    from vinyl.orm import testing
    from vinyl.pytest_plugin import access, async_fixtures, fixtures, own_fixtures

    testing.pytest_configure(config)
    plugins = config.pluginmanager
    plugins.register(own_fixtures, "vinyl.own_fixtures")
    if not plugins.has_plugin("django"):
        plugins.register(fixtures, "vinyl.fixtures")
        config.add_cleanup(access.refuse_unasked())
    plugins.register(async_fixtures.made_for(config), "vinyl.async_fixtures")
    if not hasattr(config, "workerinput"):  # pytest-xdist ends its workers itself
        plugins.register(EndingBySignal(config), "vinyl.ending")


def pytest_collection_modifyitems(config: Any, items: list[pytest.Item]) -> None:
    """
    Give *items* the fixtures that they do not name: test databases to Django's test
    cases, and the event loop of anyio to plain tests with async fixtures. Never
    switches.
    """
    if not config.stash[ACTIVE]:
        return
    from vinyl.pytest_plugin.async_fixtures import runs_by_anyio, uses_async_fixture
    from vinyl.pytest_plugin.databases import is_test_of_django

    by_anyio = runs_by_anyio(config)
    beside_django = config.pluginmanager.has_plugin("django")
    for item in items:
        names: list[str] | None = getattr(item, "fixturenames", None)
        if names is None:
            continue
        if by_anyio and "anyio_backend" not in names and uses_async_fixture(item):
            names.insert(0, "anyio_backend")
        # Without test databases, its tests would use the real ones.
        if not beside_django and is_test_of_django(item):
            names.insert(0, "databases")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Give the test *item* a scope for its transactions. Never switches."""
    if not item.config.stash[ACTIVE]:
        return (yield)
    from vinyl.pytest_plugin.steps import steps_of_test

    with steps_of_test():
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """
    Refuse the databases to the fixtures of *item* if it has not asked for them. Never
    switches.
    """
    if not item.config.stash[ACTIVE]:
        return (yield)
    from vinyl.pytest_plugin.access import phase

    with phase(getattr(item, "fixturenames", None)):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: Any, request: Any) -> Generator[None, Any, Any]:
    """Let a fixture take part in the test's transactions. Never switches."""
    if not request.config.stash[ACTIVE] or fixturedef.scope != "function":
        return (yield)
    from vinyl.pytest_plugin.steps import patched_fixture

    with patched_fixture(fixturedef):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """
    Let a test take part in its transactions, and refuse the databases if it has not
    asked for them. Never switches.
    """
    if not item.config.stash[ACTIVE]:
        return (yield)
    from vinyl.pytest_plugin.access import phase
    from vinyl.pytest_plugin.steps import patched_test

    with phase(getattr(item, "fixturenames", None)), patched_test(item):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> None:
    """
    Explain the error of *call*, a phase of the test *item*, and shorten its traceback
    to the project's lines. Never switches.
    """
    if call.excinfo is None or not item.config.stash[ACTIVE]:
        return
    from vinyl.orm.dualmode.awaited_value import note_awaited_value

    error = call.excinfo.value
    # Before shortening, because it looks for the line that awaited.
    note_awaited_value(error)
    try:
        from vinyl.web.testing.tracebacks import shorten
    except ImportError:
        # Without httpx there is no client, whose frames these would be.
        return
    if not item.config.getoption("fulltrace") and shorten(error):
        call.excinfo = pytest.ExceptionInfo.from_exception(error)
