"""The package: what it exports, what it imports, and what it says of itself."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import vinyl

ROOT = Path(vinyl.__file__).parent
REPOSITORY = Path(__file__).parents[1]
MODULES = sorted(
    path for path in ROOT.rglob("*.py") if "project_template" not in path.parts
)


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("package", ["vinyl.orm", "vinyl.web"])
def test_the_public_names_are_there_and_sorted(package: str) -> None:
    module = import_module(package)
    assert list(module.__all__) == sorted(module.__all__)
    for name in module.__all__:
        assert hasattr(module, name), name


def test_the_version_is_the_distributions() -> None:
    assert vinyl.__version__ == version("vinyl-web")


def test_the_documentation_is_where_the_distribution_says() -> None:
    told = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert told["project"]["urls"]["Documentation"] == vinyl.DOCUMENTATION


LINK = re.compile(r"\]\(([^)#]+)")


def test_the_figures_of_the_readme_are_those_of_the_benchmark() -> None:
    """The columns of the README, by the names of those on the page, row by row."""

    def tables(path: Path) -> list[dict[str, dict[str, str]]]:
        found: list[dict[str, dict[str, str]]] = []
        lines = [*path.read_text().splitlines(), ""]
        rows: list[list[str]] = []
        for line in lines:
            if line.startswith("|"):
                rows.append([cell.strip() for cell in line.strip("|").split("|")])
            elif rows:
                head, _, *rest = rows
                found.append(
                    {row[0]: dict(zip(head, row, strict=True)) for row in rest}
                )
                rows = []
        return found

    [shown] = [each for each in tables(REPOSITORY / "README.md") if "list100" in each]
    pages = tables(REPOSITORY / "docs" / "howto" / "benchmark-orm.md")
    [measured] = [each for each in pages if "Django sync" in each.get("get", {})]
    assert shown
    for name, row in shown.items():
        assert row.items() <= measured[name].items()


def test_the_links_of_the_readme_lead_somewhere() -> None:
    root = REPOSITORY
    text = (root / "README.md").read_text()
    links = set(LINK.findall(text))
    assert len(links) > 20
    assert not [link for link in links if not (root / link).is_file()]

    told = tomllib.loads((root / "pyproject.toml").read_text())
    hooks = told["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    for change in hooks["substitutions"]:
        text = re.sub(change["pattern"], change["replacement"], text)
    # On PyPI: the pages of the site, which are made of the same files.
    for link in set(LINK.findall(text)):
        page = link.removeprefix(f"{vinyl.DOCUMENTATION}/").removesuffix(".html")
        assert (root / "docs" / f"{page}.md").is_file(), link


# The rooms, each of which imports only from those before it. A name with a dot at its
# end stands for the modules of a package that no other name here stands for.
ROOMS = (
    "vinyl",
    "vinyl.records",
    "vinyl.exceptions",
    "vinyl.conf",
    "vinyl.databases",
    "vinyl.bridge",
    "vinyl.orm.observe",
    "vinyl.orm.backends",
    "vinyl.orm.pools",
    "vinyl.orm.scopes",
    "vinyl.orm.plans",
    "vinyl.orm.retry",
    "vinyl.orm.recording",
    "vinyl.orm.transaction",
    "vinyl.orm.routers",
    "vinyl.orm.models",
    "vinyl.orm.types",
    "vinyl.orm.contrib",
    "vinyl.orm.dualmode",
    "vinyl.orm.live",
    "vinyl.orm.management",
    "vinyl.orm.asgi",
    "vinyl.orm.lint",
    "vinyl.orm.checks",
    "vinyl.orm.testing",
    "vinyl.orm.apps",
    "vinyl.orm.standalone",
    "vinyl.orm",
    "vinyl.web.http",
    "vinyl.web.routing",
    "vinyl.web.templating",
    "vinyl.web.errors",
    "vinyl.web.",
    "vinyl.web.staticfiles",
    "vinyl.web.admin",
    "vinyl.web.toolbar",
    "vinyl.web.application",
    "vinyl.web.testing",
    "vinyl.web.checks",
    "vinyl.web.apps",
    "vinyl.web",
    "vinyl.explanations",
    "vinyl.cli",
    "vinyl.__main__",
    "vinyl.web.management",
    "vinyl.pytest_plugin",
    "vinyl.mypy_awaits",
    "vinyl.mypy_plugin",
)


def room_of(module: str) -> int:
    """The place of *module*'s room in ROOMS."""
    if module in ROOMS:
        return ROOMS.index(module)
    parents = module.split(".")[:-1]
    while parents:
        package = ".".join(parents)
        for name in (f"{package}.", package):
            # A package that holds rooms is no room of theirs.
            if name in ROOMS and not (
                name == package and any(room.startswith(f"{name}.") for room in ROOMS)
            ):
                return ROOMS.index(name)
        parents.pop()
    raise LookupError(f"{module} is in none of the ROOMS.")


