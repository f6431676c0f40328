"""A driver that blocks is used in a thread of its own, and its rows come in hops."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload"
# mypy: disable-error-code="func-returns-value, misc"

from __future__ import annotations

import threading

import pytest

from tests.fix_db import only_sqlite
from tests.orm.backends.querying import query
from tests.records.models import Artist
from vinyl.orm import connection, run
from vinyl.orm.backends.threaded import ROWS_PER_CALL

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


@only_sqlite
class TestSQLite:
    async def test_works_in_a_thread_and_not_on_the_loop(self) -> None:
        def where() -> str:
            connection.ensure_connection()
            names: list[str] = []
            connection.connection.raw.create_function(
                "thread", 0, lambda: names.append(threading.current_thread().name)
            )
            query("SELECT thread()")
            return names[0]

        assert (await run(where)).startswith("vinyl-default")

    async def test_fetches_beyond_the_first_hop(self) -> None:
        number = ROWS_PER_CALL * 2 + 10
        await Artist.objects.bulk_create(Artist(name=f"{n:05}") for n in range(number))
        assert len(await Artist.objects.all()) == number
        assert len([a async for a in Artist.objects.iterator()]) == number

        def piecewise() -> list[int]:
            with connection.cursor() as cursor:
                cursor.execute("SELECT name FROM records_artist ORDER BY name")
                one = cursor.fetchone()
                some = cursor.fetchmany(ROWS_PER_CALL + 5)
                rest = cursor.fetchall()
            return [int(name) for (name,) in [one, *some, *rest]]

        assert await run(piecewise) == list(range(number))
