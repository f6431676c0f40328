"""Queries of marked values, which record their lookups and the SQL that is executed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, cast
from weakref import ref

from django.db.models import sql
from django.db.models.sql.constants import ROW_COUNT
from django.db.models.sql.subqueries import DeleteQuery, UpdateQuery

from vinyl.orm.plans.values import Marks

__all__ = ["MarkedQuery", "Run", "Runs", "patch_aggregate_query", "unmark"]


class Run(NamedTuple):
    """A query that a compiler of Django's has run."""

    compiler: Any
    sql: str
    params: tuple[Any, ...]


class Runs(list[Run]):
    """
    The queries that compilers of one marked query have executed.

    Args:
        marks: The marks of its values.
    """

    def __init__(self, marks: Marks) -> None:
        super().__init__()
        self.marks = marks


class MarkedQuery(sql.Query):
    """
    A query that gives the lookups of marked values the attribute `vinyl_slot`, and
    records the SQL that its compilers execute.
    """

    # None in subqueries, whose values are not followed, and after the plan is complete.
    marks: Marks | None = None
    runs: Runs | None = None

    def build_lookup(self, lookups: Any, lhs: Any, rhs: Any) -> Any:
        lookup = super().build_lookup(lookups, lhs, rhs)
        if lookup is not None and self.marks is not None:
            if (slot := self.marks.slot_of(rhs)) is not None:
                cast(Any, lookup).vinyl_slot = slot
        return lookup

    def get_compiler(self, *args: Any, **kwargs: Any) -> Any:
        compiler = super().get_compiler(*args, **kwargs)
        if self.runs is not None:
            compiler.execute_sql = partial(_execute_sql, ref(compiler), self.runs)
        return compiler

    def chain(self, klass: Any = None) -> Any:
        return super().chain(_MARKED.get(klass, klass))


class _Recording(sql.Query):
    """A query that records the SQL that its compilers execute."""

    runs: Runs | None = None

    def get_compiler(self, *args: Any, **kwargs: Any) -> Any:
        compiler: Any = super().get_compiler(*args, **kwargs)
        if self.runs is not None:
            # Django has no other reference to it until it has run.
            compiler.execute_sql = partial(_execute_sql, lambda: compiler, self.runs)
        return compiler


class MarkedUpdate(_Recording, UpdateQuery):
    """The query that `update()` creates from a marked query."""


class MarkedDelete(_Recording, DeleteQuery):
    """The query that `delete()` creates from a marked query."""

    def delete_rows(self, using: str | None) -> Any:
        """
        Delete the rows and return their number. Switches to the event loop, inside the
        bridge.
        """
        return self.get_compiler(using).execute_sql(ROW_COUNT)


_MARKED: dict[Any, Any] = {UpdateQuery: MarkedUpdate, DeleteQuery: MarkedDelete}


def patch_aggregate_query(init: Callable[..., None]) -> Callable[..., None]:
    """
    Patch `AggregateQuery.__init__()`, so that it records in place of the marked query
    whose rows it aggregates.
    """

    @functools.wraps(init)
    def __init__(self: Any, model: Any, inner_query: Any) -> None:
        init(self, model, inner_query)
        runs = getattr(inner_query, "runs", None)
        if runs is not None:
            self.get_compiler = partial(_recording_compiler, self, runs)

    return __init__


def _recording_compiler(query: Any, runs: Runs, *args: Any, **kwargs: Any) -> Any:
    compiler = type(query).get_compiler(query, *args, **kwargs)
    compiler.execute_sql = partial(_execute_sql, ref(compiler), runs)
    return compiler


def unmark(query: Any) -> None:
    """Stop recording the SQL of *query*. Never switches."""
    query.marks = query.runs = None
    vars(query).pop("get_compiler", None)
    if hasattr(query, "inner_query"):
        unmark(query.inner_query)


def _execute_sql(
    compiler_ref: Callable[[], Any], runs: Runs, *args: Any, **kwargs: Any
) -> Any:
    """Call `compiler.execute_sql()`, and add the SQL that it executes to *runs*."""
    compiler: Any = compiler_ref()

    def as_sql() -> Any:
        text, marked = type(compiler).as_sql(compiler)
        # A marked value is of a subclass, which a driver may not know how to send.
        params = tuple(map(runs.marks.unmarked, marked))
        if runs and runs[-1].compiler is compiler:
            # The connection was lost, and it runs again on another one.
            runs.pop()
        runs.append(Run(compiler, text, params))
        return text, params

    compiler.as_sql = as_sql
    try:
        return type(compiler).execute_sql(compiler, *args, **kwargs)
    finally:
        del compiler.as_sql
