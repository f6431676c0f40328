"""
vinyl.orm without a web layer: `configure()` takes the place of a settings module, and
`lifespan()` is for the application that surrounds it, such as one of FastAPI.

    configure("postgres://shop@localhost/shop", apps=["shop"])
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import django
from django.apps import AppConfig
from django.apps import apps as registry
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from vinyl.databases import database_from_url
from vinyl.orm.pools.registry import close_pools, open_pools

__all__ = ["configure", "lifespan"]

# The settings that arguments of configure() stand for.
_ARGUMENTS = {"DATABASES": "database", "INSTALLED_APPS": "apps"}


class ScriptConfig(AppConfig):
    """The app of a script, whose module is `__main__`: named like its file."""

    name = "__main__"
    file = getattr(sys.modules["__main__"], "__file__", None)
    label = Path(file).stem if file else "main"


def configure(
    database: str | Mapping[str, str],
    *,
    apps: Iterable[str] = (),
    base_dir: str | Path | None = None,
    **options: Any,
) -> None:
    """
    Set Django up for the models of *apps* in *database*, in place of a settings module.
    Models are imported after this call, or defined in the module that makes it.

    Args:
        database: The URL of the database, as for `database_from_url()`; or the URLs of
            several by alias, one of them "default".
        apps: The packages or modules with the models, as in `INSTALLED_APPS`. A module
            that defines its own models passes `__name__`; its migrations are in the
            package `migrations` beside it, if there is one.
        base_dir: The folder for relative SQLite files; None for the working directory.
        options: More of Django's settings, such as `TIME_ZONE`.

    Raises:
        ImproperlyConfigured: Django has been configured before; a URL is not valid; or
            an app is no module that can be found.
        TypeError: *apps* is a string, or an option is not the name of a setting.

    Never switches.
    """
    _refuse_again()
    entries = _checked_apps(apps)
    for name in options:
        _check_option(name)
    folder = Path.cwd() if base_dir is None else Path(base_dir)
    urls = {"default": database} if isinstance(database, str) else dict(database)
    databases = {alias: database_from_url(url, folder) for alias, url in urls.items()}
    if "default" not in databases:
        raise ImproperlyConfigured(
            f"configure() was given the databases {sorted(databases)}, but Django "
            f"needs one that is called 'default'. Call one of them so."
        )
    defaults = {
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        # The application that surrounds this configures logging itself.
        "LOGGING_CONFIG": None,
        "MIGRATION_MODULES": _migrations_of(entries),
        "USE_TZ": True,
    }
    settings.configure(
        **{**defaults, **options},
        DATABASES=databases,
        INSTALLED_APPS=["vinyl.orm", *(_entry_of(name) for name in entries)],
    )
    django.setup()
    for config in registry.get_app_configs():
        if not hasattr(config.module, "__path__"):
            # So that `migrate --run-syncdb` creates its tables.
            config.models_module = config.module


@asynccontextmanager
async def lifespan(app: object = None) -> AsyncIterator[None]:
    """
    Return an async context manager in which the databases are used: at its end it
    closes the connections of the running event loop.

    Pass the function itself to an ASGI framework, `FastAPI(lifespan=lifespan)`, or use
    it in a script: `async with lifespan():`.

    Args:
        app: The application, which frameworks pass.

    Switches to the event loop.
    """
    await open_pools()
    try:
        yield
    finally:
        await close_pools()


def _refuse_again() -> None:
    if settings.configured:
        module = getattr(settings, "SETTINGS_MODULE", None)
        by = f"from the settings module {module!r}" if module else "by an earlier call"
        raise ImproperlyConfigured(
            f"configure() was called, but Django has been configured already, {by}, "
            f"which cannot be changed. Call it once, in a module that is imported "
            f"before anything uses the settings, and not in a project that has a "
            f"settings module."
        )


def _checked_apps(apps: Iterable[str]) -> list[str]:
    if isinstance(apps, str):
        raise TypeError(
            f"configure() was given apps={apps!r}, which is one string, but takes a "
            f"list. Write apps=[{apps!r}]."
        )
    entries = list(apps)
    for entry in entries:
        if not _can_be_found(entry):
            raise ImproperlyConfigured(
                f"configure() was given the app {entry!r}, but there is no module of "
                f"this name in {Path.cwd()} or elsewhere on the import path. Correct "
                f"the name, or start Python in the folder that contains the module."
            )
    return entries


def _can_be_found(entry: str) -> bool:
    if entry in sys.modules:
        return True
    # "shop.apps.ShopConfig" names a class.
    for name in (entry, entry.rpartition(".")[0]):
        try:
            if name and find_spec(name) is not None:
                return True
        except ModuleNotFoundError:
            continue
    return False


def _check_option(name: str) -> None:
    if name in _ARGUMENTS:
        raise TypeError(
            f"configure() was given {name}, which it sets itself. Pass "
            f"{_ARGUMENTS[name]}= instead."
        )
    if not name.isupper():
        raise TypeError(
            f"configure() was given {name!r}, which is not the name of a setting: they "
            f"are in capital letters. Write {name.upper()}= if you mean a setting."
        )


def _entry_of(name: str) -> str:
    return f"{__name__}.ScriptConfig" if name == "__main__" else name


def _migrations_of(entries: list[str]) -> dict[str, str]:
    """The packages of migrations beside apps that are modules rather than packages."""
    found = {}
    for name in entries:
        module = sys.modules.get(name)
        file = getattr(module, "__file__", None)
        if file is None or hasattr(module, "__path__"):
            continue
        # Django refuses to start if it is named and not there.
        if (Path(file).parent / "migrations" / "__init__.py").is_file():
            label = ScriptConfig.label if name == "__main__" else name
            parent, _, last = label.rpartition(".")
            found[last] = f"{parent}.migrations" if parent else "migrations"
    return found
