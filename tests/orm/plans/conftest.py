"""Fixtures about uses of plans; those that other rooms use are in tests.fix_plans."""

from __future__ import annotations

import pytest

from tests.orm.plans.planning import uses_of
from vinyl.orm.plans.plan import Plan


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The SQL of each use of a plan."""
    return uses_of(Plan, monkeypatch)
