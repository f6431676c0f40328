"""
Fixtures about several databases: "replica" beside "default", which is the primary.

Nothing is replicated. Both have the same few rows, and each row says where it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections
from django.test import override_settings

from tests.fix_db import empty_tables
from tests.records.models import Album, Artist
from tests.settings import SQLITE_URL, database
from vinyl.orm import routers
from vinyl.orm.pools import registry


@pytest.fixture(scope="session")
def postgres_replica_url(postgres_url: str) -> Iterator[str]:
    """The URL of a second, empty database of the running PostgreSQL."""
    head, mark, query = postgres_url.partition("?")
    name = f"{head.rpartition('/')[2]}_replica"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield f"{head}_replica{mark}{query}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def replica(
    request: pytest.FixtureRequest, db: str, migrated: set[str]
) -> Iterator[Any]:
    """The database "replica". The only album and its artist bear its alias as name."""
    url = SQLITE_URL.replace("vinyl.sqlite3", "replica.sqlite3")
    if db == "postgresql":
        url = request.getfixturevalue("postgres_replica_url")
    settings = connections.configure_settings(
        {"default": {}, "replica": database(url)}
    )["replica"]
    connections.settings["replica"] = settings
    if f"replica on {db}" not in migrated:
        call_command("migrate", database="replica", verbosity=0)
        migrated.add(f"replica on {db}")
    for alias in ("default", "replica"):
        artist = Artist.objects.using(alias).create(name=alias)
        Album.objects.using(alias).create(title=alias, notes=alias, artist=artist)
        connections[alias].close()
    yield
    loops = registry._pools.values()
    lent = [pool for loop in loops for pool in loop.values() if pool.in_use]
    empty_tables("replica")
    connections["replica"].close()
    del connections["replica"]
    del connections.settings["replica"]
    assert not lent, f"Connections were not given back: {lent}"


@pytest.fixture
def router(replica: None) -> Iterator[None]:
    """`PrimaryReplicaRouter` in the settings; the test is in no unit of work."""
    token = routers._unit.set(None)
    with override_settings(
        DATABASE_ROUTERS=["vinyl.orm.routers.PrimaryReplicaRouter"],
        VINYL={"REPLICAS": ["replica"]},
    ):
        yield
    routers._unit.reset(token)
