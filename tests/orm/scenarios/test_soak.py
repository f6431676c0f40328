"""A few seconds of the ordeal that `scripts/soak` puts the ORM through for longer."""

from __future__ import annotations

import random

import pytest

from tests.soak.ledger import Ledger
from tests.soak.ordeal import Ordeal

pytestmark = pytest.mark.anyio


async def test_the_books_balance(db: str, postgres_url: str) -> None:
    ledger = Ledger(random.Random())
    await ledger.open()
    kill_url = postgres_url if db == "postgresql" else None
    ordeal = Ordeal(ledger, tasks=20, kill_url=kill_url)
    await ordeal.run(4)
    assert ordeal.wrong == []
    assert ledger.acknowledged
    assert ledger.refused_strays
    assert ordeal.outcomes["cancelled"]
    assert bool(ordeal.kills) == (db == "postgresql")
