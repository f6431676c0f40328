"""
Recordings of the queries of a block: their number and total time, and in full
recordings each query with its SQL and the line that made it.

    with recording() as record:
        ...
    record.count, record.seconds

A web request is such a block. The queries of tasks that the block starts belong to it;
those of others that run at the same time do not.
"""

from __future__ import annotations

from collections.abc import Sized
from typing import TYPE_CHECKING, Any

from vinyl.orm import observe as later
from vinyl.orm.observe.events import (
    QueryEvent,
    all_observers,
    current_observers,
    observe,
)
from vinyl.records import NamedTuple

if TYPE_CHECKING:
    from vinyl.orm.observe.callsite import Callsite

__all__ = [
    "Query",
    "Recording",
    "current_recording",
    "observe_loads",
    "recording",
]

# Whether lazy loads are observed (vinyl.orm.observe.lazy_loads), which each lazy read
# looks up: always, because of a setting, or during full recordings.
observes_loads = False
_always = False


class Query(NamedTuple):
    """
    A query that has run.

    Args:
        alias: The database, a key of `DATABASES`.
        sql: Its text with placeholders. A long one is cut in the middle.
        params: Its parameters as text: the first few, shortened.
        seconds: From handing it over until its result was there.
        outcome: "done", or how it failed; see `QueryEvent.outcome`.
        callsite: The line of the user's that made it.
        key: Equal in queries of equal text and parameters.
        summary: What it does to which tables. Empty if that is unknown.
    """

    alias: str
    sql: str
    params: str
    seconds: float
    outcome: str
    callsite: Callsite
    key: int
    summary: str


class Recording:
    """
    What has been recorded so far. It may be read while the block still runs.

    Args:
        full: Whether `queries` are kept, or only counted and timed.
    """

    # If there are more, the first ones are kept and all are counted.
    MOST_QUERIES = 1000

    __slots__ = ("count", "ended", "full", "notes", "queries", "seconds")

    def __init__(self, full: bool = False) -> None:
        self.full = full
        # How many queries have ended, well or not, and how long they took together, in
        # seconds. Queries that run side by side each count in full.
        self.count = 0
        self.seconds = 0.0
        self.queries: list[Query] = []
        # What other modules keep with the recording, by keys of their own.
        self.notes: dict[str, Any] = {}
        # Set at the end of the block. Tasks that outlive it add nothing.
        self.ended = False

    def begin(self, query: QueryEvent) -> None:
        pass

    def end(self, query: QueryEvent) -> None:
        if self.ended:
            return
        self.count += 1
        self.seconds += query.seconds
        if self.full and len(self.queries) < Recording.MOST_QUERIES:
            self.queries.append(_query_of(query))


def _query_of(query: QueryEvent) -> Query:
    """What is kept of *query*."""
    params = later.sql_text.describe_params(query.params, query.many, shows_params=True)
    return Query(
        query.connection.alias,
        later.sql_text.text_of(query.sql),
        params,
        query.seconds,
        query.outcome,
        later.callsite.find_callsite(),
        _key(query.sql, query.params, params),
        later.sql_text.summary_of(query.sql),
    )


class recording(observe[Recording]):
    """
    Return a context manager that counts and times the queries of the block, on all
    connections, and those of tasks and bridge runs started inside. Blocks can be
    nested; each records all queries that run in it.

    Use `with` in both modes. It adds about a microsecond to each query, and about ten
    with *full*.

    Args:
        full: Whether to keep each query with its SQL, parameters, time, and the line
            that made it. For development only, because it contains values.

    Never switches.
    """

    def __init__(self, *, full: bool = False) -> None:
        super().__init__(Recording(full))

    def __enter__(self) -> Recording:
        record = super().__enter__()
        if record.full:
            _decide()
        return record

    def __exit__(self, *exc_info: object) -> None:
        self.observer.ended = True
        super().__exit__(*exc_info)
        if self.observer.full:
            _decide()


def observe_loads(always: bool) -> None:
    """
    Observe lazy loads *always*, or only during full recordings. Never switches.
    """
    global _always
    _always = always
    _decide()


def _decide() -> None:
    global observes_loads
    observes_loads = _always or any(
        isinstance(one, Recording) and one.full for one in all_observers()
    )


def current_recording() -> Recording | None:
    """
    Return the innermost full recording around the running code, or else the innermost
    recording; None outside of recordings. Never switches.
    """
    found = None
    for observer in current_observers():
        if isinstance(observer, Recording):
            if observer.full:
                return observer
            found = found or observer
    return found


def _key(sql: Any, params: Any, shown: str) -> int:
    # Reading an iterator would use up the parameters.
    return hash((str(sql), repr(params) if isinstance(params, Sized) else shown))
