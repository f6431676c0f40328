"""What modules list as public, and what the docstrings of it say."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.apps import AppConfig

from tests.test_package import BY_NAME, ROOT

# The last sentence of a docstring: whether the call switches, and in which case.
SWITCHES = re.compile(r"(Never switches|Switches to the event loop)\b[^.]*\.$")

# Packages whose names users import from them, wherever they are defined.
FACES = (
    "vinyl.orm",
    "vinyl.orm.pools",
    "vinyl.web",
    "vinyl.web.admin",
    "vinyl.web.staticfiles",
    "vinyl.web.templating",
    "vinyl.web.testing",
)
FLAT = tuple(
    name
    for name, path in BY_NAME.items()
    if path.name != "__init__.py" and path.parent in (ROOT, ROOT / "orm", ROOT / "web")
)
MACHINERY = tuple(
    name
    for name, path in BY_NAME.items()
    if path.name != "__init__.py" and name not in FLAT
)

# Where else a name of a machinery module may be in use; vinyl for its templates.
OTHERS = [
    path
    for folder in ("vinyl", "tests", "docs", "project_template", "scripts")
    for path in (ROOT.parent / folder).rglob("*")
    if path.suffix in (".py", ".md", ".html") and path not in BY_NAME.values()
]


def imported(name: str) -> ModuleType:
    """Module *name*; its test is skipped where what it plugs into is not installed."""
    if name in ("vinyl.mypy_awaits", "vinyl.mypy_plugin"):
        pytest.importorskip("mypy")
    return import_module(name)


def names_of(module: ModuleType) -> list[str]:
    return list(getattr(module, "__all__", ()))


def imported_from() -> dict[str, set[str]]:
    """The names that other modules of vinyl import, by the module they are in."""
    found: dict[str, set[str]] = {name: set() for name in BY_NAME}
    for path in BY_NAME.values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in BY_NAME:
                found[node.module] |= {
                    alias.name
                    for alias in node.names
                    if f"{node.module}.{alias.name}" not in BY_NAME
                }
    return found


IMPORTED = imported_from()


def words_of(paths: list[Path]) -> set[str]:
    return {word for path in paths for word in re.findall(r"\w+", path.read_text())}


WORDS_OF = {name: words_of([path]) for name, path in BY_NAME.items()}
WORDS_OF_OTHERS = words_of(OTHERS)


def with_methods(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """*value*, if it is a class or function of vinyl, and its public methods."""
    value = inspect.unwrap(value) if callable(value) else value
    if not str(getattr(value, "__module__", "")).startswith("vinyl"):
        return
    if inspect.isclass(value) or inspect.isfunction(value):
        yield name, value
    if inspect.isclass(value):
        for attribute, member in vars(value).items():
            member = getattr(member, "__func__", member)
            if attribute.startswith("_") or not callable(member):
                continue
            member = inspect.unwrap(member)
            # What overrides something is described where that is.
            if inspect.isfunction(member) and not any(
                hasattr(base, attribute) for base in value.__mro__[1:]
            ):
                yield f"{name}.{attribute}", member


def defined_in(module: ModuleType) -> Iterator[tuple[str, Any]]:
    for name in names_of(module):
        value = getattr(module, name)
        if getattr(value, "__module__", None) == module.__name__:
            yield from with_methods(name, value)


def docstring_of(value: Any) -> str:
    """The docstring of *value* itself: a class inherits that of its base."""
    own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    return (own or "").strip()


def parameters_of(value: Any) -> list[str]:
    """The parameters that a docstring has to mention."""
    function = vars(value).get("__init__") if inspect.isclass(value) else value
    if not inspect.isfunction(function):
        return []
    names = [
        name
        for name in inspect.signature(function).parameters
        if name not in ("self", "cls", "args", "kwargs") and not name.startswith("_")
    ]
    # ASGI says what these are.
    names = [name for name in names if name not in ("scope", "receive", "send")]
    return [] if names in (["request"], ["app"]) else names


def raised_in(function: Any) -> set[str]:
    """The names of the classes that the body of *function* raises itself."""

    def statements(node: ast.AST) -> Iterator[ast.AST]:
        for child in ast.iter_child_nodes(node):
            if not isinstance(
                child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
            ):
                yield child
                yield from statements(child)

    if function.__code__.co_filename.startswith("<"):
        # Made by dataclasses, without a source.
        return set()
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    names = set()
    for node in statements(tree):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            called = node.exc.func
            name = called.attr if isinstance(called, ast.Attribute) else called
            names.add(name if isinstance(name, str) else getattr(name, "id", ""))
    return {name for name in names if name[:1].isupper()}


def missing_in(value: Any) -> Iterator[str]:
    """What the docstring of *value*, which users see, does not say."""
    text = docstring_of(value)
    if not text:
        yield "has no docstring"
        return
    for parameter in parameters_of(value):
        if not re.search(rf"\b{parameter}\b", text):
            yield f"does not mention {parameter}"
    body = vars(value).get("__init__") if inspect.isclass(value) else value
    for error in raised_in(body) if inspect.isfunction(body) else ():
        if not re.search(rf"Raises:.*\b{error}\b", text, re.DOTALL):
            yield f"does not say when it raises {error}"
    if inspect.isfunction(value) and not SWITCHES.search(text):
        yield "does not say whether it switches"


@pytest.mark.parametrize("name", BY_NAME)
def test_what_other_modules_import_is_listed(name: str) -> None:
    module = imported(name)
    listed = names_of(module)
    assert len(set(listed)) == len(listed)
    assert all(hasattr(module, public) for public in listed)
    assert IMPORTED[name] - {"__version__", "DOCUMENTATION"} <= set(listed)


def is_called_by_django(value: Any) -> bool:
    """Whether *value* is an app config or a registered system check."""
    return hasattr(value, "tags") or (
        inspect.isclass(value) and issubclass(value, AppConfig)
    )


@pytest.mark.parametrize("name", MACHINERY)
def test_what_a_module_of_machinery_lists_is_used_elsewhere(name: str) -> None:
    module = imported(name)
    elsewhere = WORDS_OF_OTHERS.union(
        *(words for other, words in WORDS_OF.items() if other != name)
    )
    unused = set(names_of(module)) - elsewhere
    assert not [
        each for each in unused if not is_called_by_django(getattr(module, each))
    ]


@pytest.mark.parametrize("name", FACES + FLAT)
def test_docstrings_of_what_users_see_are_complete(name: str) -> None:
    module = imported(name)
    public = (
        (
            found
            for each in names_of(module)
            for found in with_methods(each, getattr(module, each))
        )
        if name in FACES
        else defined_in(module)
    )
    assert not [
        f"{each} {what}" for each, value in public for what in missing_in(value)
    ]


@pytest.mark.parametrize("name", MACHINERY)
def test_names_of_machinery_have_docstrings(name: str) -> None:
    assert not [
        each
        for each, value in defined_in(imported(name))
        # The name of a patch says what it replaces. Methods have a dot.
        if not docstring_of(value) and not re.match(r"patch_|.*\.", each)
    ]
