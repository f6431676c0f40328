"""The expressions of converters give what Django's converters give, for any value."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any

import pytest
from django.db import connections
from django.db.models import Field, Value
from django.db.models.expressions import Col
from django.test.utils import override_settings
from hypothesis import given
from hypothesis import strategies as st

from tests.fix_db import only_sqlite
from vinyl.orm import models
from vinyl.orm.backends.sqlite3.base import DatabaseWrapper
from vinyl.orm.plans.converters import Converters

FIELDS: dict[str, Any] = {
    "boolean": models.BooleanField(),
    "date": models.DateField(),
    "datetime": models.DateTimeField(),
    "decimal": models.DecimalField(max_digits=8, decimal_places=2),
    "duration": models.DurationField(),
    "json": models.JSONField(),
    "time": models.TimeField(),
    "uuid": models.UUIDField(),
}
DATETIMES = st.datetimes(
    timezones=st.sampled_from(
        [None, datetime.UTC, datetime.timezone(datetime.timedelta(hours=2))]
    )
)
TEXTS = st.one_of(
    st.text(max_size=40),
    st.uuids().map(str),
    st.uuids().map(lambda key: key.hex),
    st.uuids().map(lambda key: f"{{{key}}}"),
    st.dates().map(str),
    DATETIMES.map(str),
    st.times().map(str),
    st.sampled_from(["٣" * 32, "g" * 32, "_" * 32, "-" * 32, "2020-02-30", "[1]"]),
)
# What the driver may give: SQLite stores a value of any type in any column.
VALUES: Any = st.one_of(
    st.none(),
    st.sampled_from([0, 1, -0.0, 1.0, True, False, 2**63 - 1]),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(),
    st.binary(max_size=40),
    TEXTS,
    st.dates(),
    DATETIMES,
    st.times(),
)

pytestmark = [pytest.mark.usefixtures("db"), only_sqlite]


def outcome(call: Any) -> Any:
    try:
        [(value,)] = call()
    except Exception as error:
        return type(error), str(error)
    return type(value), repr(value)


def compare(column: Any, value: Any) -> None:
    connection: Any = connections["default"]
    converters = connection.ops.get_db_converters(column)
    converters += column.get_db_converters(connection)

    def djangos() -> list[Any]:
        result = value
        for converter in converters:
            result = converter(result, column, connection)
        return [(result,)]

    written = Converters(1, {0: (converters, column)}, connection)
    assert outcome(lambda: written.converted([(value,)], connection)) == outcome(
        djangos
    )


@pytest.mark.parametrize("use_tz", [True, False])
@pytest.mark.parametrize("name", FIELDS)
def test_values_are_those_of_django(name: str, use_tz: bool) -> None:
    field = FIELDS[name]
    connection: Any = connections["default"]
    assert isinstance(connection, DatabaseWrapper)

    @given(VALUES)
    def compare_all(value: Any) -> None:
        compare(Col("t", field), value)
        compare(Value(None, output_field=field), value)

    with override_settings(USE_TZ=use_tz):
        compare_all()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("boolean", True, True),
        ("date", datetime.date(2024, 2, 29), datetime.date(2024, 2, 29)),
        (
            "datetime",
            datetime.datetime(2024, 2, 29),
            datetime.datetime(2024, 2, 29, tzinfo=datetime.UTC),
        ),
        ("decimal", 1.1, decimal.Decimal("1.10")),
        ("duration", 1_000_000, datetime.timedelta(seconds=1)),
        ("time", datetime.time(1), datetime.time(1)),
        ("uuid", "0" * 31 + "1", uuid.UUID(int=1)),
    ],
)
def test_usual_values_do_not_call_django(
    name: str, value: Any, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection: Any = connections["default"]
    column: Any = Col("t", FIELDS[name])
    converters = connection.ops.get_db_converters(column)
    converters += column.get_db_converters(connection)
    written = Converters(1, {0: (converters, column)}, connection)
    monkeypatch.setattr(connection.ops, "get_db_converters", None)
    assert written.converted([(value,)], connection) == [(expected,)]


def test_converters_of_custom_fields_are_called() -> None:
    class Shouting(models.BooleanField):  # type: ignore[type-arg]
        def from_db_value(self, value: Any, *args: Any) -> Any:
            return f"{value}!"

    field: Field[Any, Any] = Shouting()
    connection: Any = connections["default"]
    column: Any = Col("t", field)
    converters = connection.ops.get_db_converters(column)
    converters += column.get_db_converters(connection)
    assert len(converters) == 2
    written = Converters(1, {0: (converters, column)}, connection)
    assert written.converted([(1,), (None,)], connection) == [("True!",), ("None!",)]
