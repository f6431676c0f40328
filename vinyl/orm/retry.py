"""
Retrying a transaction after a conflict with another transaction.

PostgreSQL aborts a transaction that it cannot serialize with the others, or that is
part of a deadlock; SQLite allows only one transaction to write. In each case the
solution is to roll back, wait for a short time, and run the transaction again.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import random
import time
from collections.abc import Callable, Generator
from typing import Any, ParamSpec, TypeVar, cast, overload

from asgiref.sync import iscoroutinefunction
from django.db import (
    DEFAULT_DB_ALIAS,
    DatabaseError,
    NotSupportedError,
    OperationalError,
)

from vinyl.bridge.flows import drive, drive_async, use_driver
from vinyl.bridge.greenlets import in_bridge
from vinyl.orm.scopes.storage import in_transaction

__all__ = ["is_conflict", "mark_committed", "retry_on_conflict"]

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("vinyl.orm")

# PostgreSQL's serialization_failure and deadlock_detected.
_SQLSTATES = frozenset({"40001", "40P01"})
# SQLite's primary result code, which is the low byte of extended ones (BUSY_SNAPSHOT).
_SQLITE_BUSY = 5
_PRIMARY_CODE = 0xFF

# The longest wait before the second attempt, in seconds. It doubles with each attempt.
FIRST_PAUSE = 0.01
LONGEST_PAUSE = 1.0


@overload
def retry_on_conflict(fn: Callable[P, T], /) -> Callable[P, T]: ...
@overload
def retry_on_conflict(
    *, attempts: int = 3, using: str | None = None
) -> Callable[[Callable[P, T]], Callable[P, T]]: ...
def retry_on_conflict(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    attempts: int = 3,
    using: str | None = None,
) -> Callable[..., Any]:
    """
    Decorator that calls a function again if it conflicts with another transaction.

        @transaction.retry_on_conflict(attempts=5)
        @transaction.atomic
        async def transfer(source, target, amount): ...

    Place it above `atomic`, so that each attempt is a separate transaction. It
    decorates `async def` functions, and plain functions, which become dual-mode.
    Conflicts are PostgreSQL's serialization failures and deadlocks, including those
    during the commit, prepared statements that a migration made invalid, and SQLite's
    "database is locked". Any other error is raised immediately. Before the second
    attempt it waits for up to 10 ms, and up to twice as long before each further one,
    but never more than 1 s. On an event loop, waiting does not block other tasks.

    The whole function runs again, including what it does outside the database. If the
    last attempt fails, its error is raised with a note that gives the number of
    attempts. There is only one attempt if a transaction is open around the call,
    because the conflict has made it unusable, and if an `on_commit()` hook fails,
    because the function's changes have been committed.

    Args:
        fn: The function, if the decorator is used without parentheses.
        attempts: Maximum number of calls, including the first.
        using: The alias of the database whose transaction is repeated; None for the
            default.

    Raises:
        ValueError: *attempts* is less than 1.
        TypeError: An argument has the wrong type, or the function is a generator,
            which may have yielded values before the conflict.

    Never switches; calls of the decorated function switch to the event loop.
    """
    _check_arguments(fn, attempts, using)
    alias = using or DEFAULT_DB_ALIAS

    def decorate(fn: Callable[..., Any]) -> Callable[..., Any]:
        _check_function(fn)
        if iscoroutinefunction(fn):

            @functools.wraps(fn)
            async def retrying_async(*args: Any, **kwargs: Any) -> Any:
                call = functools.partial(fn, *args, **kwargs)
                return await drive_async(
                    _attempts(attempts, alias, call, asyncio.sleep)
                )

            return retrying_async

        @functools.wraps(fn)
        def retrying(*args: Any, **kwargs: Any) -> Any:
            call = functools.partial(fn, *args, **kwargs)
            sleep: Callable[..., Any] = asyncio.sleep if in_bridge() else time.sleep
            return drive(_attempts(attempts, alias, call, sleep))

        return use_driver(retrying)

    return decorate if fn is None else decorate(fn)


def is_conflict(error: BaseException) -> bool:
    """
    Whether *error*, an exception of Django's caused by one of the driver's, is a
    conflict that another attempt may avoid. Never switches.
    """
    if isinstance(error, NotSupportedError):
        return _is_stale_plan(error.__cause__)
    if not isinstance(error, OperationalError):
        return False
    cause: BaseException | None = error
    while cause is not None:
        if getattr(cause, "sqlstate", None) in _SQLSTATES:
            return True
        code = getattr(cause, "sqlite_errorcode", None)
        if code is not None and code & _PRIMARY_CODE == _SQLITE_BUSY:
            return True
        cause = cause.__cause__
    return False


def _is_stale_plan(cause: BaseException | None) -> bool:
    if getattr(cause, "sqlstate", None) is None:
        return False
    # Imported only after an error of psycopg's: SQLite does not need psycopg.
    from vinyl.orm.backends.psycopg_cursors import is_stale_plan

    return is_stale_plan(cast(BaseException, cause))


def mark_committed(error: DatabaseError) -> None:
    """
    Mark *error* as raised after the commit. It is not retried, even if it is a
    conflict, because the function's changes would be made twice. Never switches.
    """
    vars(error)["vinyl_committed"] = True


def _attempts(
    attempts: int, alias: str, call: functools.partial[Any], sleep: Callable[..., Any]
) -> Generator[Any, Any, Any]:
    """
    The flow of one decorated call: calls *call* and waits between attempts.

    Args:
        sleep: Waits for a number of seconds, in the mode of the driver.
    """
    # Before the call, because the function begins a transaction itself.
    around = in_transaction(alias)
    attempt = 0
    while True:
        attempt += 1
        try:
            return (yield call, ())
        except DatabaseError as error:
            if not is_conflict(error):
                raise
            if "vinyl_committed" in vars(error):
                error.add_note(
                    "retry_on_conflict() did not try again: the error was raised by an "
                    "on_commit() hook, after the commit of the function's changes."
                )
                raise
            if around:
                error.add_note(
                    f"retry_on_conflict() did not try again: a transaction on database "
                    f"{alias!r} was open around the call, and the conflict makes all "
                    f"of it invalid. Decorate the function that begins the "
                    f"transaction, with retry_on_conflict above atomic."
                )
                raise
            if attempt >= attempts:
                times = "1 attempt" if attempt == 1 else f"{attempt} attempts"
                error.add_note(f"retry_on_conflict() made {times}.")
                raise
            logger.info(
                "Attempt %d of %d of %s ended in a conflict. Trying again: %s",
                attempt,
                attempts,
                getattr(call.func, "__qualname__", call.func),
                error,
            )
        yield sleep, (_pause(attempt),)


def _pause(attempt: int) -> float:
    """
    How long to wait after *attempt*, in seconds. It is random, so that transactions
    that conflicted do not conflict again; its limit doubles with each attempt.
    """
    # The exponent is limited because a float would overflow.
    limit = FIRST_PAUSE * 2 ** min(attempt - 1, 10)
    return random.uniform(0, min(limit, LONGEST_PAUSE))


def _check_arguments(fn: Any, attempts: Any, using: Any) -> None:
    if fn is not None and not callable(fn):
        raise TypeError(
            f"retry_on_conflict() was given {fn!r}, which is not a function. Pass its "
            f"arguments by name, as in retry_on_conflict(attempts=5, using='default')."
        )
    if not isinstance(attempts, int) or isinstance(attempts, bool):
        raise TypeError(
            f"retry_on_conflict() was given attempts={attempts!r}, which must be a "
            f"positive integer. Pass the maximum number of calls, including the first."
        )
    if attempts < 1:
        raise ValueError(
            f"retry_on_conflict() was given attempts={attempts}, so the function would "
            f"never be called. Pass 1 or more: the first call counts as an attempt."
        )
    if not (using is None or isinstance(using, str)):
        raise TypeError(
            f"retry_on_conflict() was given using={using!r}, which must be a database "
            f"alias. Pass a key of settings.DATABASES, or None for the default."
        )


def _check_function(fn: Any) -> None:
    if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
        raise TypeError(
            f"retry_on_conflict() was given {fn.__qualname__}, a generator, which may "
            f"have yielded values before the conflict. Decorate a function that "
            f"returns its result. If it is a flow, apply @use_driver first."
        )
