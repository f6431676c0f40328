"""
Queries of marked values, which record the SQL that is executed, and can be compiled
with references in place of the parameters of the values.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any
from weakref import ref

from django.db.models import sql
from django.db.models.fields.related_lookups import RelatedExact
from django.db.models.lookups import YearLookup
from django.db.models.sql.constants import ROW_COUNT
from django.db.models.sql.subqueries import DeleteQuery, UpdateQuery

from vinyl.orm.plans.binders import is_known
from vinyl.orm.plans.moments import followed
from vinyl.orm.plans.shapes import Reference
from vinyl.orm.plans.value_marks import Marks
from vinyl.orm.plans.values import Unplannable
from vinyl.records import NamedTuple

__all__ = [
    "MarkedQuery",
    "One",
    "Run",
    "Runs",
    "marking",
    "patch_aggregate_query",
    "unmark",
]


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
        # By slot, while compilers put references in place of parameters.
        self.tied: dict[int, Tied] | None = None

    @contextmanager
    def referring(self) -> Iterator[dict[int, Tied]]:
        """
        In the block, compilers of the query put a Reference in the place of each
        parameter that comes from a marked value, and a One in that of `exists()`. Gives
        what they have found, by slot.
        """
        self.tied = {}
        try:
            yield self.tied
        finally:
            self.tied = None


class Tied(NamedTuple):
    """The lookup of a marked value, and the SQL of its right-hand side."""

    lookup: Any
    sql: str


class One(NamedTuple):
    """
    The parameter 1 of the row that `exists()` asks for.

    Args:
        param: The parameter, as it is sent.
        owner: The id of what it belongs to. Copies have the same.
    """

    param: Any
    owner: int


_runs: ContextVar[Runs] = ContextVar("vinyl_marked_runs")


@contextmanager
def marking(runs: Runs) -> Iterator[None]:
    """In the block, the marked queries that Django creates belong to *runs*."""
    token = _runs.set(runs)
    try:
        yield
    finally:
        _runs.reset(token)


class MarkedQuery(sql.Query):
    """
    A query that ties marked values to their lookups, and records the SQL that its
    compilers execute. Inner queries do so, too.
    """

    # None after the plan is complete.
    runs: Runs | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.runs = _runs.get(None)

    def build_lookup(self, lookups: Any, lhs: Any, rhs: Any) -> Any:
        lookup = super().build_lookup(lookups, lhs, rhs)
        if lookup is not None:
            self.tie(lookup, rhs)
        return lookup

    def try_transform(self, *args: Any, **kwargs: Any) -> Any:
        transform = super().try_transform(*args, **kwargs)
        return transform if self.runs is None else followed(transform)

    def tie(self, lookup: Any, value: Any) -> None:
        """
        Tie *lookup* to its *value*, if that is marked and plans can follow it. Never
        switches.
        """
        if self.runs is None or not is_known(type(lookup)):
            return
        if type(value) is tuple and type(lookup) is RelatedExact and len(value) == 1:
            # The key by which Django looks up the rows of a many-to-many relation.
            (value,) = value
        slot = self.runs.marks.slot_of(value)
        if slot is not None:
            # Copies of the lookup, of which Django makes some, call the same.
            original = copy.copy(lookup)
            lookup.process_rhs = partial(_rhs, original, slot, self.runs)
            if isinstance(lookup, YearLookup):
                # Its parameters are the first and the last moment of the year.
                bounds = partial(_bounds, original, slot, self.runs)
                vars(lookup)["get_bound_params"] = bounds

    def exists(self, *args: Any, **kwargs: Any) -> Any:
        query = super().exists(*args, **kwargs)
        if self.runs is not None:
            value: Any = query.annotations["a"]
            value.as_sql = partial(_one, copy.copy(value), self.runs)
        return query

    def get_compiler(self, *args: Any, **kwargs: Any) -> Any:
        compiler = super().get_compiler(*args, **kwargs)
        if self.runs is not None:
            compiler.execute_sql = partial(_execute_sql, ref(compiler), self.runs)
        return compiler

    def chain(self, klass: Any = None) -> Any:
        return super().chain(_MARKED.get(klass, klass))


def _rhs(lookup: Any, slot: int, runs: Runs, compiler: Any, connection: Any) -> Any:
    """The right-hand side of *lookup*, as its `process_rhs()` returns it."""
    text, params = lookup.process_rhs(compiler, connection)
    if runs.tied is None:
        return text, params
    tied = Tied(lookup, text)
    if runs.tied.setdefault(slot, tied) != tied:
        raise Unplannable
    return text, [Reference(slot, position) for position in range(len(params))]


def _bounds(lookup: Any, slot: int, runs: Runs, start: Any, finish: Any) -> Any:
    """The parameters of *lookup*, as its `get_bound_params()` returns them."""
    params = lookup.get_bound_params(start, finish)
    if runs.tied is None:
        return params
    return [Reference(slot, position) for position in range(len(params))]


def _one(value: Any, runs: Runs, compiler: Any, connection: Any) -> Any:
    """The SQL of the *value* in the row that `exists()` asks for."""
    text, params = value.as_sql(compiler, connection)
    if runs.tied is not None:
        params = [One(param, id(value)) for param in params]
    return text, params


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
    query.runs = None
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
