"""Rows that PostgreSQL sends in binary have the values that their text has."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

import datetime
import math
import uuid
import zoneinfo
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from psycopg.pq import Format

from tests.fix_db import default_at, only_postgresql
from vinyl.orm.backends.psycopg_formats import FASTER, SAME
from vinyl.orm.backends.statements import Statement

pytestmark = [pytest.mark.usefixtures("db"), only_postgresql]

VALUES: dict[str, list[Any]] = {
    "int2": [0, -(2**15), 2**15 - 1, None],
    "int4": [0, -(2**31), 2**31 - 1, None],
    "int8": [0, -(2**63), 2**63 - 1, None],
    "float8": [0.1, -0.0, 1e308, 5e-324, math.inf, -math.inf, math.nan, 1 / 3, None],
    "uuid": [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1), None],
    "bytea": [b"", b"\x00\xff'\\", None],
    "bool": [True, False, None],
    "text": ["", "é\U0001f600\n", None],
    "varchar": ["", "a" * 3000, None],
    "date": [datetime.date.min, datetime.date.max, None],
    "timestamp": [
        datetime.datetime.min,
        datetime.datetime.max,
        datetime.datetime(2026, 2, 3, 4, 5, 6, 7),
        None,
    ],
    "timestamptz": [
        datetime.datetime(2, 1, 1, tzinfo=datetime.UTC),
        datetime.datetime(9999, 12, 30, 1, 2, 3, 4, tzinfo=datetime.UTC),
        datetime.datetime(2026, 2, 3, tzinfo=zoneinfo.ZoneInfo("Europe/Paris")),
        None,
    ],
}


@pytest.fixture(autouse=True)
def at_once(db: str) -> Iterator[None]:
    """Statements are prepared with their second run, and in binary with the third."""
    with default_at(OPTIONS={"prepare_threshold": 1}):
        connection.close()
        yield
        connection.close()


def fetch(sql: str, *params: Any) -> list[Any]:
    assert connection.prepare_fetch()
    found: list[Any] = connection.fetch(Statement(sql), params)
    return found


def formats() -> list[Any]:
    """Of the statements that the session has prepared."""
    return [
        known.format for known in connection.connection.prepared._statements.values()
    ]


def test_each_type_is_tested() -> None:
    assert VALUES.keys() == FASTER | SAME


@pytest.mark.parametrize("name", VALUES)
def test_values_are_those_of_a_cursor(name: str) -> None:
    for value in VALUES[name]:
        # The number lets the row come in binary.
        sql = f"SELECT CAST(%s AS {name}), 1::int4"
        found = [fetch(sql, value) for _ in range(3)]
        assert formats()[-1:] == [Format.BINARY]
        # One that binds in the server: as a literal, -0.0 is 0.
        expected = (
            psycopg.Cursor(connection.connection).execute(sql, [value]).fetchall()
        )
        assert [repr(rows) for rows in found] == [repr(expected)] * 3
        assert type(found[2][0][0]) is type(expected[0][0])


@pytest.mark.parametrize(
    "value", ["infinity", "-infinity", "20000-01-01", "0044-01-01 BC"]
)
@pytest.mark.parametrize("name", ["date", "timestamp", "timestamptz"])
def test_values_beyond_pythons_range_raise_the_same_error(
    name: str, value: str
) -> None:
    sql = f"SELECT d::{name}, 1 FROM (VALUES (%s)) AS v (d) WHERE length(d) > %s"
    for _ in range(3):
        assert fetch(sql, value, 99) == []
    assert formats()[-1:] == [Format.BINARY]
    with pytest.raises(DatabaseError) as caught:
        fetch(sql, value, 1)
    with connection.cursor() as cursor, pytest.raises(DatabaseError) as expected:
        cursor.execute(sql, [value, 1])
        cursor.fetchall()
    assert type(caught.value) is type(expected.value)


@pytest.mark.parametrize(
    "columns", ["1.5::numeric, 1", "0.1::float4, 1", "'{}'::jsonb, 1", "'a', true"]
)
def test_other_types_come_as_text(columns: str) -> None:
    for _ in range(3):
        fetch(f"SELECT {columns} WHERE %s", True)
    assert formats() == [Format.TEXT]


def test_a_custom_loader_is_used() -> None:
    class Loader(psycopg.adapt.Loader):
        def load(self, data: Any) -> str:
            return f"loaded {bytes(data).decode()}"

    connection.ensure_connection()
    connection.connection.adapters.register_loader("int4", Loader)
    for _ in range(4):
        assert fetch("SELECT 1::int4 WHERE %s", True) == [("loaded 1",)]
    assert formats() == [Format.TEXT]


def test_times_follow_the_session() -> None:
    """In another time zone than Django's they are what Django makes of them."""
    sql = "SELECT TIMESTAMPTZ '2026-07-01 12:00Z', 1 WHERE %s"
    for _ in range(3):
        fetch(sql, True)
    assert formats() == [Format.BINARY]
    for zone in ("Europe/Paris", "UTC"):
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('TimeZone', %s, false)", [zone])
            cursor.execute(sql, [True])
            expected = cursor.fetchall()
        assert fetch(sql, True) == expected


def stream(sql: str) -> tuple[list[Any], Any]:
    """The rows that a server-side cursor returns, and the format that they came in."""
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(sql)
        rows = [row for _ in range(5) for row in cursor.fetchmany(2)]
        return rows, cursor.cursor._format


def as_cursor_gives(sql: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


class TestServerSideCursors:
    @pytest.mark.parametrize("name", VALUES)
    def test_values_are_those_of_a_cursor(self, name: str) -> None:
        connection.ensure_connection()
        literals = [
            psycopg.sql.Literal(value).as_string(connection.connection)
            for value in VALUES[name]
        ]
        rows = " UNION ALL ".join(
            f"SELECT {number}::int4 AS n, CAST({literal} AS {name})"
            for number, literal in enumerate(literals)
        )
        found, format = stream(f"{rows} ORDER BY n")
        assert repr(found) == repr(as_cursor_gives(f"{rows} ORDER BY n"))
        assert format == Format.BINARY

    @pytest.mark.parametrize("columns", ["1.5::numeric, 1", "'a', true"])
    def test_other_types_come_as_text(self, columns: str) -> None:
        found, format = stream(f"SELECT {columns}")
        assert found == as_cursor_gives(f"SELECT {columns}")
        assert format == Format.TEXT

    def test_a_custom_loader_is_used(self) -> None:
        class Loader(psycopg.adapt.Loader):
            def load(self, data: Any) -> str:
                return f"loaded {bytes(data).decode()}"

        connection.ensure_connection()
        connection.connection.adapters.register_loader("int4", Loader)
        assert stream("SELECT 1::int4") == ([("loaded 1",)], Format.TEXT)

    def test_times_come_in_binary_in_utc_only(self) -> None:
        sql = "SELECT TIMESTAMPTZ '2026-07-01 12:00Z', 1"
        for zone, expected in (("Europe/Paris", Format.TEXT), ("UTC", Format.BINARY)):
            with connection.cursor() as cursor:
                cursor.execute("SELECT set_config('TimeZone', %s, false)", [zone])
            found, format = stream(sql)
            assert found == as_cursor_gives(sql)
            assert format == expected
