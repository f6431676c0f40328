"""Fixtures about query plans."""

from __future__ import annotations

from typing import Any

import pytest

from vinyl.bridge.greenlets import in_bridge
from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.backends.psycopg import PsycopgMixin
from vinyl.orm.observe import recorder
from vinyl.orm.plans import shapes


@pytest.fixture
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """No shape has been seen before the test, and nothing observes lazy loads."""
    shapes.forget()
    # A recording that another test has made keeps this on.
    monkeypatch.setattr(recorder, "observes_loads", False)


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first word of each statement that runs on the event loop itself."""
    found: list[str] = []
    fetch = BridgeMixin.fetch_on_loop

    async def noted(self: Any, statement: Any, params: Any) -> list[Any]:
        assert not in_bridge()
        found.append(statement.sql.split()[0])
        return await fetch(self, statement, params)

    fetch_together = PsycopgMixin.fetch_together_on_loop

    async def noted_together(self: Any, reads: Any, *args: Any) -> None:
        assert not in_bridge()
        found.extend(read.statement.sql.split()[0] for read in reads)
        await fetch_together(self, reads, *args)

    monkeypatch.setattr(BridgeMixin, "fetch_on_loop", noted)
    monkeypatch.setattr(PsycopgMixin, "fetch_together_on_loop", noted_together)
    return found
