"""Code that runs once a module has been imported."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from vinyl.bridge import imports
from vinyl.bridge.imports import on_import

NAME = "vinyl_tests_late"
CODE = "def hello():\n    return 'hello'\n"


@pytest.fixture
def late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of the module `NAME`, which has not been imported."""
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / f"{NAME}.py"
    path.write_text(CODE)
    yield path
    sys.modules.pop(NAME, None)
    imports._callbacks.pop(NAME, None)


def patch() -> None:
    module = sys.modules[NAME]
    hello = module.hello
    module.hello = lambda: f"patched {hello()}"  # type: ignore[attr-defined]


def imported() -> ModuleType:
    return importlib.import_module(NAME)


def test_who_imports_the_module_sees_what_the_code_has_made_of_it(late: Path) -> None:
    on_import(NAME, patch)
    assert NAME not in sys.modules
    namespace: dict[str, object] = {}
    exec(f"from {NAME} import hello\nresult = hello()", namespace)
    assert namespace["result"] == "patched hello"


def test_a_module_that_has_been_imported_is_taken_at_once(late: Path) -> None:
    imported()
    on_import(NAME, patch)
    assert imported().hello() == "patched hello"


def test_callbacks_run_once_and_in_their_order(late: Path) -> None:
    called: list[int] = []
    on_import(NAME, lambda: called.append(1))
    on_import(NAME, lambda: called.append(2))
    module = imported()
    importlib.reload(module)
    assert called == [1, 2]


def test_an_import_that_fails_is_waited_for_again(late: Path) -> None:
    late.write_text("raise LookupError('not yet')\n")
    on_import(NAME, patch)
    with pytest.raises(LookupError, match="not yet"):
        imported()
    late.write_text(f"# The file's size and time decide on its bytecode.\n{CODE}")
    assert imported().hello() == "patched hello"


def test_an_error_of_the_code_fails_the_import(late: Path) -> None:
    def fail() -> None:
        raise LookupError("no such name")

    on_import(NAME, fail)
    with pytest.raises(LookupError, match="no such name"):
        imported()
    assert NAME not in sys.modules


def test_the_module_keeps_its_own_loader(late: Path) -> None:
    on_import(NAME, patch)
    module = imported()
    assert module.__spec__ is not None
    assert module.__spec__.loader is module.__loader__
    assert type(module.__loader__).__name__ == "SourceFileLoader"
    assert inspect.getsource(module) == CODE


def test_a_module_that_is_only_found_has_its_source(late: Path) -> None:
    on_import(NAME, patch)
    spec = importlib.util.find_spec(NAME)
    assert spec is not None
    assert spec.loader.get_source(NAME) == CODE  # type: ignore[union-attr]
    assert imported().hello() == "patched hello"


def test_a_module_that_does_not_exist_is_not_found() -> None:
    on_import("vinyl_tests_missing", patch)
    try:
        with pytest.raises(ModuleNotFoundError, match="vinyl_tests_missing"):
            importlib.import_module("vinyl_tests_missing")
    finally:
        del imports._callbacks["vinyl_tests_missing"]
