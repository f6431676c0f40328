"""The fixtures with the names that pytest-django has, too; not added if it is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core import mail
from django.test.utils import override_settings

from vinyl.pytest_plugin import access
from vinyl.pytest_plugin.databases import flushed, made_databases, rolled_back
from vinyl.pytest_plugin.live import LiveServer, serving

__all__ = [
    "admin_user",
    "databases",
    "db",
    "live_server",
    "mailoutbox",
    "settings",
    "transactional_db",
]


@pytest.fixture(scope="session")
def databases(pytestconfig: pytest.Config) -> Iterator[None]:
    """
    Empty, migrated test databases, which are removed at the end of the session, or kept
    with `--reuse-db`. Each process of pytest-xdist has its own.

    Meanwhile passwords are hashed by MD5, unless the settings set `PASSWORD_HASHERS`.

    Never switches.
    """
    option = pytestconfig.getoption
    reporter = pytestconfig.pluginmanager.get_plugin("terminalreporter")

    def tell(text: str) -> None:
        if reporter is not None:  # a process of pytest-xdist has none
            reporter.write_line("")
            reporter.write_line(text)

    access.allow()
    reuse, create = option("reuse_db"), option("create_db")
    with made_databases(reuse=reuse, create=create, tell=tell):
        yield


@pytest.fixture
def db(request: pytest.FixtureRequest, databases: None) -> Iterator[None]:
    """
    The test databases. What the test writes is rolled back after it.

    Everything that the test awaits runs in one transaction, and so do its fixtures, and
    plain tests. If the test also has `transactional_db` or `live_server`, there is no
    transaction.

    Never switches.
    """
    if {"transactional_db", "live_server"} & set(request.fixturenames):
        request.getfixturevalue("transactional_db")
        yield
        return
    access.allow()
    with rolled_back(), access.guarding():
        yield


@pytest.fixture
def transactional_db(databases: None) -> Iterator[None]:
    """
    The test databases, without a transaction around the test: what it commits is seen
    by other connections and threads, and the databases are emptied after it, except for
    what migrations have written. Slower than `db`.

    Never switches.
    """
    if access.in_transaction():
        pytest.fail(
            "The fixture `transactional_db` was requested by getfixturevalue() after "
            "the transaction of `db` had begun, so the test would stay in it. Name "
            "`transactional_db` among the arguments of the test, or in "
            "`@pytest.mark.usefixtures`."
        )
    access.allow()
    with flushed():
        yield


@pytest.fixture
def admin_user(db: None) -> Any:
    """
    A superuser "admin" with the password "password", made or found. Never switches.
    """
    from django.contrib.auth import get_user_model

    model: Any = get_user_model()
    try:
        return model._default_manager.get_by_natural_key("admin")
    except model.DoesNotExist:
        fields = {model.USERNAME_FIELD: "admin"}
        if "email" in model.REQUIRED_FIELDS:
            fields["email"] = "admin@example.com"
        return model._default_manager.create_superuser(password="password", **fields)


class Settings:
    """Django's settings, whose changes a test undoes at its end."""

    def __init__(self) -> None:
        vars(self)["changes"] = []

    def __getattr__(self, name: str) -> Any:
        from django.conf import settings

        return getattr(settings, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._change(**{name: value})

    def __delattr__(self, name: str) -> None:
        from django.conf import settings

        self._change()
        delattr(settings, name)

    def _change(self, **changed: Any) -> None:
        change = override_settings(**changed)
        change.enable()
        self.changes.append(change)


@pytest.fixture
def settings() -> Iterator[Settings]:
    """
    Django's settings. What the test assigns or deletes is undone after it, and Django
    is told of it, as by `override_settings()`. Never switches.
    """
    changed = Settings()
    yield changed
    for change in reversed(changed.changes):
        change.disable()


@pytest.fixture
def mailoutbox(databases: None) -> list[Any]:
    """The e-mails that the test has sent, at first none. Never switches."""
    mail.outbox = []
    return mail.outbox


@pytest.fixture
def live_server(transactional_db: None) -> Iterator[LiveServer]:
    """
    The project on a real server in another thread, at `live_server.url`, for browsers
    and other programs. The test gets `transactional_db`. Never switches.
    """
    with serving() as server:
        yield server
