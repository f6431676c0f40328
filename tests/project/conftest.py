"""The databases that a project is tried on."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """What the user sets DATABASE_URL to: nothing, or an empty PostgreSQL database."""
    if request.param == "sqlite":
        yield None
        return
    server = request.getfixturevalue("postgres_url")
    name = f"project_{time.monotonic_ns()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        address, _, query = server.partition("?")
        yield f"{address.rpartition('/')[0]}/{name}{'?' if query else ''}{query}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