def imports_of(path: Path) -> set[str]:
    """The modules that *path* imports anywhere, for types as well."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                names.add(submodule if submodule in BY_NAME else node.module)
    return names


BY_NAME = {dotted(path): path for path in MODULES}


def contents_of(path: Path) -> set[str]:
    """The modules and packages beside *path*, if it is the start of a package."""
    if path.name != "__init__.py":
        return set()
    packages = {f"{found.parent.name}/" for found in path.parent.glob("*/__init__.py")}
    modules = {found.name for found in path.parent.glob("*.py")}
    return modules - {"__init__.py"} | packages


def test_imports_follow_the_order_of_the_rooms() -> None:
    against = {
        (module, name)
        for module, path in BY_NAME.items()
        for name in imports_of(path) & BY_NAME.keys()
        if room_of(name) > room_of(module)
    }
    assert not against


@pytest.mark.parametrize("module", BY_NAME)
def test_each_layer_knows_only_its_own_libraries(module: str) -> None:
    names = imports_of(BY_NAME[module])
    if room_of(module) < ROOMS.index("vinyl.web.http"):
        above = ("starlette", "uvicorn", "jinja2")
        assert not [name for name in names if name.startswith(above)]
    if module != "vinyl.bridge.greenlets":
        assert "greenlet" not in names


@pytest.mark.parametrize(
    "package", [name for name, path in BY_NAME.items() if len(contents_of(path)) > 1]
)
def test_the_map_of_a_package_lists_what_is_in_it(package: str) -> None:
    shown = import_module(package).__doc__ or ""
    assert not [name for name in contents_of(BY_NAME[package]) if name not in shown]


def test_contributing_names_what_is_there() -> None:
    text = (ROOT.parent / "CONTRIBUTING.md").read_text()
    paths = re.findall(r"`((?:vinyl|tests|project_template)/[\w/.]*)`", text)
    assert not [path for path in paths if not (ROOT.parent / path).exists()]
    named = re.findall(r"`(\w+)(?:\(\))?` in `(vinyl/[\w/.]+)`", text)
    assert named
    for name, path in named:
        code = (ROOT.parent / path).read_text()
        assert re.search(rf"\b(def|class) {name}\b", code), (name, path)


@pytest.mark.parametrize("package", ["vinyl.web.http"])
def test_modules_import_only_from_those_above_in_the_map(package: str) -> None:
    shown = import_module(package).__doc__ or ""
    places = {
        f"{package}.{path.stem}": shown.index(f"\n{path.name} ")
        for path in BY_NAME[package].parent.glob("*.py")
        if path.name != "__init__.py"
    }
    against = [
        (module, name)
        for module, place in places.items()
        for name in imports_of(BY_NAME[module]) & places.keys()
        if places[name] > place
    ]
    assert not against


# Modules without a test file of their own.
UNTESTED = {
    "vinyl.__main__": "calls vinyl.cli",
    "vinyl.mypy_plugin": "runs in mypy, on tests/types",
    "vinyl.orm.dualmode.connections": "adds types, which mypy tests in tests/types",
    "vinyl.orm.models": "re-exports django.db.models",
    "vinyl.orm.recording": "re-exports vinyl.orm.observe.recorder",
    "vinyl.web.routing.urls": "adds types, which mypy tests in tests/types",
}
# The tests of these need a project of its own. They are in tests/project, which CI runs
# on the wheel as well.
IN_A_PROJECT = {
    "vinyl.cli": "test_cli.py",
    "vinyl.explanations": "test_bad_input.py",
    "vinyl.pytest_plugin.access": "test_pytest_misuse.py",
    "vinyl.pytest_plugin.async_fixtures": "test_pytest_plugin_beside_others.py",
    "vinyl.pytest_plugin.asserting": "test_pytest_plugin.py",
    "vinyl.pytest_plugin.databases": "test_generated_tests.py",
    "vinyl.pytest_plugin.ending": "test_pytest_misuse.py",
    "vinyl.pytest_plugin.fixtures": "test_pytest_plugin.py",
    "vinyl.pytest_plugin.live": "test_pytest_plugin.py",
    "vinyl.pytest_plugin.own_fixtures": "test_pytest_plugin.py",
    "vinyl.pytest_plugin.reuse": "test_pytest_plugin.py",
    "vinyl.pytest_plugin.setup": "test_pytest_plugin.py",
    "vinyl.pytest_plugin.steps": "test_generated_tests.py",
    "vinyl.web.management.commands.createsuperuser": "test_bad_input.py",
    "vinyl.web.management.commands.runserver": "test_runserver.py",
    "vinyl.web.management.commands.startapp": "test_startproject.py",
    "vinyl.web.management.commands.startproject": "test_startproject.py",
    "vinyl.web.management.commands.test": "test_generated_tests.py",
    "vinyl.web.management.failed_start": "test_failed_start.py",
    "vinyl.web.management.workers": "test_runserver_options.py",
}
TESTS = Path(__file__).parent
# In lines.
LONGEST_TEST_FILE = 500


@pytest.mark.parametrize(
    "module", [name for name, path in BY_NAME.items() if path.name != "__init__.py"]
)
def test_each_module_has_its_test_file(module: str) -> None:
    path = BY_NAME[module].relative_to(ROOT)
    own = TESTS / path.parent / f"test_{path.name}"
    if module in IN_A_PROJECT:
        assert (TESTS / "project" / IN_A_PROJECT[module]).exists()
    # One that has got a test file leaves the list.
    assert own.exists() != (module in UNTESTED or module in IN_A_PROJECT)


def test_each_test_file_is_that_of_a_module_or_a_scenario() -> None:
    strays = [
        path.relative_to(TESTS).as_posix()
        for room in ("bridge", "orm", "web")
        for path in (TESTS / room).rglob("test_*.py")
        if path.parent.name != "scenarios"
        and not any(
            # test_lending_cancelled.py continues test_lending.py.
            f"{path.stem}_".startswith(f"test_{module.stem}_")
            for module in (ROOT / path.parent.relative_to(TESTS)).glob("*.py")
        )
    ]
    assert not strays


def test_no_test_file_is_too_long() -> None:
    lengths = {
        path.relative_to(TESTS).as_posix(): len(path.read_text().splitlines())
        for path in TESTS.rglob("*.py")
    }
    assert not {path for path, lines in lengths.items() if lines > LONGEST_TEST_FILE}


@pytest.mark.parametrize(
    "module",
    [
        "vinyl",
        "vinyl.databases",
        "vinyl.orm",
        "vinyl.orm.models",
        "vinyl.web",
        "vinyl.cli",
    ],
)
def test_can_be_imported_before_there_are_settings(module: str) -> None:
    code = (
        f"import {module}\n"
        "from django.conf import settings\n"
        "assert not settings.configured\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env={})


# What a project does not need to start, without which Django would start as well.
NOT_AT_START = (
    "anyio",
    "django.contrib.auth.backends",
    "django.contrib.auth.forms",
    "django.contrib.auth.middleware",
    "django.contrib.auth.views",
    "django.contrib.sites.shortcuts",
    "django.core.cache.backends.db",
    "django.core.cache.backends.redis",
    "django.core.handlers.base",
    "django.core.mail.backends.base",
    "django.shortcuts",
    "opentelemetry.trace",
    "vinyl.orm.checks",
    "vinyl.orm.dualmode.streams",
    "vinyl.orm.lint.checks",
    "vinyl.orm.observe.callsite",
    "vinyl.orm.observe.slow_log",
    "vinyl.orm.plans.learning",
    "vinyl.orm.plans.on_loop",
    "vinyl.orm.plans.prefetches",
    "vinyl.orm.plans.saves",
    "vinyl.orm.routers",
)
# What it does not need with another database.
OF_ENGINES = {
    "vinyl.orm.backends.postgresql": (
        "importlib.metadata",
        "importlib.resources",
        "psycopg",
    ),
    "vinyl.orm.backends.sqlite3": ("sqlite3",),
}


@pytest.mark.parametrize("engine", OF_ENGINES)
def test_start_imports_only_what_it_needs(engine: str) -> None:
    unneeded = set(NOT_AT_START)
    for other, modules in OF_ENGINES.items():
        if other != engine:
            unneeded.update(modules)
    apps = ["vinyl.orm", "django.contrib.contenttypes", "django.contrib.auth"]
    code = (
        "import sys\n"
        "import django\n"
        "from django.conf import settings\n"
        "from django.db import connection\n"
        f"databases = {{'default': {{'ENGINE': {engine!r}, 'NAME': 'x'}}}}\n"
        f"settings.configure(INSTALLED_APPS={apps!r}, DATABASES=databases)\n"
        "django.setup()\n"
        "connection.ops\n"
        f"print(*sys.modules.keys() & {unneeded!r})\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, env={}, stdout=subprocess.PIPE)
    assert not done.stdout.split()
