"""Statements of plans go to the server without a cursor, with values of any kind."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any

import pytest
from django.db import connection
from psycopg.types.numeric import Int2, Int4, Int8

from tests.fix_db import only_postgresql
from tests.orm.backends.preparing import fetch, fresh, prepared
from vinyl.orm.backends.statements import Statement

__all__ = ["fresh", "prepared"]

pytestmark = [pytest.mark.usefixtures("db"), only_postgresql]


class TestValues:
    @pytest.mark.parametrize(
        "value",
        [
            1,
            2**40,
            "é",
            b"\x00a",
            True,
            None,
            decimal.Decimal("1.50"),
            datetime.date(2000, 1, 2),
            datetime.time(1, 2, 3),
            datetime.timedelta(days=1),
            datetime.datetime(2000, 1, 2, tzinfo=datetime.UTC),
            uuid.UUID(int=1),
        ],
    )
    def test_come_back_as_from_a_cursor(self, value: Any, prepared: None) -> None:
        statement = Statement("SELECT %s, 1")
        for _ in range(3):
            [(found, one)] = fetch(value, statement=statement)
            with connection.cursor() as cursor:
                cursor.execute(statement.sql, [value])
                expected, _ = cursor.fetchone()
            assert (found, type(found)) == (expected, type(expected))
            assert one == 1

    @pytest.mark.parametrize("kind", [int, Int2, Int4, Int8])
    @pytest.mark.parametrize("bits", [15, 31, 63, 64])
    @pytest.mark.parametrize("more", [-1, 0])
    def test_integers_of_any_size_arrive_whole(
        self, kind: Any, bits: int, more: int, prepared: None
    ) -> None:
        statement = Statement("SELECT CAST(%s AS numeric)")
        for _ in range(3):
            for value in (2**bits + more, -(2**bits) + more):
                assert fetch(kind(value), statement=statement) == [(value,)]


def test_a_pipeline_of_the_users_is_left_alone() -> None:
    fetch(0)
    with connection.connection.pipeline():
        assert not connection.prepare_fetch()
    assert connection.prepare_fetch()
