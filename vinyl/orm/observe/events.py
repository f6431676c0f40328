"""
What is told of each query: a log line if it took long, an OpenTelemetry span, and what
listeners make of it, such as `vinyl.orm.recording`.

All come from one place, Django's `CursorWrapper`, which every query passes: in both
modes, in raw cursors, and inside whatever `execute_wrapper()` was given. Its method is
replaced while something is to be told and is Django's own otherwise, so that a query
costs nothing more then.

`CursorWrapper` is there when the connection is: time spent waiting for the pool or for
one's turn is no part of a query's.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sized
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import django.db
from django.db.backends.utils import CursorWrapper

from vinyl.conf import vinyl_settings
from vinyl.orm.observe.sql_text import describe_params, summary_of, text_of

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanKind, Tracer

__all__ = [
    "Listener",
    "Wanted",
    "everyone",
    "listeners",
    "listening",
    "observe",
    "opentelemetry_is_there",
    "outcome_of",
    "wanted",
]

logger = logging.getLogger("vinyl.queries")

# Django's word for a database, where it is not theirs.
SYSTEMS = {"oracle": "oracle.db", "microsoft": "microsoft.sql_server"}


class Wanted(NamedTuple):
    """What the settings ask for."""

    # Queries that took this long, in seconds, are logged; None logs none.
    threshold: float | None
    # Whether the log shows the values of parameters.
    shows_params: bool
    # Makes the spans; None makes none.
    tracer: Tracer | None
    # Whether somebody may be listening.
    listens: bool = False


class Listener(Protocol):
    """Who hears of the queries of a block, and of the tasks that the block starts."""

    # Who listened before, and hears of them as well; set by `listening`.
    outer: Listener | None

    def before(self) -> None:
        """A query is about to run. What this raises, it raises in its place."""

    def after(
        self,
        seconds: float,
        db: Any,
        sql: Any,
        params: Any,
        many: bool,
        error: BaseException | None,
    ) -> None:
        """A query has ended, with *error* unless that is None."""


class listening:
    """
    `with listening(listener):` has it hear of each query of the block, on whichever
    connection, and in tasks and bridge runs that are started inside. Never switches.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def __enter__(self) -> Any:
        self._listener.outer = _listener.get()
        _listeners.add(self._listener)
        if not _installed.listens:
            _install(_installed._replace(listens=True))
        self._token: Token[Listener | None] = _listener.set(self._listener)
        return self._listener

    def __exit__(self, *exc_info: object) -> None:
        _listeners.discard(self._listener)
        try:
            _listener.reset(self._token)
        except ValueError:
            # Closed by the garbage collector in a context of its own.
            return


def listeners() -> Iterator[Listener]:
    """Who hears of a query that is made here, innermost first. Never switches."""
    listener = _listener.get()
    while listener is not None:
        yield listener
        listener = listener.outer


def everyone() -> list[Listener]:
    """Who listens anywhere in this process. Never switches."""
    return list(_listeners)


_listener: ContextVar[Listener | None] = ContextVar("vinyl_listener", default=None)
# Those whose blocks have not ended.
_listeners: set[Listener] = set()


def wanted() -> Wanted:
    """
    What `settings.VINYL` asks for. Never switches.
    """
    tracer = None
    if vinyl_settings.OPENTELEMETRY and opentelemetry_is_there():
        from opentelemetry import trace

        tracer = trace.get_tracer("vinyl")
    return Wanted(
        vinyl_settings.SLOW_QUERIES,
        vinyl_settings.SLOW_QUERIES_PARAMS,
        tracer,
    )


def opentelemetry_is_there() -> bool:
    """Whether `opentelemetry-api` can be imported. Never switches."""
    try:
        import opentelemetry.trace  # noqa: F401
    except ImportError:
        return False
    return True


def observe(what: Wanted) -> None:
    """
    Tell of queries from now on, in cursors that are open as well. Never switches.

    Args:
        what: What to tell; with nothing in it, Django's own method is put back.
    """
    _install(what._replace(listens=bool(_listeners)))


# It stays after the last listener has gone, for the next request brings another.
_installed = Wanted(None, False, None)


def _install(what: Wanted) -> None:
    global _installed
    _installed = what
    cls: Any = CursorWrapper
    found = cls._execute_with_wrappers
    # Ours names what it stands before; another's is left alone.
    before = getattr(found, "stands_before", found)
    if what.threshold is not None or what.tracer is not None or what.listens:
        cls._execute_with_wrappers = _observed(before, what)
    elif found is not before:
        cls._execute_with_wrappers = before


