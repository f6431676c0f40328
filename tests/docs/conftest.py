"""Examples import from a project of their own, which is made up here."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

from tests.docs.pages import Example, execute
from tests.records import models


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Example:
    """
    Executes the Python code of a page, as the module `records.example`, and returns the
    names that it defines. The page may import the models of `records`; other names that
    it takes for granted are given as keyword arguments.
    """
    monkeypatch.setitem(sys.modules, "records", ModuleType("records"))
    monkeypatch.setitem(sys.modules, "records.models", models)
    module = ModuleType("records.example")
    monkeypatch.setitem(sys.modules, "records.example", module)

    def run(page: str, **given: Any) -> dict[str, Any]:
        vars(module).update(given)
        return execute(page, module)

    return run
