"""The DatabaseWrapper for psycopg: its errors, and how it prepares statements."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import datetime
from typing import Any

import pytest
from django.db import OperationalError, connection, connections

from tests.fix_db import default_at, only_postgresql
from tests.records.models import Artist
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db"), only_postgresql]


async def test_an_unreachable_server_is_djangos_error() -> None:
    settings = connections.settings["default"]
    host, port = settings["HOST"], settings["PORT"]
    settings.update(HOST="127.0.0.1", PORT="1")
    try:
        with pytest.raises(OperationalError, match="refused|failed"):
            await Artist.objects.count()
    finally:
        settings.update(HOST=host, PORT=port)
    assert pool_for("default").in_use == {}


@pytest.mark.parametrize(
    ("changed", "threshold"),
    [
        ({}, 5),
        ({"OPTIONS": {"prepare_threshold": 2}}, 2),
        ({"OPTIONS": {"prepare_threshold": None}}, None),
        ({"DISABLE_SERVER_SIDE_CURSORS": True}, None),
        (
            {
                "DISABLE_SERVER_SIDE_CURSORS": True,
                "OPTIONS": {"prepare_threshold": 2},
            },
            2,
        ),
    ],
)
def test_statements_of_plans_are_prepared_as_the_options_say(
    changed: dict[str, Any], threshold: int | None
) -> None:
    with default_at(**changed):
        connection.close()
        connection.ensure_connection()
        assert connection.connection.prepared.threshold == threshold
        connection.close()


def test_another_time_zone_needs_a_cursor() -> None:
    assert connection.prepare_fetch()
    connection.connection.timezone_of_loader = datetime.UTC, "another"
    assert not connection.prepare_fetch()
    for _ in range(4):
        assert not Artist.objects.filter(name="Nina").exists()
    connection.close()
    assert connection.prepare_fetch()
