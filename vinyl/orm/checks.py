"""
System checks: of the options of the pools, of `settings.VINYL`, and of the project's
own source, for ORM calls that nobody awaits.

For the source, here is which files are read and what is said of them; what they forget
is found by `rules.find()`.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS, connections, router

from vinyl.bridge import greenlets, threads
from vinyl.orm.lint import rules
from vinyl.orm.observe import events, fetch_modes, n_plus_one
from vinyl.orm.pools.options import IGNORED
from vinyl.orm.pools.registry import configured_pools

__all__ = [
    "check_awaits",
    "check_loads",
    "check_observing",
    "check_pools",
    "check_replicas",
    "check_routers",
    "check_threads",
]

# By the kind of what is forgotten: the id, and what is wrong.
_PROBLEMS = {
    "call": ("vinyl.W001", "not awaited, so it never runs"),
    "queryset": ("vinyl.W002", "not awaited, so its rows are not here"),
    "atomic": ("vinyl.W003", "entered by a blocking `with`"),
    "tested": (
        "vinyl.W004",
        "a NotFetched until it is awaited, which this test takes for its value",
    ),
    "lazy": ("vinyl.W005", "used before it is awaited, so its value is not here"),
}
# Tests run, so Python tells of what they forget; and some do it on purpose.
_TESTS = re.compile(r"\btests?\.|\b(tests?(_\w+)?|conftest)$")
_NOQA = re.compile(r"# *noqa(?: *: *([^#]*))?", re.IGNORECASE)


@checks.register("vinyl")
def check_pools(**kwargs: Any) -> list[checks.CheckMessage]:
    """
    vinyl.E001: the options of a pool are wrong.
    vinyl.W020: an option is psycopg_pool's and has no effect here.
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
def check_awaits(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """
    vinyl.W001: a call that touches the database is not awaited in `async def`.
    vinyl.W002: rows of a queryset that has not been awaited are used there.
    vinyl.W003: `with transaction.atomic()` is used there.
    vinyl.W004: a lazy attribute is tested there in a way that no object can refuse.
    vinyl.W005: a lazy attribute, or the user or session of a request, is used there.
    """
    messages: list[checks.CheckMessage] = []
    if greenlets.forced_mode is False:
        return messages
    for path, (module, package) in sorted(_own_modules(app_configs).items()):
        try:
            source = path.read_bytes()
            if b"async def" in source:
                text = importlib.util.decode_source(source)
                messages += _warnings_of(text, module, package, place=str(path))
        except Exception:
            # Not to be read, no Python, or too deep for the parser. That is not for
            # this check to tell, and would keep the server from starting.
            continue
    return messages


@checks.register("vinyl")
def check_observing(**kwargs: Any) -> list[checks.CheckMessage]:
    """vinyl.E004: what VINYL says of logging slow queries or of spans is not usable."""
    options = getattr(settings, "VINYL", {})
    slow = options.get("SLOW_QUERIES")
    shows_params = options.get("SLOW_QUERIES_PARAMS", False)
    spans = options.get("OPENTELEMETRY", "auto")
    told: list[checks.CheckMessage] = []

    def tell(key: str, problem: str, hint: str) -> None:
        message = f"settings.VINYL[{key!r}] is {options[key]!r}, {problem}."
        told.append(checks.Error(message, hint=hint, id="vinyl.E004"))

    if slow is not None and not events.is_threshold(slow):
        tell(
            "SLOW_QUERIES",
            "which is no length of time, so no slow query is logged",
            "Use a positive number of seconds, such as 0.5, or None to log none.",
        )
    if not isinstance(shows_params, bool):
        tell(
            "SLOW_QUERIES_PARAMS",
            "which is neither True nor False, so parameters are not shown",
            "Use True to show them in the log, or False.",
        )
    if not (isinstance(spans, bool) or spans == "auto"):
        tell(
            "OPENTELEMETRY",
            "which is not among its values, so no span is made",
            "Use 'auto' (where opentelemetry-api is installed), True or False.",
        )
    elif spans is True and not events.opentelemetry_is_there():
        tell(
            "OPENTELEMETRY",
            "but opentelemetry cannot be imported, so no span is made",
            "Install opentelemetry-api, or use 'auto' to do without.",
        )
    return told


@checks.register("vinyl")
def check_threads(**kwargs: Any) -> list[checks.CheckMessage]:
    """vinyl.E006: VINYL["THREADS"] is no number of threads."""
    try:
        threads.number_of_threads()
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="vinyl.E006")]
    return []


