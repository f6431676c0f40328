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
from vinyl.orm.plans.marked_query import MarkedQuery, One, Runs, marking, unmark
from vinyl.orm.plans.shapes import Reference
from vinyl.orm.plans.value_marks import Marks

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def query() -> MarkedQuery:
    with marking(Runs(Marks())):
        return MarkedQuery(Album)


def recorded(query: MarkedQuery) -> Runs:
    assert query.runs is not None
    return query.runs


def params_of(queryset: Any) -> tuple[Any, ...]:
    params: tuple[Any, ...] = queryset.query.sql_with_params()[1]
    return params


def albums(query: sql.Query) -> QuerySet[Album]:
    return QuerySet(Album, query)


class TestTies:
    def test_references_replace_parameters_of_marked_values(
        self, query: MarkedQuery
    ) -> None:
        runs = recorded(query)
        mark = runs.marks.mark
        found: Any = albums(query).filter(title=mark("x"), year=1, year__gt=mark(2))
        with runs.referring() as tied:
            assert params_of(found) == (Reference(0, 0), 1, Reference(1, 0))
        assert [(slot, one.lookup.rhs) for slot, one in tied.items()] == [
            (0, "x"),
            (1, 2),
        ]
        assert params_of(found) == ("x", 1, 2)

    def test_they_hold_in_the_subqueries_of_exclude(self, query: MarkedQuery) -> None:
        runs = recorded(query)
        with marking(runs):
            found = albums(query).exclude(tracks__title=runs.marks.mark("x"))
        with runs.referring():
            one, reference = params_of(found)
        assert type(one) is One
        assert (one.param, reference) == (1, Reference(0, 0))
        assert params_of(found) == (1, "x")

    def test_the_parameter_of_exists_is_known(self, query: MarkedQuery) -> None:
        found = albums(query).query.exists()
        with recorded(query).referring():
            assert type(found.sql_with_params()[1][0]) is One
        assert found.sql_with_params()[1][0] == 1

    def test_new_queries_belong_to_nothing(self) -> None:
        assert MarkedQuery(Album).runs is None


def test_each_execution_is_recorded(query: MarkedQuery) -> None:
    catalogue()
    assert len(albums(query).filter(year=1)) == 1
    [run] = recorded(query)
    assert "WHERE" in run.sql
    assert run.params == (1,)


def test_what_is_executed_has_no_marks(query: MarkedQuery) -> None:
    value = datetime.date(1965, 10, 1)
    found = albums(query).filter(title__regex=recorded(query).marks.mark(value))
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
