"""
The async fixtures, made for the plugin that runs async fixtures: anyio's, or
pytest-asyncio.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from inspect import isasyncgenfunction, iscoroutinefunction
from types import ModuleType
from typing import Any

import pytest

__all__ = ["made_for", "runs_by_anyio", "uses_async_fixture"]


def made_for(config: Any) -> ModuleType:
    """
    Return a module with the fixtures for the plugins of pytest's *config*.

    The names are `client` and `admin_client`. With pytest-django, whose clients have
    these names, they are `vinyl_client` and `vinyl_admin_client`.

    Never switches.
    """
    plugins = config.pluginmanager
    prefix = "vinyl_" if plugins.has_plugin("django") else ""
    module = ModuleType("vinyl.async_fixtures")
    if plugins.has_plugin("asyncio") and not runs_by_anyio(config):
        _add_for_asyncio(module, prefix)
    else:
        _add_for_anyio(module, prefix)
    return module


def runs_by_anyio(config: Any) -> bool:
    """Whether anyio's plugin runs all async tests. Never switches."""
    return "auto" in (config.getoption("anyio_mode"), config.getini("anyio_mode"))


def uses_async_fixture(item: Any) -> bool:
    """Whether a fixture of the test *item* is async. Never switches."""
    return any(
        iscoroutinefunction(definition.func) or isasyncgenfunction(definition.func)
        for definitions in item._fixtureinfo.name2fixturedefs.values()
        for definition in definitions[-1:]
    )


def _add_for_anyio(module: Any, prefix: str) -> None:
    @pytest.fixture
    def anyio_backend() -> str:
        """The event loop that `async def` tests and fixtures run on."""
        return "asyncio"

    @pytest.fixture(name=f"{prefix}client")
    async def client(anyio_backend: Any, db: None) -> AsyncIterator[Any]:
        """
        A `vinyl.web.testing.Client`, which calls the project's application directly,
        without a server. It reads and writes the test databases of `db`.
        """
        async for http in _client():
            yield http

    @pytest.fixture(name=f"{prefix}admin_client")
    async def admin_client(
        anyio_backend: Any, db: None, admin_user: Any
    ) -> AsyncIterator[Any]:
        """A second client, logged in as `admin_user`."""
        async for http in _client(admin_user):
            yield http

    module.anyio_backend = anyio_backend
    module.client, module.admin_client = client, admin_client


def _add_for_asyncio(module: Any, prefix: str) -> None:
    import pytest_asyncio

    async def client(db: None) -> AsyncIterator[Any]:
        """As for anyio."""
        async for http in _client():
            yield http

    async def admin_client(db: None, admin_user: Any) -> AsyncIterator[Any]:
        """As for anyio."""
        async for http in _client(admin_user):
            yield http

    for function in (client, admin_client):
        name = f"{prefix}{function.__name__}"
        setattr(module, name, pytest_asyncio.fixture(name=name)(function))


async def _client(user: Any = None) -> AsyncIterator[Any]:
    """Yield a client, logged in as *user* if that is given."""
    from vinyl.web import testing

    async with testing.client() as http:
        if user is not None:
            await http.force_login(user)
        yield http
