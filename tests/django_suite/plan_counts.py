"""
How many of the queries that read rows have a plan, and why the others have none.

    counts = count_plans()
    ...
    counts["plan"]
"""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from typing import Any, cast

from django.db.models.query import QuerySet
from django.db.models.sql.compiler import SQLCompiler

from vinyl.orm.plans import aggregates, learning, terminals, trails
from vinyl.orm.plans.values import Unplannable

__all__ = ["count_plans"]


class _Counting:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        # What was found out about the query that runs.
        self.finding = ""
        # Why a shape has no plan, by its node and terminal.
        self.refusals: dict[tuple[Any, str], str] = {}

    def ready(self, queryset: Any, trail: Any, terminal: str) -> Any:
        node = trail.node
        is_new = terminal not in node.seen
        found = _ready(queryset, trail, terminal)
        if isinstance(found, terminals.Unknown):
            self.finding = "plan is made"
            self.asked = node, terminal
        elif found is not None:
            self.counts["plan"] += 1
        elif terminal in node.refused:
            self.finding = self.refusals.get((node, terminal), "refused")
        elif is_new and not terminals.learns_at_once:
            self.finding = "first time"
        elif not trail.is_fixed:
            self.finding = "instances that may change"
        else:
            self.finding = "trail does not apply"
        return found

    def plan_of(self, *args: Any) -> Any:
        try:
            return _plan_of(*args)
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            where = f"{frames[-1].name}:{frames[-1].lineno}"
            self.refusals[self.asked] = f"refused by {where}"
            raise

    def learn(self, *args: Any) -> Any:
        asked = self.asked
        try:
            return _learn(*args)
        except Unplannable:
            self.refusals.setdefault(asked, "values cannot be followed")
            self.finding = "values cannot be followed"
            raise

    def query(self, queryset: Any) -> Any:
        had_trail = queryset.__dict__.get("_trail") is not None
        query = _get_query(queryset)
        if had_trail:
            query.vinyl_lost = _asking_method()
        return query

    def execute_sql(self, compiler: Any, *args: Any, **kwargs: Any) -> Any:
        lost = getattr(compiler.query, "vinyl_lost", "no queryset")
        reason = self.finding or f"no trail after {lost}"
        self.finding = ""
        self.counts[reason] += 1
        return _execute_sql(compiler, *args, **kwargs)


def _asking_method() -> str:
    """The public method that has asked for the query of a queryset."""
    frame: Any = sys._getframe(3)
    while frame.f_back is not None:
        name = frame.f_code.co_name
        if "/vinyl/" not in frame.f_code.co_filename and not (
            name.startswith(("_", "<")) and not name.startswith("__")
        ):
            return str(name)
        frame = frame.f_back
    return "?"


def count_plans() -> Counter[str]:
    """Return what counts the queries from now on, once vinyl is installed."""
    global _ready, _plan_of, _learn, _get_query, _execute_sql
    counting = _Counting()
    _ready, _plan_of, _learn = terminals.ready, learning._plan_of, learning.learn
    query: Any = vars(QuerySet)["query"]
    _get_query, _execute_sql = query.fget, SQLCompiler.execute_sql
    terminals.ready = cast(Any, aggregates).ready = counting.ready
    cast(Any, learning)._plan_of = counting.plan_of
    cast(Any, terminals).learn = counting.learn
    asked: Any = QuerySet
    asked.query = property(lambda self: counting.query(self), query.fset)
    compiler: Any = SQLCompiler
    compiler.execute_sql = lambda self, *args, **kwargs: counting.execute_sql(
        self, *args, **kwargs
    )
    # This one is no package's, in whose presence no plans are used.
    trails.note_compilers()
    return counting.counts


_ready: Any
_plan_of: Any
_learn: Any
_get_query: Any
_execute_sql: Any
