"""
Plans of `iterator()`: Django's chunked cursor runs the SQL of the plan, and objects are
made of a piece of a chunk of rows at a time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator
from typing import Any

from django.db.models.signals import post_init, pre_init

from vinyl.orm.plans import terminals
from vinyl.orm.plans.shapes import Unplannable
from vinyl.orm.plans.terminals import Ready, Unknown, learned, ready
from vinyl.orm.plans.trails import trail_of

__all__ = ["patch_iter"]

# Objects are made of so many rows at a time. Those of a piece are freed before the next
# one, so the garbage collector has little to scan.
PIECE = 500


def patch_iter(iterate: Callable[..., Any]) -> Callable[..., Any]:
    """For Django's iterables over a queryset, with a chunked cursor and without."""
    of_all = terminals.patch_iter(iterate)

    @functools.wraps(iterate)
    def __iter__(self: Any) -> Any:
        is_stream = self.chunked_fetch and trail_of(self.queryset) is not None
        return _stream(self, iterate) if is_stream else of_all(self)

    return __iter__


def _stream(iterable: Any, iterate: Callable[..., Any]) -> Iterator[Any]:
    queryset = iterable.queryset
    trail = trail_of(queryset)
    # None before Django 6.1. The peers of an instance are in all chunks.
    mode = getattr(queryset, "_fetch_mode", None)
    found = None
    if trail is not None and not (mode is not None and mode.track_peers):
        found = ready(queryset, trail, "rows")
    if trail is not None and isinstance(found, Unknown):

        def run(replica: Any) -> Iterator[Any]:
            return _started(iterate(type(iterable)(replica, True, iterable.chunk_size)))

        try:
            yield from learned(queryset, trail, "rows", found.connection, run)
            return
        except Unplannable:
            found = None
    if isinstance(found, Ready):
        yield from _objects(found, iterable)
    else:
        yield from iterate(iterable)


def _started(rows: Any) -> Generator[Any, None, None]:
    """Return what yields the objects of *rows*, whose query has run."""

    def resume() -> Generator[Any, None, None]:
        yield
        yield from first
        yield from iterator

    iterator = iter(rows)
    first = [one for _, one in zip(range(1), iterator, strict=False)]
    resumed = resume()
    next(resumed)
    return resumed


def _objects(found: Ready, iterable: Any) -> Iterator[Any]:
    plan, params, connection = found
    queryset = iterable.queryset
    compiler: Any = plan.query.get_compiler(connection=connection)
    compiler.as_sql = lambda: (plan.sql, params)
    compiler.col_count, compiler.has_extra_select = plan.width, plan.width is not None
    chunks = compiler.execute_sql(chunked_fetch=True, chunk_size=iterable.chunk_size)
    del compiler.as_sql
    try:
        for rows in chunks:
            if plan.converters is not None:
                rows = plan.converters.converted(rows, connection)
            if _has_receivers(queryset, plan.query):
                # They hear of an instance when it is asked for.
                for row in rows:
                    yield from plan.load([row], queryset, connection.alias)
            else:
                for start in range(0, len(rows), PIECE):
                    piece = rows[start : start + PIECE]
                    yield from plan.load(piece, queryset, connection.alias)
    finally:
        if isinstance(chunks, Generator):
            chunks.close()


def _has_receivers(queryset: Any, query: Any) -> bool:
    # Any model's, if there are others in the rows.
    if query.select_related:
        return bool(pre_init.receivers or post_init.receivers)
    model = queryset.model
    return pre_init.has_listeners(model) or post_init.has_listeners(model)
