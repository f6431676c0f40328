"""The SQL panel shows the queries of all views, served in the bridge."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.compatibility.__main__ import run
from tests.compatibility.report import describe

pytest.importorskip("debug_toolbar", reason="needs the toolbar, of the extra test")


@pytest.mark.parametrize("mode", ["handler", "bridged"])
def test_each_step_of_a_site_succeeds(mode: str, tmp_path: Path) -> None:
    found = run("debug_toolbar", mode, f"sqlite:///{tmp_path}/db.sqlite3")
    assert not any(found.values()), describe("debug_toolbar", mode, "sqlite", found)
