"""
The same operations, once for each ORM and driver, as its documentation advises.

A contestant is a module with the functions of `Contestant`: coroutine functions, or
plain functions which run in as many threads as there are tasks elsewhere.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.benchmarks.orm.workloads import Entry

__all__ = ["CONTESTANTS", "RAW", "Contestant", "Entrant"]

PACKAGE = "tests.benchmarks.orm.contestants"
SETTINGS = f"{PACKAGE}.django.settings"


class Contestant(Protocol):
    """
    What a module offers. It returns the ORM's instances, or the driver's rows.

    A module may also have `task_context`, which makes an async context manager for
    each task.
    """

    def open(self) -> Any:
        """Connect to the database that `config` names."""

    def close(self) -> Any:
        """Close every connection."""

    def tracks(self, album: Any) -> Any:
        """
        The tracks of an album that prefetch() returned, without a query. Not needed if
        that returns pairs.
        """

    def get(self, key: int) -> Any:
        """The album with the key."""

    def exists(self, artist: int, year: int) -> Any:
        """Whether the artist made an album in the year."""

    def related(self, key: int) -> Any:
        """The album with the key; its artist, by a second query."""

    def list_albums(self, after: int, count: int) -> Any:
        """*count* albums by their keys, beginning behind the key *after*."""

    def select_related(self, after: int, count: int) -> Any:
        """The same with their artists, which the query joins."""

    def prefetch(self, after: int, count: int) -> Any:
        """The same with their tracks, by a second query; rows as (album, tracks)."""

    def values(self, after: int, count: int) -> Any:
        """The same as dictionaries of id, title and year."""

    def filter_chain(self, artist: str, title: str, year: int, count: int) -> Any:
        """
        Albums of the artist of this name, without the one of this title, made since
        the year: the latest first, and in the order of their keys within a year.
        """

    def insert(self, entry: Entry) -> Any:
        """The key of a new entry."""

    def update(self, key: int, number: int) -> Any:
        """Set the number of the counter with the key, without loading it."""

    def txn(self, key: int, number: int, entry: Entry) -> Any:
        """In one transaction: load a counter, save its new number, insert an entry."""

    def bulk_insert(self, entries: Sequence[Entry]) -> Any:
        """Insert all entries; their keys need not be known."""

    def stream(self) -> Any:
        """The number of all tracks and the sum of their positions, read one by one."""

    def aggregate(self, artist: int) -> Any:
        """The number of the artist's albums, their latest year, the sum of years."""


@dataclass(frozen=True)
class Entrant:
    """How a contestant enters: as *title*, with *module* in a process of its own."""

    title: str
    module: str
    databases: tuple[str, ...] = ("postgresql", "sqlite")
    environment: dict[str, str] = field(default_factory=dict)
    # The packages without which it is missing, by the names that are imported.
    needs: tuple[str, ...] = ()
    # What the others are compared with: an ORM that is not vinyl.
    is_rival: bool = True

    @property
    def missing(self) -> list[str]:
        """The packages that it needs and that are not installed."""
        return [name for name in self.needs if importlib.util.find_spec(name) is None]


def django_environment(engine: str, **others: str) -> dict[str, str]:
    return {"DJANGO_SETTINGS_MODULE": SETTINGS, "BENCH_ENGINE": engine, **others}


VINYL = django_environment("vinyl.orm.backends")
WITHOUT_PLANS = VINYL | {"BENCH_PLANS": "0"}
DJANGO = django_environment("django.db.backends")
POSTGRESQL = ("postgresql",)
SQLITE = ("sqlite",)

CONTESTANTS = {
    "vinyl": Entrant("vinyl async", "vinyl_async", environment=VINYL, is_rival=False),
    "vinyl-sync": Entrant(
        "vinyl sync", "django_sync", environment=VINYL, is_rival=False
    ),
    "vinyl-plans-off": Entrant(
        "vinyl async, plans off",
        "vinyl_async",
        environment=WITHOUT_PLANS,
        is_rival=False,
    ),
    "vinyl-sync-plans-off": Entrant(
        "vinyl sync, plans off",
        "django_sync",
        environment=WITHOUT_PLANS,
        is_rival=False,
    ),
    "psycopg": Entrant(
        "psycopg async",
        "psycopg_async",
        POSTGRESQL,
        needs=("psycopg_pool",),
        is_rival=False,
    ),
    "psycopg-sync": Entrant(
        "psycopg sync",
        "psycopg_sync",
        POSTGRESQL,
        needs=("psycopg_pool",),
        is_rival=False,
    ),
    "sqlite3": Entrant("sqlite3", "sqlite3_sync", SQLITE, is_rival=False),
    "asyncpg": Entrant(
        "asyncpg", "asyncpg_async", POSTGRESQL, needs=("asyncpg",), is_rival=False
    ),
    "django": Entrant("Django sync", "django_sync", environment=DJANGO),
    "django-async": Entrant("Django async", "django_async", environment=DJANGO),
    "async-backend": Entrant(
        "django-async-backend",
        "async_backend",
        POSTGRESQL,
        environment=django_environment("django_async_backend.db.backends"),
        needs=("django_async_backend", "psycopg_pool"),
    ),
    "tortoise": Entrant(
        "Tortoise, asyncpg",
        "tortoise_async",
        POSTGRESQL,
        environment={"BENCH_DRIVER": "asyncpg"},
        needs=("tortoise", "asyncpg"),
    ),
    "tortoise-psycopg": Entrant(
        "Tortoise, psycopg",
        "tortoise_async",
        POSTGRESQL,
        environment={"BENCH_DRIVER": "psycopg"},
        needs=("tortoise",),
    ),
    "tortoise-aiosqlite": Entrant(
        "Tortoise, aiosqlite",
        "tortoise_async",
        SQLITE,
        needs=("tortoise", "aiosqlite"),
    ),
    "sqlalchemy": Entrant(
        "SQLAlchemy, asyncpg",
        "sqlalchemy_async",
        POSTGRESQL,
        environment={"BENCH_DRIVER": "asyncpg"},
        needs=("sqlalchemy", "asyncpg"),
    ),
    "sqlalchemy-psycopg": Entrant(
        "SQLAlchemy, psycopg",
        "sqlalchemy_async",
        POSTGRESQL,
        environment={"BENCH_DRIVER": "psycopg"},
        needs=("sqlalchemy",),
    ),
    "sqlalchemy-aiosqlite": Entrant(
        "SQLAlchemy, aiosqlite",
        "sqlalchemy_async",
        SQLITE,
        needs=("sqlalchemy", "aiosqlite"),
    ),
    "piccolo": Entrant("Piccolo", "piccolo_async", needs=("piccolo", "asyncpg")),
    "peewee": Entrant(
        "peewee sync",
        "peewee_sync",
        environment={"BENCH_DRIVER": "psycopg"},
        needs=("peewee",),
    ),
    "peewee-async": Entrant(
        "peewee async",
        "peewee_async",
        environment={"BENCH_DRIVER": "asyncpg"},
        needs=("peewee", "asyncpg"),
    ),
    "oxyde": Entrant("oxyde", "oxyde_async", needs=("oxyde",)),
    # No package index has had this one yet.
    "djox": Entrant("djox", "djox_async", needs=("djox",)),
}
# What ORMs are measured against.
RAW = {"postgresql": "psycopg", "sqlite": "sqlite3"}
