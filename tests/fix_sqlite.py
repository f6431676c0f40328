"""SQLite's write lock: held by another connection, and asked for from outside."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload"
# mypy: disable-error-code="func-returns-value, misc"

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from django.db import connections

from tests.fix_db import default_database
from tests.records.models import Artist
from vinyl.orm import transaction
from vinyl.orm.pools.registry import close_pools

PATIENCE = 30.0


@contextlib.contextmanager
def locked(mode: str = "IMMEDIATE") -> Iterator[None]:
    """In the block another connection holds the write lock."""
    other = sqlite3.connect(connections.settings["default"]["NAME"], timeout=5)
    other.isolation_level = None
    try:
        other.execute(f"BEGIN {mode}")
        yield
        other.execute("COMMIT")
    finally:
        other.close()


def can_write() -> bool:
    """Whether nobody holds the lock; asked from outside, without waiting."""
    other = sqlite3.connect(connections.settings["default"]["NAME"], timeout=0)
    with contextlib.closing(other):
        try:
            other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True


async def freed() -> None:
    """Wait until nobody holds the lock: what is thrown away closes in its thread."""
    while not can_write():
        await asyncio.sleep(0.001)


@pytest.fixture(params=["IMMEDIATE", "DEFERRED"])
async def transaction_mode(db: str, request: pytest.FixtureRequest) -> str:
    settings = connections.settings["default"]["OPTIONS"]
    settings["transaction_mode"] = request.param
    return request.param


@pytest.fixture
def sqlite_options(db: str) -> dict[str, Any]:
    """OPTIONS, which are the test's own."""
    return connections.settings["default"]["OPTIONS"]


@pytest.fixture
async def rollback_journal(db: str) -> AsyncIterator[str]:
    """The name of the database, which has no WAL: a reader keeps a commit waiting."""
    settings = connections.settings["default"]
    settings["OPTIONS"]["init_command"] = "PRAGMA synchronous=OFF"
    set_journal("DELETE")
    yield settings["NAME"]
    await close_pools()
    set_journal("WAL")


@pytest.fixture
def memory(db: str) -> Iterator[None]:
    """The database is in memory: it has one connection, with which it would go."""
    with default_database({"ENGINE": "vinyl.orm.backends.sqlite3", "NAME": ":memory:"}):
        yield


def set_journal(mode: str) -> None:
    """
    Set the journal mode. SQLite's timeout does not count for it: each connection that
    another test has thrown away is in its way until the thread has closed it.
    """
    deadline = time.monotonic() + PATIENCE
    other = sqlite3.connect(connections.settings["default"]["NAME"])
    with contextlib.closing(other):
        while True:
            try:
                found = other.execute(f"PRAGMA journal_mode={mode}").fetchone()
            except sqlite3.OperationalError:
                assert time.monotonic() < deadline
                time.sleep(0.001)
            else:
                assert found == (mode.lower(),)
                return


async def write(name: str) -> None:
    await Artist.objects.create(name=name)


async def write_in_block(name: str) -> None:
    async with transaction.atomic():
        await Artist.objects.create(name=name)