@checks.register("vinyl")
def check_loads(**kwargs: Any) -> list[checks.CheckMessage]:
    """vinyl.E005: what VINYL says of lazy loads in templates is not usable."""
    options = getattr(settings, "VINYL", {})
    policy = options.get("LAZY_IN_TEMPLATES", "allow")
    mode = options.get("TEMPLATE_FETCH_MODE", "one")
    told: list[checks.CheckMessage] = []

    def tell(key: str, problem: str, hint: str) -> None:
        message = f"settings.VINYL[{key!r}] is {options[key]!r}, {problem}."
        told.append(checks.Error(message, hint=hint, id="vinyl.E005"))

    if policy not in n_plus_one.POLICIES:
        tell(
            "LAZY_IN_TEMPLATES",
            "which is not among its values, so templates may load lazily",
            "Use 'allow', 'warn' (log each line) or 'raise' (an error).",
        )
    if mode not in fetch_modes.MODES:
        tell(
            "TEMPLATE_FETCH_MODE",
            "which is not among its values, so templates fetch one by one",
            "Use 'one', or 'peers' (for a whole list at once).",
        )
    elif mode == "peers" and not fetch_modes.are_supported():
        tell(
            "TEMPLATE_FETCH_MODE",
            "for which Django 6.1 is needed, so templates fetch one by one",
            f"Install Django 6.1 (this is {django.get_version()}), or use 'one'.",
        )
    return told


@checks.register("vinyl")
def check_replicas(**kwargs: Any) -> list[checks.CheckMessage]:
    """vinyl.E003: VINYL["REPLICAS"] does not list replicas."""
    replicas = getattr(settings, "VINYL", {}).get("REPLICAS", ())
    mistakes: list[tuple[str, str]] = []
    if isinstance(replicas, list | tuple):
        for alias in replicas:
            if alias == DEFAULT_DB_ALIAS:
                problem = "is the primary, which is written to"
                mistakes.append((f"contains {alias!r}, which {problem}", "Remove it."))
            elif not isinstance(alias, str) or alias not in connections.settings:
                hint = "Add it to DATABASES, or correct its name."
                mistakes.append(
                    (f"contains {alias!r}, which is not in DATABASES", hint)
                )
    else:
        hint = "List the aliases of the replicas, as in ['replica']."
        mistakes.append((f"is {replicas!r}, which is no list", hint))
    return [
        checks.Error(f"settings.VINYL['REPLICAS'] {problem}.", hint, id="vinyl.E003")
        for problem, hint in mistakes
    ]


@checks.register("vinyl")
def check_routers(**kwargs: Any) -> list[checks.CheckMessage]:
    """vinyl.E007: a method of a database router is `async def`."""
    return [
        checks.Error(
            f"{type(each).__qualname__}.{name} of settings.DATABASE_ROUTERS is `async "
            f"def`, and where a query goes cannot be waited for: its coroutine would "
            f"be taken for the answer.",
            "Make it a plain function, which does not query.",
            id="vinyl.E007",
        )
        for each in router.routers
        for name in ("db_for_read", "db_for_write", "allow_relation", "allow_migrate")
        if inspect.iscoroutinefunction(getattr(each, name, None))
    ]


def _warnings_of(
    source: str, module: str, package: str, *, place: str
) -> list[checks.Warning]:
    """
    Return a warning for each thing that *source* forgets to await.

    Args:
        source: The text of *module*, which is in *package*.
        place: What to call it in the warnings, before the number of the line.
    """
    lines = source.split("\n")
    told = []
    for node, kind, function, remedy in rules.find(source, module, package):
        id_, problem = _PROBLEMS[kind]
        noted = [
            _NOQA.search(line) for line in lines[node.lineno - 1 : node.end_lineno]
        ]
        # A "noqa" without ids, or with this one, silences its line.
        if not any(found and id_ in (found[1] or id_) for found in noted):
            code = ast.unparse(node)
            code = code if len(code) <= 60 else f"{code[:57]}..."
            message = f"`{code}` in `async def {function}()` is {problem}."
            hint = f"Write {remedy.replace('{}', code)}."
            told.append(checks.Warning(message, hint, f"{place}:{node.lineno}", id_))
    return told


def _own_modules(app_configs: Any) -> dict[Path, tuple[str, str]]:
    """The files of the project, without its tests, with module and package of each."""
    configs = app_configs or apps.get_app_configs()
    folders = [(Path(config.path), config.name) for config in configs]
    for name in (settings.SETTINGS_MODULE, getattr(settings, "ROOT_URLCONF", None)):
        if app_configs is None and isinstance(name, str) and "." in name:
            package = name.rpartition(".")[0]
            top, *rest = package.split(".")
            with suppress(ValueError):
                # Of a top-level package this imports nothing; of one inside, it would.
                spec = importlib.util.find_spec(top)
                places = (spec and spec.submodule_search_locations) or ()
                folders += [(Path(place, *rest), package) for place in places]
    modules = {}
    for folder, name in folders:
        installed = {"site-packages", "dist-packages"} & set(folder.parts)
        if installed or name.startswith(("django.", "vinyl.")):
            continue
        for place, inside, files in os.walk(folder):
            # Others hold other things, such as a virtual environment.
            inside[:] = [
                it for it in inside if it.isidentifier() and it != "node_modules"
            ]
            package = ".".join([name, *Path(place).relative_to(folder).parts])
            for path in map(Path(place).joinpath, files):
                module = f"{package}.{path.stem}".removesuffix(".__init__")
                own = path.suffix == ".py" and path.stem.isidentifier()
                if own and not _TESTS.search(module):
                    modules[path] = module, package
    return modules
