"""
The statements that a session has prepared, and when they have to be prepared again.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.pq import Format, TransactionStatus

from vinyl.orm.backends.psycopg_adapters import is_in_utc
from vinyl.orm.backends.psycopg_cursors import STALE_PLAN_NOTE, is_stale_plan

if TYPE_CHECKING:
    from vinyl.orm.backends.psycopg_connection import BridgeConnection

__all__ = ["CAN_CLOSE", "IDLE", "TEXT", "Prepared", "PreparedStatement"]

# As a plain number, which is what psycopg's libpq wrapper gives.
IDLE = int(TransactionStatus.IDLE)
TEXT = Format.TEXT
# Whether libpq can close a prepared statement without SQL, which poolers do not follow.
CAN_CLOSE = psycopg.capabilities.has_send_close_prepared()
# The session has not prepared a statement of this name, or has already: a pooler is in
# between, or somebody has deallocated it.
GONE = (
    psycopg.errors.InvalidSqlStatementName,
    psycopg.errors.DuplicatePreparedStatement,
)
GONE_NOTE = (
    "The session has lost a prepared statement, or has one of another client: it was "
    "deallocated, or there is a pooler in between. It will be prepared again: roll the "
    "transaction back and run it again. Behind a pooler in transaction mode, set "
    "DISABLE_SERVER_SIDE_CURSORS to True or OPTIONS['prepare_threshold'] to None."
)
TYPES_NOTE = (
    "The statement was prepared before. If the types of its columns have changed, "
    "it will be prepared again. Roll the transaction back and run it again."
)
# Results of commands after which a prepared statement may mean something else, or may
# be gone.
CHANGING = ("ALTER", "CREATE", "DEALLOCATE", "DISCARD", "DROP")


class PreparedStatement:
    """A statement that the session has prepared."""

    __slots__ = ("format", "has_times", "loader", "name")

    def __init__(self, name: bytes) -> None:
        self.name = name
        # The format of its rows; None before their types are known.
        self.format: Format | None = None
        # Whether the rows contain datetimes, which are binary only in sessions in UTC.
        self.has_times = False
        # The transformer that has loaded rows in binary: finding the loaders of the
        # columns again would take longer than loading a few rows.
        self.loader: Any = None

    def format_for(self, connection: BridgeConnection) -> Format:
        """The format to ask for. Never switches."""
        if self.has_times and not is_in_utc(connection):
            return TEXT
        return self.format or TEXT


class Prepared:
    """
    The statements that one session has prepared.

    The name of a statement tells its text: behind a pooler that gives a transaction the
    session of another client, one name never stands for two statements.

    Args:
        threshold: How often a statement is run before it is prepared; None for never.
        maximum: How many statements are prepared at most.
    """

    __slots__ = (
        "_generation",
        "_runs",
        "_stale",
        "_statements",
        "is_off",
        "maximum",
        "threshold",
    )

    def __init__(self, threshold: int | None, maximum: int) -> None:
        self.threshold = threshold
        self.maximum = maximum
        # By text and types of parameters, least recently used first.
        self._statements: dict[Any, PreparedStatement] = {}
        # How often statements that are not prepared have been run.
        self._runs: dict[Any, int] = {}
        # The names of those that the session still has to close.
        self._stale: list[bytes] = []
        self._generation = 0
        # Whether none may be used until the transaction ends, because it has changed
        # the schema.
        self.is_off = False

    def get(self, key: Any) -> PreparedStatement | None:
        """
        Return the prepared statement of *key*; None if there is none. Never switches.
        """
        found = self._statements.get(key)
        if found is not None and len(self._statements) >= self.maximum:
            self._statements[key] = self._statements.pop(key)
        return found

    def is_due(self, key: Any) -> bool:
        """
        Whether the statement is to be prepared now; count this run if not. Never
        switches.
        """
        if self.threshold is None or self.is_off:
            return False
        runs = self._runs.get(key, 0)
        if runs >= self.threshold:
            known = len(self._statements) + len(self._stale)
            return CAN_CLOSE or known < self.maximum
        if len(self._runs) > 10 * self.maximum:
            self._runs.clear()
        self._runs[key] = runs + 1
        return False

    def surplus(self) -> bytes | None:
        """
        Return the name of a statement that the session is to close before it prepares
        another one, and forget it: a stale one, or one of too many. Never switches.
        """
        if self._stale and CAN_CLOSE:
            return self._stale.pop()
        if len(self._statements) < self.maximum:
            return None
        return self._statements.pop(next(iter(self._statements))).name

    def new_name(self, key: Any) -> bytes:
        """Return a name for a statement. Never switches."""
        digest = hashlib.blake2b(repr(key).encode(), digest_size=16).hexdigest()
        return f"_vinyl_{digest}_{self._generation}".encode()

    def add(self, key: Any, name: bytes) -> PreparedStatement:
        """Note that a statement has been prepared, and return it. Never switches."""
        added = self._statements[key] = PreparedStatement(name)
        self._runs.pop(key, None)
        return added

    def discard(self, key: Any) -> None:
        """Forget a statement that could not be prepared. Never switches."""
        self._statements.pop(key, None)

    def discard_after(
        self, error: psycopg.Error, key: Any, known: PreparedStatement | None
    ) -> str | None:
        """
        Forget what has to be prepared again after the *error* of a statement. Never
        switches.

        Args:
            key: The key of the statement.
            known: The prepared statement; None if it was sent without one.

        Returns:
            A note for the error; None if there is nothing to prepare again.
        """
        if isinstance(error, GONE):
            self.forget()
            return GONE_NOTE
        if is_stale_plan(error):
            self.forget()
            return STALE_PLAN_NOTE
        if known is None or not _has_other_types(error):
            return None
        if self._statements.get(key) is known:
            self._stale.append(self._statements.pop(key).name)
            # The session still has one of this name.
            self._generation += 1
        return TYPES_NOTE

    def forget(self) -> None:
        """Forget all statements. Never switches."""
        self._statements.clear()
        self._stale.clear()
        self._runs.clear()
        # The session may still have those of these names.
        self._generation += 1

    def note(self, connection: BridgeConnection, status: str | None) -> None:
        """
        Note that a command has ended with *status*, such as "ALTER TABLE". Never
        switches.
        """
        if status is not None and status.startswith(CHANGING):
            self.forget()
            self.is_off = connection.pgconn.transaction_status != IDLE


def _has_other_types(error: psycopg.Error) -> bool:
    """
    Whether *error*, of a prepared statement, may mean that it does not suit the types
    of the columns any more, as after a migration: the types of its parameters were
    inferred when it was prepared. Never switches.
    """
    state = error.sqlstate or ""
    return state.startswith("42") and not isinstance(
        error, psycopg.errors.InsufficientPrivilege
    )
