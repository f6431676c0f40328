"""What the backends have in common: whose a connection is, and whose the errors."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload"
# mypy: disable-error-code="func-returns-value, misc"

from __future__ import annotations

import asyncio
import copy
from typing import Any

import pytest
from django.db import OperationalError, connections

from tests.orm.backends.querying import query
from tests.records.models import Artist, Track
from vinyl.orm import connection, run

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def test_threads_beside_the_loop_have_djangos_connections() -> None:
    await Artist.objects.create(name="Nina")

    def in_thread() -> tuple[int, bool]:
        try:
            return Artist.objects.count(), hasattr(connection, "raw")
        finally:
            connection.close()

    assert await asyncio.to_thread(in_thread) == (1, False)


async def test_errors_of_the_database_are_djangos() -> None:
    with pytest.raises(
        OperationalError if connection.vendor == "sqlite" else Exception
    ):
        await run(query, "SELECT no_such_column FROM records_track")
    assert await Track.objects.count() == 0


async def test_a_copy_of_a_connection_is_not_the_pools() -> None:
    def work() -> Any:
        # Not connected yet, so this one opens a connection of its own.
        twin = copy.copy(connections["default"])
        try:
            with twin.cursor() as cursor:
                cursor.execute("SELECT 1")
                return cursor.fetchone()
        finally:
            twin.close()

    assert await run(work) == (1,)
