"""System checks of the pools, the database routers and `settings.VINYL`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

import django
from django.conf import settings
from django.core import checks
from django.db import DEFAULT_DB_ALIAS, connections, router

from vinyl import DOCUMENTATION
from vinyl.conf import VinylSettings, check_keys, vinyl_settings
from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.contrib.thread_locals import middleware_with_thread_locals
from vinyl.orm.lint import checks as lint_checks  # noqa: F401 (registers its check)
from vinyl.orm.observe import fetch_modes
from vinyl.orm.observe.tracing import opentelemetry_is_installed
from vinyl.orm.pools.options import IGNORED
from vinyl.orm.pools.registry import configured_pools

__all__ = [
    "check_django_handler",
    "check_fetch_mode",
    "check_opentelemetry",
    "check_pools",
    "check_replicas",
    "check_routers",
    "check_settings",
    "check_task_locals",
    "check_tenants",
]


@checks.register("vinyl")
def check_pools(**kwargs: Any) -> list[checks.CheckMessage]:
    """
    vinyl.E001: an option of a pool is wrong.
    vinyl.W020: an option of psycopg_pool has no effect on vinyl's pool.

    Never switches.
    """
    messages: list[checks.CheckMessage] = []
    for alias, _, problems, ignored in configured_pools():
        place = f"DATABASES[{alias!r}]['OPTIONS']['pool']"
        messages += [
            checks.Error(f"{place} {problem}", remedy, id="vinyl.E001")
            for problem, remedy in problems
        ]
        messages += [
            checks.Warning(
                f"{place} has the key {name!r} of psycopg_pool, which has no effect on "
                f"vinyl's pool.",
                f"{IGNORED[name]} Remove the key, or silence this check.",
                id="vinyl.W020",
            )
            for name in ignored
        ]
    return messages


@checks.register("vinyl")
def check_settings(**kwargs: Any) -> list[checks.CheckMessage]:
    """
    vinyl.E003, E004, E005, E006, E008, E009, E010, E011: a value in `settings.VINYL`
    is invalid.

    Never switches.
    """
    return list(check_keys("vinyl.E0"))


@checks.register("vinyl")
def check_replicas(**kwargs: Any) -> list[checks.CheckMessage]:
    """
    vinyl.E003: `VINYL["REPLICAS"]` contains an alias that is not a replica.

    Never switches.
    """
    found: list[checks.CheckMessage] = []
    if VinylSettings.REPLICAS.check():
        return found
    for alias in vinyl_settings.REPLICAS:
        if alias == DEFAULT_DB_ALIAS:
            problem, hint = "which is the primary and not a replica", "Remove it."
        elif not isinstance(alias, str) or alias not in connections.settings:
            problem = "which is not in DATABASES"
            hint = "Add it to DATABASES, or correct its name."
        else:
            continue
        message = f"settings.VINYL['REPLICAS'] contains {alias!r}, {problem}."
        found.append(checks.Error(message, hint, id="vinyl.E003"))
    return found


@checks.register("vinyl")
def check_task_locals(**kwargs: Any) -> list[checks.CheckMessage]:
    """
    vinyl.E011: `VINYL["TASK_LOCALS"]` names something in a module that cannot be
    imported. What else is wrong is an error of the import.

    Never switches.
    """
    found: list[checks.CheckMessage] = []
    for path in vinyl_settings.TASK_LOCALS:
        module = path.rpartition(".")[0]
        try:
            import_module(module)
        except ImportError as error:
            message = (
                f"settings.VINYL['TASK_LOCALS'] contains {path!r}, but {module!r} "
                f"cannot be imported: {error}."
            )
            hint = "Correct the name of the module, or remove the entry."
            found.append(checks.Error(message, hint, id="vinyl.E011"))
    return found


@checks.register("vinyl")
def check_opentelemetry(**kwargs: Any) -> list[checks.CheckMessage]:
    """
    vinyl.E004: `VINYL["OPENTELEMETRY"]` is True, but the package is missing.

    Never switches.
    """
    if vinyl_settings.OPENTELEMETRY is not True or opentelemetry_is_installed():
        return []
    return [
        checks.Error(
            "settings.VINYL['OPENTELEMETRY'] is True, but opentelemetry cannot be "
            "imported, so no spans are created.",
            "Install opentelemetry-api, or set it to 'auto', which works without it.",
            id="vinyl.E004",
        )
    ]


@checks.register("vinyl")
def check_fetch_mode(**kwargs: Any) -> list[checks.CheckMessage]:
    """
    vinyl.E005: this Django does not support `VINYL["TEMPLATE_FETCH_MODE"]`.

    Never switches.
    """
    mode = vinyl_settings.TEMPLATE_FETCH_MODE
    if mode != "peers" or fetch_modes.are_supported():
        return []
    return [
        checks.Error(
            "settings.VINYL['TEMPLATE_FETCH_MODE'] is 'peers', which requires Django "
            "6.1, so templates fetch for one instance at a time.",
            f"Install Django 6.1 (this is {django.get_version()}), or use 'one'.",
            id="vinyl.E005",
        )
    ]


@checks.register("vinyl")
def check_routers(**kwargs: Any) -> list[checks.CheckMessage]:
    """
    vinyl.E007: a method of a database router is `async def`.

    Never switches.
    """
    return [
        checks.Error(
            f"{type(each).__qualname__}.{name}, of a router in "
            f"settings.DATABASE_ROUTERS, is `async def`. Routers are called without "
            f"await, so Django would take the coroutine for the answer.",
            "Make it a plain function that does not run a query.",
            id="vinyl.E007",
        )
        for each in router.routers
        for name in ("db_for_read", "db_for_write", "allow_relation", "allow_migrate")
        if inspect.iscoroutinefunction(getattr(each, name, None))
    ]


@checks.register("vinyl")
def check_django_handler(**kwargs: Any) -> list[checks.CheckMessage]:
    """
    vinyl.W021: requests in the bridge would share the state of a middleware.

    Never switches.
    """
    if vinyl_settings.DJANGO_HANDLER != "bridge":
        return []
    return [
        checks.Warning(
            f"settings.MIDDLEWARE contains {path!r}, whose state is in a "
            f"threading.local of {module!r}. Requests in the bridge share one thread, "
            f"so one request would see the state of another.",
            f"Add that threading.local to VINYL['TASK_LOCALS'], as "
            f"'{module}.its_name', use a version that keeps the state in a "
            f"contextvars.ContextVar, or set VINYL['DJANGO_HANDLER'] to 'threads'.",
            id="vinyl.W021",
        )
        for path, module in middleware_with_thread_locals(settings.MIDDLEWARE)
    ]


@checks.register("vinyl")
def check_tenants(**kwargs: Any) -> list[checks.CheckMessage]:
    """
    vinyl.W022: the connections of a backend, as those of django-tenants, keep the
    tenant that is set.

    Never switches.
    """
    backends = {alias: type(connections[alias]) for alias in connections}
    return [
        checks.Warning(
            f"DATABASES[{alias!r}] has the backend {backend.__module__!r}, whose "
            f"connections keep the tenant that is set. In async code each query "
            f"borrows a connection, which has none, so it uses the public schema.",
            "Set the tenant inside of a plain function that contains the queries, and "
            "await it with vinyl.orm.run(): it has one connection. Sync views in the "
            "bridge do so. Or let ORIGINAL_BACKEND be Django's own backend.",
            id="vinyl.W022",
        )
        for alias, backend in backends.items()
        if issubclass(backend, BridgeMixin) and hasattr(backend, "set_tenant")
    ]


def patch_run_checks(run_checks: Callable[..., Any]) -> Callable[..., Any]:
    """
    `run_checks()`, whose first message of each of vinyl's ids has a link to its section
    of the documentation.
    """

    @functools.wraps(run_checks)
    def patched(*args: Any, **kwargs: Any) -> list[checks.CheckMessage]:
        messages: list[checks.CheckMessage] = run_checks(*args, **kwargs)
        first = {message.id: message for message in reversed(messages)}
        for id_, message in first.items():
            if id_ and id_.startswith("vinyl."):
                # As Sphinx spells the anchor of the heading.
                anchor = id_.lower().replace(".", "-")
                link = f"{DOCUMENTATION}/reference/checks.html#{anchor}"
                message.hint = f"{message.hint or ''} See {link}".lstrip()
        return messages

    return patched
