"""Fixtures about plans."""

from __future__ import annotations

from typing import Any

import pytest

from vinyl.orm.plans import shapes
from vinyl.orm.plans.plan import Plan


@pytest.fixture
def nothing_known() -> None:
    """No shape has been seen before the test."""
    shapes.forget()


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SQL of each use of a plan."""
    found: list[str] = []
    bound = Plan.bound

    def counted(self: Plan, *args: Any) -> Any:
        found.append(self.sql)
        return bound(self, *args)

    monkeypatch.setattr(Plan, "bound", counted)
    return found
