"""Running the query of a plan, without a cursor if nothing needs one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import Error

from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.backends.reconnection import prepare_retry
from vinyl.orm.observe.events import begin, is_observed, needs_cursor
from vinyl.records import NamedTuple

if TYPE_CHECKING:
    from vinyl.orm.backends.statements import Statement
    from vinyl.orm.plans.plan import Plan

__all__ = ["Write", "converted", "fetch", "guarded", "needs_no_cursor", "write"]


class Write(NamedTuple):
    """The arguments of `write()`: a statement with its parameters."""

    sql: str
    statement: Statement | None
    params: tuple[Any, ...]
    counts: bool


def fetch(plan: Plan, params: tuple[Any, ...], connection: Any) -> list[Any]:
    """
    Run the query of *plan* with *params* and return its rows.

    Raises: what `cursor.execute()` raises.

    Switches to the event loop, inside the bridge.
    """
    try:
        return _fetch(plan, params, connection)
    except Error as error:
        if not prepare_retry(error, connection, plan.query):
            raise
    return _fetch(plan, params, connection)


def _fetch(plan: Plan, params: tuple[Any, ...], connection: Any) -> list[Any]:
    rows = _fetch_without_cursor(plan.statement, params, connection)
    if rows is not None:
        return rows
    with connection.cursor() as cursor:
        cursor.execute(plan.sql, params)
        found: list[Any] = cursor.fetchall()
    return found


def write(
    sql: str,
    statement: Statement | None,
    params: tuple[Any, ...],
    counts: bool,
    connection: Any,
) -> list[Any]:
    """
    Run a statement that writes and return its rows.

    Args:
        statement: The same as *sql*; None if it needs a cursor.
        counts: Whether it returns no rows. Then the result is one row with the number
            of rows that it has changed.

    Raises: what `cursor.execute()` raises.

    Switches to the event loop, inside the bridge.
    """
    rows = _fetch_without_cursor(statement, params, connection)
    if rows is not None:
        return rows
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return [(cursor.rowcount,)] if counts else list(cursor.fetchall())


def needs_no_cursor(connection: Any) -> bool:
    """
    Connect if need be, and return whether statements can run without a cursor now.

    Raises: what `connection.cursor()` raises.

    Switches to the event loop, inside the bridge, if it connects.
    """
    return (
        isinstance(connection, BridgeMixin)
        and not needs_cursor(connection)
        and connection.prepare_fetch()
    )


def _fetch_without_cursor(
    statement: Statement | None, params: tuple[Any, ...], connection: Any
) -> list[Any] | None:
    """
    Run *statement* and return its rows. If it needs a cursor, because something
    observes it or the connection cannot run it otherwise, do nothing and return None.

    Raises: what `cursor.execute()` raises.

    Switches to the event loop, inside the bridge.
    """
    if statement is None or not needs_no_cursor(connection):
        return None
    rows: list[Any]
    if not is_observed(connection):
        rows = connection.fetch(statement, params)
        return rows
    with begin(connection, statement.sql, params):
        rows = connection.fetch(statement, params)
    return rows


class guarded:
    """
    In the block, an error marks the transaction of *connection* for rollback, as
    `mark_for_rollback_on_error()` does. Never switches.
    """

    __slots__ = ("_connection",)

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        connection = self._connection
        if isinstance(error, Exception) and connection.in_atomic_block:
            connection.needs_rollback = True
            connection.rollback_exc = error


def converted(plan: Plan, rows: list[Any], connection: Any) -> list[Any]:
    """
    Return *rows* with their values converted as the fields of *plan* do it. Never
    switches.
    """
    if plan.width is not None:
        rows = [row[: plan.width] for row in rows]
    if plan.converters is not None:
        return plan.converters.converted(rows, connection)
    return rows
