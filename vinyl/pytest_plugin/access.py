"""
Refusing the databases to tests that have not asked for them, and to threads beside the
transaction of `db`. Not used with pytest-django, which refuses the first itself.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["allow", "guarding", "in_transaction", "phase", "refuse_unasked"]


class _Access:
    # Whether the running part of the session may use a database.
    allowed = True
    # The thread with the transaction of `db`.
    thread: int | None = None


def refuse_unasked() -> Callable[[], None]:
    """
    Check every use of a connection from now on; return what ends that. Never switches.
    """
    ensure = BaseDatabaseWrapper.ensure_connection

    @functools.wraps(ensure)
    def ensure_connection(self: BaseDatabaseWrapper) -> None:
        _check(self)
        ensure(self)

    def end() -> None:
        BaseDatabaseWrapper.ensure_connection = ensure  # type: ignore[method-assign]

    BaseDatabaseWrapper.ensure_connection = ensure_connection  # type: ignore[method-assign]
    return end


def _check(wrapper: BaseDatabaseWrapper) -> None:
    if not _Access.allowed:
        raise RuntimeError(
            f"A test that has not asked for a database uses {wrapper.alias!r}, which "
            f"may be the real one. Request the fixture `db` or `transactional_db`, in "
            f"the test or in its fixture that needs the database."
        )
    # The connection of the test, which may be lent to a thread, has the transaction.
    elsewhere = _Access.thread not in (None, threading.get_ident())
    if elsewhere and not wrapper.in_atomic_block:
        raise RuntimeError(
            f"The thread {threading.current_thread().name!r} uses database "
            f"{wrapper.alias!r} in a test with the fixture `db`. It has a connection "
            f"of its own, so it would not see what the test has written, and what it "
            f"writes would not be rolled back. Request `transactional_db` instead, or "
            f"start the thread with sync_to_async(), which lends it the test's "
            f"connection."
        )


def allow() -> None:
    """Let the running test use the databases. Never switches."""
    _Access.allowed = True


@contextmanager
def phase(names: Any) -> Iterator[None]:
    """
    Refuse the databases in the block, unless `databases` is among *names*, the fixtures
    of the running test, or is requested in it. Never switches.
    """
    _Access.allowed = names is not None and "databases" in names
    try:
        yield
    finally:
        _Access.allowed = True


def in_transaction() -> bool:
    """Whether the running test has the transaction of `db`. Never switches."""
    return _Access.thread is not None


@contextmanager
def guarding() -> Iterator[None]:
    """Keep other threads from the databases in the block. Never switches."""
    _Access.thread = threading.get_ident()
    try:
        yield
    finally:
        _Access.thread = None
