"""
The system check of the project's own source, for ORM calls that nobody awaits.

Which files are the project's, and what is said of each expression that `rules.find()`
gives.
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

from vinyl.bridge import greenlets
from vinyl.orm.lint import rules

__all__ = ["check_awaits"]

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
