"""
Query events: the beginning and the end of each query, for all observers.

The slow query log and spans observe all queries of the process (`set_observers()`).
Recordings and lazy loads observe the queries of a block (`with observe(...)`). Django's
`CursorWrapper` reports its queries here; without observers, its method is Django's own.
Code that sends a query directly to the driver reports it:

    if needs_cursor(connection):
        cursor.execute(sql, params)
    elif is_observed(connection):
        with begin(connection, sql, params):
            send()
    else:
        send()

A query begins when its connection is available: waiting for the pool, or for the lock
on the connection, is not part of the query.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextvars import ContextVar, Token
from functools import lru_cache
from types import FunctionType, TracebackType
from typing import Any, Generic, Protocol, TypeVar

import django.db
import django.db.backends.utils
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from vinyl.conf import django_setting

__all__ = [
    "Observer",
    "QueryEvent",
    "all_observers",
    "begin",
    "current_observers",
    "driver_error",
    "has_observers",
    "is_observed",
    "needs_cursor",
    "observe",
    "qualified_name",
    "set_observers",
]

ObserverT = TypeVar("ObserverT", bound="Observer")


class Observer(Protocol):
    """
    An object that is called at the beginning and the end of each query. One of the
    whole process may have a method `is_idle()`, which returns whether it would do
    nothing at all.
    """

    def begin(self, query: QueryEvent) -> None:
        """Called before *query* runs. An error raised here is raised by the query."""

    def end(self, query: QueryEvent) -> None:
        """Called after *query* has succeeded or failed."""


class QueryEvent:
    """
    A query that is running or has ended.

    As a context manager, it ends with the block, and records an error of the block.

    Attributes:
        connection: The connection that runs the query.
        sql: The text with placeholders: a string or an object of psycopg.
        params: The parameters as given; None if there are none.
        many: Whether *params* is an iterable of parameter sets (`executemany()`).
        seconds: The time from sending the query to receiving its result; 0 while it
            runs.
        error: The error; None if the query succeeded.
        span: The span of the query, set by vinyl.orm.observe.tracing.
    """

    # Here, since to set them on each event would take longer.
    seconds = 0.0
    error: BaseException | None = None
    span: Any = None

    def __init__(
        self,
        connection: BaseDatabaseWrapper,
        sql: Any,
        params: Any,
        many: bool,
        observers: tuple[Observer, ...],
    ) -> None:
        self.connection = connection
        self.sql = sql
        self.params = params
        self.many = many
        self._observers = observers
        for observer in observers:
            observer.begin(self)
        self._started = time.perf_counter()

    def end(self, error: BaseException | None = None) -> None:
        """
        Tell the observers that the query has ended. Call it once. Never switches.

        Args:
            error: What the query raised: Django's error rather than the driver's, or
                `CancelledError`. None if it succeeded.
        """
        self.seconds = time.perf_counter() - self._started
        if error is not None:
            self.error = error
        for observer in reversed(self._observers):
            observer.end(self)

    def __enter__(self) -> QueryEvent:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end(error)

    @property
    def outcome(self) -> str:
        """
        How it ended: "done", "cancelled", "abandoned", or "failed with" the name of the
        driver's error. Without the error's message, in which servers quote values.
        """
        match self.error:
            case None:
                return "done"
            case asyncio.CancelledError():
                return "cancelled"
            case GeneratorExit():
                return "abandoned"
        return f"failed with {qualified_name(driver_error(self.error))}"


def driver_error(error: BaseException) -> BaseException:
    """Return the driver's error, if *error* is Django's around it. Never switches."""
    return (isinstance(error, django.db.Error) and error.__cause__) or error


def qualified_name(error: BaseException) -> str:
    """Return the name of the class of *error*, with its module. Never switches."""
    cls = type(error)
    if cls.__module__ == "builtins":
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"


# The observers of the whole process.
_observers: tuple[Observer, ...] = ()
# Their methods `is_idle()`; empty if one of them has none.
_idle_checks: tuple[Callable[[], bool], ...] = ()
# Those of the running block, innermost first.
_block_observers: ContextVar[tuple[Observer, ...]]
_block_observers = ContextVar("vinyl_observers", default=())
# Those of all blocks that have not ended.
_active: set[Observer] = set()
# Whether CursorWrapper reports its queries. It goes on after the last block has ended,
# because the next request brings another.
_is_patched = False


def set_observers(*observers: Observer) -> None:
    """
    Replace the observers of all queries of this process, also those of cursors that are
    open. Without any, and outside all blocks, queries are not observed any more.

    Never switches.
    """
    global _observers, _idle_checks
    _observers = observers
    checks: list[Any] = [getattr(one, "is_idle", None) for one in observers]
    _idle_checks = () if None in checks else tuple(checks)
    _patch_cursors(bool(observers or _active))


class observe(Generic[ObserverT]):
    """
    Return a context manager in which *observer* observes the queries of the block, on
    all connections, and those of tasks and bridge runs started inside. Never switches.
    """

    def __init__(self, observer: ObserverT) -> None:
        self.observer = observer

    def __enter__(self) -> ObserverT:
        _active.add(self.observer)
        if not _is_patched:
            _patch_cursors(True)
        self._token: Token[tuple[Observer, ...]] = _block_observers.set(
            (self.observer, *_block_observers.get())
        )
        return self.observer

    def __exit__(self, *exc_info: object) -> None:
        _active.discard(self.observer)
        try:
            _block_observers.reset(self._token)
        except ValueError:
            # Closed by the garbage collector in a context of its own.
            return


def current_observers() -> tuple[Observer, ...]:
    """Return the observers of the running block, innermost first. Never switches."""
    return _block_observers.get()


def all_observers() -> list[Observer]:
    """Return the observers of all blocks that have not ended. Never switches."""
    return list(_active)


def is_observed(connection: BaseDatabaseWrapper) -> bool:
    """
    Whether a query on *connection* has to be reported, because of an observer, of an
    `execute_wrapper()`, or of `connection.queries`. Never switches.
    """
    return has_observers() or needs_cursor(connection)


def has_observers() -> bool:
    """Whether observers of the whole process want to see a query. Never switches."""
    if not _observers:
        return False
    for is_idle in _idle_checks:
        if not is_idle():
            return True
    return not _idle_checks


def needs_cursor(connection: BaseDatabaseWrapper) -> bool:
    """
    Whether a query on *connection* has to go through a cursor of Django's to be seen:
    by an observer of the running block, an `execute_wrapper()`, `connection.queries`,
    a tool that has replaced `CursorWrapper.execute()` or `connection.cursor()`, as
    Sentry and debug toolbars do, or a backend that does something for each cursor, as
    that of django-tenants chooses the schema. Never switches.
    """
    return bool(
        _block_observers.get()
        or not _is_djangos(CursorWrapper.execute)
        or connection.execute_wrappers
        or connection.force_debug_cursor
        or "cursor" in vars(connection)
        # Known of all but the first.
        or (
            _has_own_cursors.get(type(connection)) is not False
            and _makes_own_cursors(type(connection))
        )
        # As `connection.queries_logged`, without the half microsecond that it takes.
        or django_setting("DEBUG")
    )


# What subclasses of a DatabaseWrapper override to do something with each cursor.
_MAKING_CURSORS = (
    "_cursor",
    "_prepare_cursor",
    "create_cursor",
    "cursor",
    "make_cursor",
    "make_debug_cursor",
)


# By the class of a connection.
_has_own_cursors: dict[type, bool] = {}


def _makes_own_cursors(backend: type) -> bool:
    """Whether a class that is neither vinyl's nor Django's has a part in cursors."""
    found = _has_own_cursors.get(backend)
    if found is None:
        found = _has_own_cursors[backend] = any(
            cls.__module__.partition(".")[0] not in ("vinyl", "django")
            and not vars(cls).keys().isdisjoint(_MAKING_CURSORS)
            for cls in backend.__mro__
        )
    return found


@lru_cache(maxsize=8)
def _is_djangos(execute: Any) -> bool:
    """Whether *execute* is the method that Django has written."""
    # A wrapper may have copied all names of the method, but not its code.
    return isinstance(execute, FunctionType) and (
        execute.__code__.co_filename == django.db.backends.utils.__file__
    )


def begin(
    connection: BaseDatabaseWrapper,
    sql: Any,
    params: Any = None,
    *,
    many: bool = False,
) -> QueryEvent:
    """
    Return the event of a query that begins now. End it with a `with` block around the
    query, or with `end()`, in whichever task or context.

    Only observers see it: the wrappers of `connection.execute_wrapper()` and
    `connection.queries` need a cursor of Django's (`needs_cursor()`).

    Args:
        sql: Its text with placeholders, a string or an object of psycopg's.
        params: Its parameters, or with *many* an iterable of them.

    Never switches.
    """
    observers = _block_observers.get() + _observers
    return QueryEvent(connection, sql, params, many, observers)


def _patch_cursors(observed: bool) -> None:
    """Have Django's cursors report their queries, or no longer."""
    global _is_patched
    cls: Any = CursorWrapper
    found = cls._execute_with_wrappers
    # Ours names the method that it replaces. Another tool's stays, with ours inside if
    # that was there first.
    original = getattr(found, "replaces", None)
    if original is None and observed and not _is_patched:
        cls._execute_with_wrappers = patch_execute_with_wrappers(found)
    elif original is not None and not observed:
        cls._execute_with_wrappers = original
    _is_patched = observed


def patch_execute_with_wrappers(
    execute_with_wrappers: Callable[..., Any],
) -> Callable[..., Any]:
    """`CursorWrapper._execute_with_wrappers()`, between begin and end of its event."""

    def _execute_with_wrappers(
        self: CursorWrapper,
        sql: Any,
        params: Any,
        many: bool,
        executor: Callable[..., Any],
    ) -> Any:
        observers = _block_observers.get() + _observers
        if not observers:
            return execute_with_wrappers(
                self, sql, params, many=many, executor=executor
            )
        query = QueryEvent(self.db, sql, params, many, observers)
        # Not `with query`, which takes longer than all else here.
        try:
            result = execute_with_wrappers(
                self, sql, params, many=many, executor=executor
            )
        except BaseException as error:
            query.end(error)
            raise
        query.end()
        return result

    _execute_with_wrappers.replaces = execute_with_wrappers  # type: ignore[attr-defined]
    return _execute_with_wrappers
