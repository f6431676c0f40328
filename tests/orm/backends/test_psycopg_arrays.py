"""Columns that are packed in arrays arrive in the server as psycopg would send them."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

import datetime
import math
import uuid
import zoneinfo
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.types.numeric import FloatDumper
from psycopg.types.string import StrDumper

from vinyl.orm.backends.psycopg_arrays import arrays_of, has_arrays_of

VALUES: dict[str, list[Any]] = {
    "bigint": [0, -(2**63), 2**63 - 1],
    "boolean": [True, False],
    "date": [datetime.date.min, datetime.date.max, datetime.date(2000, 1, 1)],
    "double precision": [0.1, -0.0, 5e-324, math.inf, -math.inf],
    "integer": [0, -(2**31), 2**31 - 1],
    "numeric": [Decimal("1.20"), Decimal("-1E+5"), Decimal("0E-8")],
    "smallint": [0, -(2**15), 2**15 - 1],
    "text": ["", "é\U0001f600\n\"'\\{},", "NULL", "a" * 3000],
    "timestamp with time zone": [
        datetime.datetime(2, 1, 1, tzinfo=datetime.UTC),
        datetime.datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=datetime.UTC),
        datetime.datetime(2026, 7, 3, tzinfo=zoneinfo.ZoneInfo("Europe/Paris")),
    ],
    "uuid": [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)],
    "varchar": ["", "a"],
}
REFUSED: dict[str, list[Any]] = {
    "bigint": [2**63],
    "integer": [-(2**31) - 1],
    "smallint": [2**15],
    "text": ["a\0b", "\ud800"],
    "timestamp with time zone": [datetime.datetime(2026, 2, 3)],
}


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(postgres_url, autocommit=True) as made:
        yield made


def sent(connection: psycopg.Connection[Any], db_type: str, values: Any) -> list[str]:
    """What the server has for *values*, as text."""
    sql = f"SELECT value::text FROM unnest((%s)::{db_type}[]) value"
    return [row[0] for row in connection.execute(sql, [values])]


@pytest.mark.parametrize("db_type", VALUES)
@pytest.mark.parametrize("more", [[], [None]], ids=["not null", "null"])
def test_values_are_those_that_psycopg_sends(
    connection: psycopg.Connection[Any], db_type: str, more: list[None]
) -> None:
    values = [*VALUES[db_type], *more]
    assert has_arrays_of(db_type)
    found = arrays_of(connection, [db_type], [values])
    assert found is not None
    assert repr(found[0]) == repr(values)
    assert sent(connection, db_type, found[0]) == sent(connection, db_type, values)


@pytest.mark.parametrize(
    ("db_type", "value"),
    [(db_type, value) for db_type, values in REFUSED.items() for value in values],
)
def test_values_that_are_errors_are_left_to_psycopg(
    connection: psycopg.Connection[Any], db_type: str, value: Any
) -> None:
    values = [*VALUES[db_type], value]
    assert arrays_of(connection, [db_type], [values]) is None
    assert arrays_of(connection, [db_type], [[*values, None]]) is None


def test_other_types_have_no_arrays() -> None:
    assert not has_arrays_of("jsonb")


def test_a_dumper_of_the_project_is_used(connection: psycopg.Connection[Any]) -> None:
    class Loud(StrDumper):
        def dump(self, obj: Any) -> Any:
            return obj.encode() + b"!"

    class Other(FloatDumper):
        """A dumper of a type that is not in the column."""

    connection.adapters.register_dumper(float, Other)
    assert arrays_of(connection, ["text"], [["a"]]) is not None
    connection.adapters.register_dumper(str, Loud)
    assert arrays_of(connection, ["text"], [["a"]]) is None
    assert arrays_of(connection, ["integer"], [[1]]) is not None


def test_another_encoding_is_left_to_psycopg(
    connection: psycopg.Connection[Any],
) -> None:
    connection.execute("SET client_encoding TO latin1")
    assert arrays_of(connection, ["text"], [["é"]]) is None
