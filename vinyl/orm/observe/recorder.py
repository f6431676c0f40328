"""
Recording the queries of a block: how many, how long, and if wanted each with its SQL
and the line that asked for it.

    with recording() as record:
        ...
    record.count, record.seconds

A web request is such a block. Queries of others that run at the same time are not in
it; those of tasks that the block starts are.
"""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass, field
from typing import Any

from vinyl.orm.observe.callsite import Asked, asked_here
from vinyl.orm.observe.events import (
    Listener,
    everyone,
    listeners,
    listening,
    outcome_of,
)
from vinyl.orm.observe.sql_text import describe_params, summary_of, text_of

__all__ = ["Query", "Recording", "current_recording", "recording"]

# Whether lazy loads are noticed (vinyl.orm.observe.n_plus_one). Kept here because
# each lazy read asks. It stays after a full recording, since the next request brings
# another.
notices_loads = False


@dataclass(frozen=True, slots=True)
class Query:
    """
    A query that has run.

    Args:
        alias: The database, a key of `DATABASES`.
        sql: Its text with placeholders; of a long one the middle is cut out.
        params: Its parameters as text, a few of each kind and shortened.
        seconds: From handing it over until its result was there.
        outcome: "done", or how it failed.
        asked: The line of the user's that asked for it.
        key: Equal in queries of equal text and parameters.
        summary: What it does to which tables; empty if that cannot be told.
    """

    alias: str
    sql: str
    params: str
    seconds: float
    outcome: str
    asked: Asked
    key: int
    summary: str


@dataclass(slots=True, eq=False)
class Recording:
    """
    What has been recorded so far; it may be read while the block still runs.

    Args:
        full: Whether `queries` are kept, or only counted and timed.
    """

    # Of a block with more, the first ones are kept and all are counted.
    MOST_QUERIES = 1000

    full: bool = False
    # How many queries have ended, well or not, and how long they took together.
    # Queries that run side by side each count in full.
    count: int = 0
    seconds: float = 0.0
    queries: list[Query] = field(default_factory=list)
    # What other modules keep for the time of the block, by their own keys.
    notes: dict[str, Any] = field(default_factory=dict)
    # Set at the end of the block: a task that outlives it adds nothing.
    ended: bool = False
    outer: Listener | None = None

    def before(self) -> None:
        pass

    def after(
        self,
        seconds: float,
        db: Any,
        sql: Any,
        params: Any,
        many: bool,
        error: BaseException | None,
    ) -> None:
        if self.ended:
            return
        self.count += 1
        self.seconds += seconds
        if self.full and len(self.queries) < Recording.MOST_QUERIES:
            shown = describe_params(params, many, shows_params=True)
            self.queries.append(
                Query(
                    db.alias,
                    text_of(sql),
                    shown,
                    seconds,
                    outcome_of(error),
                    asked_here(),
                    _key(sql, params, shown),
                    summary_of(sql),
                )
            )


class recording(listening):
    """
    `with recording() as record:` counts and times the queries of the block, on
    whichever connection, and in tasks and bridge runs that are started inside. Blocks
    may nest; each records all that runs in it.

    A plain `with` in both modes. Costs each query less than a microsecond, and with
    *full* some ten of them.

    Args:
        full: Whether to keep each query: SQL, parameters, time, who asked for it. For
            developers, since it shows values.

    Never switches.
    """

    _listener: Recording

    def __init__(self, *, full: bool = False) -> None:
        super().__init__(Recording(full))

    def __enter__(self) -> Recording:
        if self._listener.full:
            notice_loads(True)
        return super().__enter__()

    def __exit__(self, *exc_info: object) -> None:
        self._listener.ended = True
        super().__exit__(*exc_info)


def notice_loads(wanted: bool) -> None:
    """Notice lazy loads from now on if *wanted*, or if a recording is full."""
    global notices_loads
    notices_loads = wanted or any(getattr(one, "full", False) for one in everyone())


def current_recording() -> Recording | None:
    """
    The recording that the running code is in: the innermost full one, or else the
    innermost one; None outside. Never switches.
    """
    found = None
    for listener in listeners():
        if isinstance(listener, Recording):
            if listener.full:
                return listener
            found = found or listener
    return found


def _key(sql: Any, params: Any, shown: str) -> int:
    # What an iterator gives is not to be used up.
    return hash((str(sql), repr(params) if isinstance(params, Sized) else shown))
