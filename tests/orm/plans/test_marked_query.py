"""Marked queries: which lookups they mark, and what they record of their execution."""

from __future__ import annotations

import datetime
from contextlib import suppress
from typing import Any

import pytest
from django.db import DataError, ProgrammingError
from django.db.models import QuerySet, sql

from tests.orm.plans.planning import catalogue
from tests.records.models import Album
from vinyl.orm.plans.marked_query import MarkedQuery, Run, Runs, unmark
from vinyl.orm.plans.values import Marks

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def query() -> MarkedQuery:
    query = MarkedQuery(Album)
    query.marks = Marks()
    query.runs = Runs(query.marks)
    return query


def recorded(query: MarkedQuery) -> list[Run]:
    assert query.runs is not None
    return query.runs


def albums(query: sql.Query) -> QuerySet[Album]:
    return QuerySet(Album, query)


def test_lookups_of_marked_values_are_marked(query: MarkedQuery) -> None:
    assert query.marks is not None
    mark = query.marks.mark
    found: Any = albums(query).filter(title=mark("x"), year=1, year__gt=mark(2))
    slots = [getattr(one, "vinyl_slot", None) for one in found.query.where.children]
    assert slots == [0, None, 1]


def test_each_execution_is_recorded(query: MarkedQuery) -> None:
    catalogue()
    assert len(albums(query).filter(year=1)) == 1
    [run] = recorded(query)
    assert "WHERE" in run.sql
    assert run.params == (1,)


def test_what_is_executed_has_no_marks(query: MarkedQuery) -> None:
    assert query.marks is not None
    value = datetime.date(1965, 10, 1)
    found = albums(query).filter(title__regex=query.marks.mark(value))
    # SQLite's driver knows how to send a date, but not instances of a subclass.
    with suppress(DataError, ProgrammingError):
        list(found)
    [run] = recorded(query)
    assert run.params[0] is value


def test_a_query_that_aggregates_its_rows_is_recorded(query: MarkedQuery) -> None:
    catalogue()
    assert albums(query).filter(year__gt=0).distinct()[:5].count() == 2
    [run] = recorded(query)
    assert run.sql.startswith("SELECT COUNT(*) FROM (SELECT DISTINCT")
    assert run.compiler.query.inner_query.model is Album


def test_nothing_is_recorded_after_unmark(query: MarkedQuery) -> None:
    catalogue()
    runs = recorded(query)
    assert albums(query).distinct()[:5].count() == 3
    [run] = runs
    unmark(run.compiler.query)
    assert run.compiler.query.get_compiler("default").execute_sql("single") == (3,)
    assert len(runs) == 1


def test_other_queries_record_nothing() -> None:
    catalogue()
    assert albums(sql.Query(Album)).distinct()[:5].count() == 3
