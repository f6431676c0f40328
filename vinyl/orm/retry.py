"""
Trying again after a conflict: what another transaction did at the same time.

PostgreSQL ends a transaction that it cannot bring into an order with the others, or
that waits in a circle with them; SQLite lets only one write. The remedy is the same:
roll back, wait a moment, and do all of it once more.
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
# SQLite's primary code; extended ones, such as BUSY_SNAPSHOT, carry it in this byte.
_SQLITE_BUSY = 5
_PRIMARY_CODE = 0xFF

# The longest wait before the second attempt, which doubles with each; in seconds.
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
    Decorator: a call that ends in a conflict with another transaction is made again.

        @transaction.retry_on_conflict(attempts=5)
        @transaction.atomic
        async def transfer(source, target, amount): ...

    It goes above `atomic`, for an attempt has to be a transaction of its own. For
    `async def` and for plain functions, which are dual-mode then. Conflicts are
    serialization failures and deadlocks of PostgreSQL, at the commit too, a prepared
    statement that a migration made invalid, and SQLite's "database is locked"; every
    other error leaves at once. Between attempts it waits, on the event loop where
    there is one: up to 10 ms at first, then up to twice as long each time, at most 1 s.

    What the function does besides is done again, too. The last error is raised as it
    is, with a note of how many attempts there were. Where a transaction is open around
    the call there is one attempt: the conflict has spoilt that transaction. So there is
    where a hook of `on_commit()` fails: what the function did is committed by then.

    Args:
        fn: The function, where the decorator is written without parentheses.
        attempts: How many calls there are at most, the first one included.
        using: The database whose transaction must not be open around the call, None
            for the default.

    Raises:
        ValueError: *attempts* is less than 1.
        TypeError: An argument is of the wrong kind, or the function is a generator,
            whose rows have been handed out before the conflict.

    Never switches; calls of what it decorates switch to the event loop.
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
    Whether *error* tells of a conflict that another attempt may not meet: one of
    Django's that the driver's caused. Never switches.
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
    # Only here, where psycopg has been imported: SQLite does without.
    from vinyl.orm.backends.psycopg_cursors import is_stale_plan

    return is_stale_plan(cast(BaseException, cause))


def mark_committed(error: DatabaseError) -> None:
    """
    Have *error* end all attempts, even if it is a conflict: it arose after the commit,
    and another attempt would do everything twice. Never switches.
    """
    vars(error)["vinyl_committed"] = True


def _attempts(
    attempts: int, alias: str, call: functools.partial[Any], sleep: Callable[..., Any]
) -> Generator[Any, Any, Any]:
    """
    The flow of one decorated call: attempts at *call*, and pauses between them.

    Args:
        sleep: Waits for some seconds, as the driver can.
    """
    # Asked before: the function's own transaction is not meant.
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
    How long to wait after *attempt*, in seconds: anything up to a limit that doubles,
    so that those who met do not meet again.
    """
    # The exponent stays small, for a float ends somewhere.
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
