"""
What is told of each query: a log line if it took long, and an OpenTelemetry span.

Both come from one place, Django's `CursorWrapper`, which every query passes: in both
modes, in raw cursors, and inside whatever `execute_wrapper()` was given. Its method is
replaced while something is to be told and is Django's own otherwise, so that a query
costs nothing more then.

`CursorWrapper` is there when the connection is: time spent waiting for the pool or for
one's turn is no part of a query's.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import reprlib
import time
from collections.abc import Callable, Sized
from typing import TYPE_CHECKING, Any, NamedTuple

import django.db
from django.conf import settings
from django.db.backends.utils import CursorWrapper
from psycopg import sql as psycopg_sql

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanKind, Tracer

__all__ = ["Wanted", "is_threshold", "observe", "opentelemetry_is_there", "wanted"]

logger = logging.getLogger("vinyl.queries")

# Longer SQL is cut in the middle: what it does is said at its start, and what it is
# limited to often at its end.
LONGEST_SQL = 4000
TAIL = 800
# As the conventions of OpenTelemetry have it.
LONGEST_SUMMARY = 255
# Django's word for a database, where it is not theirs.
SYSTEMS = {"oracle": "oracle.db", "microsoft": "microsoft.sql_server"}

# A few values of each kind, for the parameters may be thousands of rows.
_shown = reprlib.Repr()
_shown.maxlist = _shown.maxtuple = _shown.maxdict = 20
_shown.maxstring = _shown.maxother = 200


class Wanted(NamedTuple):
    """What the settings ask for."""

    # Queries that took this long, in seconds, are logged; None logs none.
    threshold: float | None
    # Whether the log shows the values of parameters.
    shows_params: bool
    # Makes the spans; None makes none.
    tracer: Tracer | None


def wanted() -> Wanted:
    """
    What `settings.VINYL` asks for. A value that means nothing counts as off here, and
    is for the system check to tell of. Never switches.
    """
    options = getattr(settings, "VINYL", {})
    threshold = options.get("SLOW_QUERIES")
    spans = options.get("OPENTELEMETRY", "auto")
    tracer = None
    if (spans is True or spans == "auto") and opentelemetry_is_there():
        from opentelemetry import trace

        tracer = trace.get_tracer("vinyl")
    return Wanted(
        threshold if is_threshold(threshold) else None,
        options.get("SLOW_QUERIES_PARAMS") is True,
        tracer,
    )


def is_threshold(value: object) -> bool:
    """Whether *value* is a positive number. Never switches."""
    return type(value) in (int, float) and value > 0  # type: ignore[operator]


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
    cls: Any = CursorWrapper
    found = cls._execute_with_wrappers
    # Ours names what it stands before; another's is left alone.
    before = getattr(found, "stands_before", found)
    if what.threshold is not None or what.tracer is not None:
        cls._execute_with_wrappers = _observed(before, what)
    elif found is not before:
        cls._execute_with_wrappers = before


def _observed(execute: Callable, what: Wanted) -> Callable:
    """*execute*, a method that runs a query, and *what* is told of it."""
    limit, shows_params, tracer = what
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
            raise
        duration = time.perf_counter() - started
        if limit is not None and duration >= limit:
            _log(duration, self.db, sql, params, many, shows_params, None)
        if span is not None:
            span.end()
        return result

    _execute_with_wrappers.stands_before = execute  # type: ignore[attr-defined]
    return _execute_with_wrappers


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
    outcome = _outcome(error)
    logger.warning(
        "Slow query on %r, %s after %.3f s: %s (%s)",
        db.alias,
        outcome,
        duration,
        text,
        _describe_params(params, many, shows_params),
        extra={
            "duration": duration,
            "alias": db.alias,
            "sql": text,
            "outcome": outcome,
        },
    )


def _outcome(error: BaseException | None) -> str:
    """
    How a query ended. Not in the error's words, for the server quotes values in them.
    """
    match error:
        case None:
            return "done"
        case asyncio.CancelledError():
            return "cancelled"
        case GeneratorExit():
            return "abandoned"
    return f"failed with {_name(_original(error))}"


def _describe_params(params: Any, many: bool, shows_params: bool) -> str:
    if params is None:
        return "no parameters"
    if not isinstance(params, Sized):
        # To count or show it would use it up.
        return "parameters from an iterator"
    if shows_params:
        return f"parameters: {_shown.repr(params)}"
    what = "parameter set" if many else "parameter"
    return f"{len(params)} {what}{'' if len(params) == 1 else 's'}, not shown"


def text_of(sql: Any) -> str:
    """
    The text of a query, a string or one of psycopg's objects, without the values that
    are composed into it, and shortened to a size fit for a log. Never switches.
    """
    text = _uncut(sql)
    if len(text) <= LONGEST_SQL:
        return text
    cut = len(text) - LONGEST_SQL
    return f"{text[: LONGEST_SQL - TAIL]} [{cut} characters] {text[-TAIL:]}"


def _uncut(sql: Any) -> str:
    match sql:
        case str():
            return sql
        case bytes():
            return sql.decode(errors="replace")
        case psycopg_sql.Composed():
            return "".join(map(_uncut, sql))
        case psycopg_sql.Literal():
            return "%s"
        case psycopg_sql.Composable():
            return sql.as_string(None)
    # What it is made of is unknown, so it may show values.
    return f"<{type(sql).__name__}>"


def _start(
    tracer: Tracer, kind: SpanKind, db: Any, sql: Any, params: Any, many: bool
) -> Span:
    """
    Begin the span of a query, below the caller's. It does not become the current one:
    nothing runs inside it but the driver.
    """
    text = text_of(sql)
    summary = summary_of(text)
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


_NAME = r'(?:"[^"]+"|`[^`]+`|[^\W\d]\w*)'
_PARTS = re.compile(
    rf"""
    # Passed over: values, comments, and where the words mean something else.
      '(?:[^']|'')*' | --[^\n]* | /\*.*?\*/
    | \bEXTRACT\s*\(\s*\w+\s+FROM\b | \bDISTINCT\s+FROM\b
    | \b(?:ON|DO|KEY|FOR)\s+(?:DELETE|UPDATE)\b
    | \b(?P<before>FROM|JOIN|INTO|UPDATE|TABLE)\s+
      (?:(?:IF\s+(?:NOT\s+)?EXISTS|ONLY)\s+)?
      (?!LATERAL\b) (?P<table>{_NAME}(?:\.{_NAME})*)
    | "[^"]*"
    | \b(?P<word>[^\W\d]\w*)
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_OPERATIONS = {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"}


@functools.lru_cache(maxsize=512)
def summary_of(text: str) -> str:
    """
    What a query does and to which tables, in the order of its text, such as
    `SELECT albums artists`; empty if that cannot be told. Never switches.
    """
    parts: list[str] = []
    length = 0
    first = True
    for found in _PARTS.finditer(text):
        before, table, word = found.group("before", "table", "word")
        if table:
            new = [before] if before.upper() == "UPDATE" else []
            new.append(re.sub(r'["`]', "", table))
        elif word and (word.upper() in _OPERATIONS or first):
            # What a WITH does is said by the operations that follow.
            new = [] if word.upper() == "WITH" else [word]
        else:
            continue
        first = False
        length += sum(len(part) + 1 for part in new)
        if length > LONGEST_SUMMARY:
            break
        parts += new
    return " ".join(parts)
