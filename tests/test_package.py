"""The package: what it exports, what it imports, and what it says of itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import vinyl

ROOT = Path(vinyl.__file__).parent
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


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_flow_one_way(path: Path) -> None:
    names = imports_of(path)
    module = dotted(path)
    if module.startswith("vinyl.orm") or module == "vinyl.exceptions":
        above = ("vinyl.web", "starlette", "uvicorn", "jinja2", "vinyl.cli")
        assert not [name for name in names if name.startswith(above)]
    if module == "vinyl.exceptions":
        assert not [name for name in names if name.startswith("vinyl")]
    if module != "vinyl.bridge.greenlets":
        assert "greenlet" not in names


@pytest.mark.parametrize(
    "module", ["vinyl", "vinyl.orm", "vinyl.orm.models", "vinyl.web", "vinyl.cli"]
)
def test_can_be_imported_before_there_are_settings(module: str) -> None:
    code = (
        f"import {module}\n"
        "from django.conf import settings\n"
        "assert not settings.configured\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, env={})
