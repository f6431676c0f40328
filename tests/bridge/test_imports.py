"""Modules imported with their first use, and code that runs once one has been."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vinyl.bridge import imports
from vinyl.bridge.imports import importer_of, on_call, on_import

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


class TestFirstUse:
    """Modules that are imported when they are used for the first time."""

    @pytest.fixture
    def package(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[ModuleType]:
        folder = tmp_path / "late_package"
        folder.mkdir()
        (folder / "__init__.py").write_text(
            "from vinyl.bridge.imports import importer_of\n"
            "__getattr__ = importer_of(\n"
            "    __name__, {'twice': 'late_package.seldom'}\n"
            ")\n"
        )
        (folder / "seldom.py").write_text(
            "def twice(fn):\n    return lambda number: fn(number) * 2\n"
        )
        (folder / "broken.py").write_text("import no_such_module\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        yield importlib.import_module("late_package")
        for name in [name for name in sys.modules if name.startswith("late_package")]:
            del sys.modules[name]

    def test_reading_a_module_imports_it(self, package: ModuleType) -> None:
        assert "late_package.seldom" not in sys.modules
        seldom = package.seldom
        assert seldom is sys.modules["late_package.seldom"]
        # From then on it is an ordinary attribute.
        assert vars(package)["seldom"] is seldom

    def test_other_names_are_missing_as_ever(self, package: ModuleType) -> None:
        assert not hasattr(package, "never")
        message = "module 'late_package' has no attribute 'never'"
        with pytest.raises(AttributeError, match=message):
            _ = package.never

    def test_reading_a_name_imports_its_module(self, package: ModuleType) -> None:
        assert "late_package.seldom" not in sys.modules
        twice = package.twice
        assert twice is sys.modules["late_package.seldom"].twice
        assert vars(package)["twice"] is twice

    def test_a_module_that_is_no_package_has_names_only(
        self, package: ModuleType
    ) -> None:
        flat = ModuleType("late_package.flat")
        sys.modules[flat.__name__] = flat
        vars(flat)["__getattr__"] = importer_of(
            flat.__name__, {"twice": "late_package.seldom"}
        )
        # Importing anything below it asks for its `__path__`.
        assert not hasattr(flat, "__path__")
        assert not hasattr(flat, "never")
        assert flat.twice is package.twice

    def test_an_error_of_the_module_is_shown(self, package: ModuleType) -> None:
        with pytest.raises(ModuleNotFoundError, match="no_such_module"):
            _ = package.broken

    def test_threads_get_the_same_module(self, package: ModuleType) -> None:
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda _: package.seldom, range(8)))
        assert all(each is found[0] for each in found)

    def test_a_function_is_decorated_with_its_first_call(
        self, package: ModuleType
    ) -> None:
        found = []

        def find() -> Callable[..., Any]:
            found.append(1)
            return package.seldom.twice

        @on_call(find)
        def number(value: int) -> int:
            """A number."""
            return value

        assert (number.__name__, number.__doc__) == ("number", "A number.")
        assert not found
        assert "late_package.seldom" not in sys.modules
        assert [number(2), number(3)] == [4, 6]
        assert found == [1]

    def test_an_error_of_finding_is_not_kept(self) -> None:
        errors = [ImportError("once")]

        def find() -> Callable[..., Any]:
            if errors:
                raise errors.pop()
            return lambda fn: fn

        number = on_call(find)(lambda: 1)
        with pytest.raises(ImportError, match="once"):
            number()
        assert number() == 1
