"""
The system check that reads the project's own source for a missing `await`.

This module selects the project's files and formats the messages; `rules.find()` finds
the mistakes.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core import checks

from vinyl.bridge import mode

__all__ = ["check_awaits"]

# By kind of mistake: the id, and what is wrong.
_PROBLEMS = {
    "call": ("vinyl.W001", "not awaited, so it never runs"),
    "queryset": ("vinyl.W002", "not awaited, so its rows have not been fetched"),
    "atomic": ("vinyl.W003", "entered with `with`, which blocks the event loop"),
    "tested": (
        "vinyl.W004",
        "a NotFetched until it is awaited, so this does not test its value",
    ),
    "lazy": (
        "vinyl.W005",
        "used before it is awaited, so its value has not been fetched",
    ),
}
# Tests are not checked: they run, so Python warns about missing awaits, and some tests
# leave them out deliberately.
_TESTS = re.compile(r"\btests?\.|\b(tests?(_\w+)?|conftest)$")
_NOQA = re.compile(r"# *noqa(?: *: *([^#]*))?", re.IGNORECASE)


@checks.register("vinyl")
def check_awaits(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """
    Return a warning for each mistake in an `async def` of the project.

    vinyl.W001: a call that uses the database is not awaited.
    vinyl.W002: a queryset that has not been awaited is used for its rows.
    vinyl.W003: `with transaction.atomic()` instead of `async with`.
    vinyl.W004: a lazy attribute is used in a test that cannot raise an error.
    vinyl.W005: a lazy attribute, or the user or session of a request, is used
        before it is awaited.

    Never switches.
    """
    messages: list[checks.CheckMessage] = []
    if mode.forced_mode is False:
        return messages
    for path, (module, package) in sorted(_own_modules(app_configs).items()):
        try:
            source = path.read_bytes()
            if b"async def" in source:
                text = importlib.util.decode_source(source)
                messages += _warnings_of(text, module, package, place=str(path))
        except Exception:
            # Unreadable, not Python, or nested too deeply for the parser. An error
            # here would keep the server from starting.
            continue
    return messages


def _warnings_of(
    source: str, module: str, package: str, *, place: str
) -> list[checks.Warning]:
    """
    Return a warning for each `await` that is missing in *source*.

    Args:
        source: The text of *module*, which is in *package*.
        place: The path in the warnings, before the line number.
    """
    # Here, because only `vinyl check` needs it, and every process starts.
    from vinyl.orm.lint import rules

    lines = source.split("\n")
    warnings = []
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
            warnings.append(
                checks.Warning(message, hint, f"{place}:{node.lineno}", id_)
            )
    return warnings


def _own_modules(app_configs: Any) -> dict[Path, tuple[str, str]]:
    """
    Return the project's own files, without tests: the names of the module and of the
    package by path.

    Args:
        app_configs: The apps to read. None stands for all of them and the packages of
            the settings and of `ROOT_URLCONF`.
    """
    configs = app_configs or apps.get_app_configs()
    folders = [(Path(config.path), config.name) for config in configs]
    for name in (settings.SETTINGS_MODULE, getattr(settings, "ROOT_URLCONF", None)):
        if app_configs is None and isinstance(name, str) and "." in name:
            package = name.rpartition(".")[0]
            top, *rest = package.split(".")
            with suppress(ValueError):
                # find_spec() imports the parents, and a top-level package has none.
                spec = importlib.util.find_spec(top)
                places = (spec and spec.submodule_search_locations) or ()
                folders += [(Path(place, *rest), package) for place in places]
    modules = {}
    for folder, name in folders:
        installed = {"site-packages", "dist-packages"} & set(folder.parts)
        if installed or name.startswith(("django.", "vinyl.")):
            continue
        for place, inside, files in os.walk(folder):
            # The rest are not packages: a virtual environment, for example.
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
