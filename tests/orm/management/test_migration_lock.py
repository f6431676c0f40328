"""The lock of `vinyl migrate`: who waits, for how long, and what ends it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from django.core.management import CommandError
from django.db import connections

from tests.fix_db import default_database, only_postgresql, only_sqlite
from tests.pgbouncer import pgbouncer
from tests.settings import database
from vinyl.orm import run
from vinyl.orm.management.migration_lock import migration_lock


def refuse(message: str) -> None:
    raise AssertionError(message)


def lock_file() -> Path:
    return Path(f"{connections['default'].settings_dict['NAME']}-migrating")


def test_a_second_process_waits_and_is_told_why(db: str) -> None:
    told: list[str] = []
    waits = threading.Event()
    order: list[str] = []

    def tell(message: str) -> None:
        told.append(message)
        waits.set()

    def second() -> None:
        # A thread has connections of its own, as another process has.
        try:
            with migration_lock(connections["default"], None, tell):
                order.append("second")
        finally:
            connections.close_all()

    with migration_lock(connections["default"], None, refuse):
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(30)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]
    (message,) = told
    assert "Waiting for another process" in message
    assert ("(session " in message) is (db == "postgresql")


def test_the_wait_has_a_limit(db: str) -> None:
    with migration_lock(connections["default"], None, refuse):
        with pytest.raises(CommandError, match=r"after 0\.1 s.*--no-lock"):
            with migration_lock(connections["default"], 0.1, lambda message: None):
                pass
        # The one that gave up has not released the lock of the other.
        with pytest.raises(CommandError, match="nothing has been migrated"):
            with migration_lock(connections["default"], 0, refuse):
                pass


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_interrupted_command_releases_it(
    db: str, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        with migration_lock(connections["default"], None, refuse):
            raise error
    # A server needs a moment to see that the session has ended.
    with migration_lock(connections["default"], 30, lambda message: None):
        pass


async def test_it_waits_on_the_event_loop(db: str) -> None:
    def limited(timeout: float) -> None:
        with migration_lock(connections["default"], timeout, lambda message: None):
            pass

    def both() -> None:
        with migration_lock(connections["default"], None, refuse):
            limited(0.1)

    with pytest.raises(CommandError):
        await run(both)
    # A server needs a moment to see that the session has ended.
    await run(limited, 30)


@only_sqlite
def test_nothing_is_left_beside_the_database(db: str) -> None:
    with migration_lock(connections["default"], None, refuse):
        assert lock_file().exists()
    assert not lock_file().exists()


@only_sqlite
def test_a_file_that_a_killed_process_left_is_no_lock(db: str) -> None:
    lock_file().touch()
    with migration_lock(connections["default"], 0, refuse):
        pass
    assert not lock_file().exists()


def test_a_database_in_memory_needs_none() -> None:
    with default_database(database("sqlite:///:memory:")):
        with migration_lock(connections["default"], 0, refuse):
            with migration_lock(connections["default"], 0, refuse):
                pass


@only_postgresql
def test_an_index_can_be_created_concurrently(db: str) -> None:
    """PostgreSQL waits for transactions with a snapshot; the lock has none."""
    connection = connections["default"]
    waits = threading.Event()

    def second() -> None:
        try:
            with migration_lock(connections["default"], None, lambda _: waits.set()):
                pass
        finally:
            connections.close_all()

    # Its transactions would have one at this level.
    connection.settings_dict["OPTIONS"]["isolation_level"] = 3
    try:
        with migration_lock(connection, None, refuse):
            thread = threading.Thread(target=second)
            thread.start()
            assert waits.wait(30)
            with connection.cursor() as cursor:
                cursor.execute("SET statement_timeout = '20s'")
                name = "of_the_lock"
                cursor.execute(
                    f"CREATE INDEX CONCURRENTLY {name} ON records_artist (name)"
                )
                cursor.execute(f"DROP INDEX {name}")
        thread.join(30)
    finally:
        del connection.settings_dict["OPTIONS"]["isolation_level"]
        connection.close()


@only_postgresql
def test_it_works_behind_pgbouncer(db: str, postgres_url: str) -> None:
    with pgbouncer(postgres_url, size=2) as bouncer:
        with default_database(bouncer.settings()):
            connection = connections["default"]
            with migration_lock(connection, None, refuse):
                with connection.cursor() as cursor:
                    cursor.execute("SELECT 1")
                # Another transaction has the second server connection, and those that
                # wait need one only while they try.
                with pytest.raises(CommandError):
                    with migration_lock(connection, 0, refuse):
                        pass
            # The server ends a transaction that its client has left a little later, so
            # there may be a wait, of which it tells.
            told: list[str] = []
            with migration_lock(connection, 10, told.append):
                pass
