"""Middleware that keeps its state in a threading.local is found by name."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django import middleware as djangos

from tests.compatibility.__main__ import run as run_site
from tests.compatibility.report import describe
from vinyl.bridge.threads import in_thread
from vinyl.orm.contrib.thread_locals import middleware_with_thread_locals

MIDDLEWARE = """
{imports}

class Middleware:
    pass
"""
Finds = Callable[..., list[tuple[str, str]]]


@pytest.fixture
def finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Finds]:
    """What is found in a package whose module `state` has this code."""
    monkeypatch.syspath_prepend(tmp_path)

    def find(
        state: str, imports: str = "from .state import State", package: str = "current"
    ) -> list[tuple[str, str]]:
        (tmp_path / "current").mkdir()
        (tmp_path / package).mkdir(exist_ok=True)
        (tmp_path / package / "state.py").write_text(state)
        source = MIDDLEWARE.format(imports=imports)
        (tmp_path / "current" / "middleware.py").write_text(source)
        importlib.invalidate_caches()
        return list(middleware_with_thread_locals(["current.middleware.Middleware"]))

    yield find
    for name in [name for name in sys.modules if name.startswith(("current", "other"))]:
        del sys.modules[name]


FOUND = [("current.middleware.Middleware", "current.state")]
LOCALS = {
    # As django-silk does it, whose collector is made with the first request.
    "made by a method": "from threading import local\n"
    "class State:\n    def __init__(self): self.local = local()",
    "made by a method, by its full name": "import threading\n"
    "class State:\n    def __init__(self): self.local = threading.local()",
    "made by a function": "import threading\ndef State(): return threading.local()",
    "of the module": "import threading\nState = threading.local()",
    "beside what is imported": "import threading\n"
    "class State: pass\nown = threading.local()",
    # As Mezzanine does it.
    "of a function": "import threading\ndef State(): pass\n"
    "State.thread_local = threading.local()",
    "a subclass": "import threading\nclass State(threading.local): pass",
}
NO_LOCALS = {
    "a context variable": "import contextvars\nState = contextvars.ContextVar('State')",
    "asgiref's": "from asgiref.local import Local\nState = Local()",
    "a lock": "import threading\nState = threading.Lock()",
    "a name of its own": "import threading\n"
    "def State(scope): return threading.current_thread() and scope.locality",
}


@pytest.mark.parametrize("state", LOCALS.values(), ids=LOCALS)
def test_in_a_module_of_the_package(state: str, finds: Finds) -> None:
    assert finds(state, "from . import state") == FOUND


@pytest.mark.parametrize("state", NO_LOCALS.values(), ids=NO_LOCALS)
def test_state_that_is_not_bound_to_threads(state: str, finds: Finds) -> None:
    assert finds(state) == []


@pytest.mark.parametrize(
    "imports",
    [
        "from . import state",
        "import current.state as renamed",
        "from .state import State as Renamed",
        "from .state import State\nmade = State()",
    ],
)
def test_every_way_to_import_it(imports: str, finds: Finds) -> None:
    assert finds(LOCALS["made by a method"], imports) == FOUND


def test_in_the_module_of_the_middleware(finds: Finds) -> None:
    imports = "import threading\nstate = threading.local()"
    path = "current.middleware.Middleware"
    assert finds("", imports) == [(path, "current.middleware")]


def test_another_package_is_its_own_affair(finds: Finds) -> None:
    state = LOCALS["made by a method"]
    assert finds(state, "from other.state import State", "other") == []


def test_middleware_in_a_thread_keeps_its_own(finds: Finds) -> None:
    assert finds(LOCALS["made by a function"]) == FOUND
    middleware = sys.modules["current.middleware"]
    vars(middleware)["Middleware"] = in_thread(vars(middleware)["Middleware"])
    path = "current.middleware.Middleware"
    assert list(middleware_with_thread_locals([path])) == []


def test_a_path_that_cannot_be_imported() -> None:
    assert list(middleware_with_thread_locals(["mysite.Missing"])) == []


def test_djangos_own_middleware_has_none() -> None:
    names = [path.stem for path in Path(djangos.__path__[0]).glob("[a-z]*.py")]
    modules = [importlib.import_module(f"django.middleware.{name}") for name in names]
    modules += [
        importlib.import_module(f"django.contrib.{name}.middleware")
        for name in ("auth", "messages", "sessions")
    ]
    paths = [
        f"{module.__name__}.{name}"
        for module in modules
        for name, value in vars(module).items()
        if name.endswith("Middleware") and value.__module__ == module.__name__
    ]
    assert len(paths) > 10
    assert list(middleware_with_thread_locals(paths)) == []


def test_vinyls_own_middleware_has_none_of_requests() -> None:
    paths = [
        "vinyl.web.auth.AuthenticationMiddleware",
        "vinyl.web.sessions.SessionMiddleware",
        "vinyl.web.toolbar.ToolbarMiddleware",
    ]
    assert list(middleware_with_thread_locals(paths)) == []


def test_silk_records_requests_that_run_at_the_same_time(tmp_path: Path) -> None:
    pytest.importorskip("silk", reason="needs django-silk, of the extra test")
    found = run_site("silk", "bridged", f"sqlite:///{tmp_path}/db.sqlite3")
    assert not any(found.values()), describe("silk", "bridged", "sqlite", found)