def _observed(execute: Callable, what: Wanted) -> Callable:
    """*execute*, a method that runs a query, and *what* is told of it."""
    limit, shows_params, tracer, _ = what
    # With no provider set there is nobody to hear of a span.
    nobody: Any = ()
    get_provider: Callable[[], object] = object
    kind: Any = None
    if tracer is not None:
        from opentelemetry import trace

        nobody = getattr(trace, "ProxyTracerProvider", ())
        get_provider = trace.get_tracer_provider
        kind = trace.SpanKind.CLIENT

    def _execute_with_wrappers(
        self: CursorWrapper, sql: Any, params: Any, many: bool, executor: Callable
    ) -> Any:
        first = listener = _listener.get()
        while listener is not None:
            listener.before()
            listener = listener.outer
        span = None
        if tracer is not None and not isinstance(get_provider(), nobody):
            span = _start(tracer, kind, self.db, sql, params, many)
        started = time.perf_counter()
        try:
            result = execute(self, sql, params, many=many, executor=executor)
        except BaseException as error:
            duration = time.perf_counter() - started
            if limit is not None and duration >= limit:
                _log(duration, self.db, sql, params, many, shows_params, error)
            if span is not None:
                _fail(span, error)
            _tell(first, duration, self.db, sql, params, many, error)
            raise
        duration = time.perf_counter() - started
        if limit is not None and duration >= limit:
            _log(duration, self.db, sql, params, many, shows_params, None)
        if span is not None:
            span.end()
        if first is not None:
            _tell(first, duration, self.db, sql, params, many, None)
        return result

    _execute_with_wrappers.stands_before = execute  # type: ignore[attr-defined]
    return _execute_with_wrappers


def _tell(listener: Listener | None, *facts: Any) -> None:
    while listener is not None:
        listener.after(*facts)
        listener = listener.outer


def _log(
    duration: float,
    db: Any,
    sql: Any,
    params: Any,
    many: bool,
    shows_params: bool,
    error: BaseException | None,
) -> None:
    """Write the line of a slow query."""
    if not logger.isEnabledFor(logging.WARNING):
        return
    text = text_of(sql)
    outcome = outcome_of(error)
    logger.warning(
        "Slow query on %r, %s after %.3f s: %s (%s)",
        db.alias,
        outcome,
        duration,
        text,
        describe_params(params, many, shows_params),
        extra={
            "duration": duration,
            "alias": db.alias,
            "sql": text,
            "outcome": outcome,
        },
    )


def outcome_of(error: BaseException | None) -> str:
    """
    How a query ended. Not in the error's words, for the server quotes values in them.
    Never switches.
    """
    match error:
        case None:
            return "done"
        case asyncio.CancelledError():
            return "cancelled"
        case GeneratorExit():
            return "abandoned"
    return f"failed with {_name(_original(error))}"


def _start(
    tracer: Tracer, kind: SpanKind, db: Any, sql: Any, params: Any, many: bool
) -> Span:
    """
    Begin the span of a query, below the caller's. It does not become the current one:
    nothing runs inside it but the driver.
    """
    text = text_of(sql)
    summary = summary_of(sql)
    configured = db.settings_dict
    system = SYSTEMS.get(db.vendor, db.vendor)
    attributes: dict[str, str | int] = {"db.system.name": system, "db.query.text": text}
    if name := configured["NAME"]:
        attributes["db.namespace"] = str(name)
    if host := configured["HOST"]:
        attributes["server.address"] = host
        if (port := str(configured["PORT"])).isdecimal():
            attributes["server.port"] = int(port)
    batch = ""
    if many and isinstance(params, Sized) and len(params) > 1:
        attributes["db.operation.batch.size"] = len(params)
        batch = "BATCH "
    if summary:
        attributes["db.operation.name"] = batch + summary.partition(" ")[0]
        summary = attributes["db.query.summary"] = f"{batch}{summary}"
    return tracer.start_span(summary or system, kind=kind, attributes=attributes)


def _fail(span: Span, error: BaseException) -> None:
    """End *span* with *error*."""
    from opentelemetry.trace import Status, StatusCode

    original = _original(error)
    code = getattr(original, "sqlstate", None)
    if code:
        span.set_attribute("db.response.status_code", code)
    span.set_attribute("error.type", code or _name(original))
    span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, _name(original)))
    span.end()


def _original(error: BaseException) -> BaseException:
    """The driver's error, if *error* is Django's around it."""
    return (isinstance(error, django.db.Error) and error.__cause__) or error


def _name(error: BaseException) -> str:
    cls = type(error)
    if cls.__module__ == "builtins":
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"
