"""The ENGINE for PostgreSQL: Django's backend, which waits in both modes."""

from __future__ import annotations

import pytest
from django.db import connections
from django.db.backends.postgresql import base as djangos

from tests.fix_db import only_postgresql
from vinyl.orm import connection, run
from vinyl.orm.backends.postgresql import base

pytestmark = [pytest.mark.anyio, only_postgresql, pytest.mark.usefixtures("db")]


def version() -> tuple[int, ...]:
    with connections["default"].cursor() as cursor:
        cursor.execute("SHOW server_version_num")
        return divmod(int(cursor.fetchone()[0]), 10_000)


async def test_it_is_djangos_backend() -> None:
    assert isinstance(connections["default"], base.DatabaseWrapper)
    assert issubclass(base.DatabaseWrapper, djangos.DatabaseWrapper)
    assert (connection.vendor, connection.display_name) == ("postgresql", "PostgreSQL")
    assert connection.settings_dict["ENGINE"] == "vinyl.orm.backends.postgresql"


async def test_it_connects_in_both_modes(started_threads: list[str]) -> None:
    assert (await run(version))[0] >= 12
    assert started_threads == []


def test_it_connects_without_an_event_loop() -> None:
    assert version()[0] >= 12
    connections["default"].close()
