"""The databases that a project is tried on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.postgres import empty_database


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """What the user sets DATABASE_URL to: nothing, or an empty PostgreSQL database."""
    if request.param == "sqlite":
        yield None
        return
    with empty_database(request.getfixturevalue("postgres_url")) as url:
        yield url
