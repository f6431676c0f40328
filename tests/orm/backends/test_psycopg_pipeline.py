"""The replies of a pipeline are those of their reads, or nobody gets any."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from django.db import connections
from psycopg.pq import PipelineStatus

from tests.fix_db import default_at, only_postgresql
from tests.records.models import Artist
from vinyl.orm import connection, transaction
from vinyl.orm.backends import psycopg_pipeline
from vinyl.orm.backends.pipelines import Read
from vinyl.orm.backends.statements import Statement
from vinyl.orm.pools.registry import close_pools

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db"), only_postgresql]


class Noted:
    """Notes the replies of a pipeline, by the number of the read."""

    def __init__(self, *statements: tuple[Any, ...]) -> None:
        self.reads = [Read(Statement(sql), (*params,)) for sql, *params in statements]
        self.replies: dict[int, Any] = {}
        # How many replies had arrived at each delivery.
        self.deliveries: list[int] = []

    def reply(self, read: Read, rows: Any, error: Exception | None = None) -> None:
        number = self.reads.index(read)
        assert number not in self.replies
        self.replies[number] = rows if error is None else type(error)

    def deliver(self) -> None:
        self.deliveries.append(len(self.replies))

    async def fetch(self, **options: Any) -> dict[int, Any]:
        wrapper = connections["default"]
        await wrapper.fetch_together_on_loop([*self.reads], self, **options)
        pgconn = wrapper.connection.pgconn
        assert pgconn.pipeline_status == PipelineStatus.OFF
        return self.replies


async def prepared_names() -> int:
    async with connection.cursor() as cursor:
        await cursor.execute(
            "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE '_vinyl_%'"
        )
        count: int = (await cursor.fetchone())[0]
        return count


ZERO = ("SELECT 1 / %s::int", 0)
ONE = ("SELECT 1 / %s::int", 1)


async def test_outside_a_transaction_an_error_is_that_of_its_read_alone() -> None:
    async with connection.pinned():
        await Artist.objects.count()
        found = await Noted(ONE, ZERO, ("SELECT %s::int", 3)).fetch()
        error = psycopg.errors.DivisionByZero
        assert found == {0: [(1,)], 1: error, 2: [(3,)]}


async def test_inside_a_transaction_the_server_refuses_those_after_an_error() -> None:
    async with transaction.atomic():
        await Artist.objects.count()
        found = await Noted(ONE, ZERO, ONE).fetch()
        assert found == {
            0: [(1,)],
            1: psycopg.errors.DivisionByZero,
            2: psycopg.errors.InFailedSqlTransaction,
        }
        transaction.set_rollback(True)


async def test_begin_is_sent_with_the_first_read() -> None:
    await Artist.objects.count()
    async with transaction.atomic():
        found = await Noted(ZERO, ONE).fetch()
        assert found[1] is psycopg.errors.InFailedSqlTransaction
        assert connections["default"].transaction_is_lost()
        transaction.set_rollback(True)


class TestWithOneSync:
    async def test_each_has_its_rows(self) -> None:
        async with connection.pinned():
            await Artist.objects.count()
            noted = Noted(ONE, ("SELECT %s::int", 2), ONE)
            found = await noted.fetch(syncs_once=True)
            assert found == {0: [(1,)], 1: [(2,)], 2: [(1,)]}
            assert (await Noted(ONE).fetch(syncs_once=True)) == {0: [(1,)]}

    async def test_those_after_an_error_are_to_run_again(self) -> None:
        async with connection.pinned():
            await Artist.objects.count()
            found = await Noted(ONE, ZERO, ONE, ZERO).fetch(syncs_once=True)
            assert found == {0: [(1,)], 1: psycopg.errors.DivisionByZero}
            assert await Noted(ONE).fetch() == {0: [(1,)]}

    async def test_what_was_to_be_prepared_after_an_error_is_not(self) -> None:
        with default_at(OPTIONS={"prepare_threshold": 1}):
            await close_pools()
            async with connection.pinned():
                await Artist.objects.count()
                other = ("SELECT %s::int + 1", 1)
                for _ in range(3):
                    found = await Noted(ZERO, other, other).fetch(syncs_once=True)
                    assert found == {0: psycopg.errors.DivisionByZero}
                assert await prepared_names() == 1
                for _ in range(3):
                    found = await Noted(other, other).fetch(syncs_once=True)
                    assert found == {0: [(2,)], 1: [(2,)]}
                assert await prepared_names() == 2
            await close_pools()

    async def test_a_value_that_cannot_be_sent_is_left_out(self) -> None:
        async with connection.pinned():
            await Artist.objects.count()
            found = await Noted(ONE, ("SELECT %s", "\0")).fetch(syncs_once=True)
            assert found == {0: [(1,)], 1: psycopg.DataError}


async def test_a_value_that_cannot_be_sent_is_left_out() -> None:
    async with connection.pinned():
        await Artist.objects.count()
        found = await Noted(("SELECT %s", "\0"), ONE).fetch()
        assert found == {0: psycopg.DataError, 1: [(1,)]}


async def test_too_many_values_are_an_error_of_their_read() -> None:
    async with connection.pinned():
        await Artist.objects.count()
        many = ",".join(["%s"] * 70_000)
        values = (f"SELECT 1 WHERE 1 IN ({many})", *range(70_000))
        found = await Noted(ONE, values, ONE).fetch()
        assert found == {0: [(1,)], 1: psycopg.OperationalError, 2: [(1,)]}


async def test_rows_that_cannot_be_loaded_are_an_error_of_their_read() -> None:
    async with connection.pinned():
        await Artist.objects.count()
        found = await Noted(ONE, ("SELECT 'infinity'::date",), ONE).fetch()
        assert found == {0: [(1,)], 1: psycopg.DataError, 2: [(1,)]}


async def test_what_has_arrived_is_delivered_before_a_wait() -> None:
    async with connection.pinned():
        await Artist.objects.count()
        noted = Noted(ONE, ("SELECT pg_sleep(0.2)::text",), ONE)
        await noted.fetch()
        assert 1 in noted.deliveries


class TestPreparing:
    @pytest.fixture(autouse=True)
    async def _often(self, db: str) -> Any:
        with default_at(OPTIONS={"prepare_threshold": 1}):
            await close_pools()
            yield
            await close_pools()

    async def test_happens_on_the_way_and_serves_later_reads(self) -> None:
        async with connection.pinned():
            await Artist.objects.count()
            assert await Noted(ONE, ONE, ONE, ONE).fetch() == dict.fromkeys(
                range(4), [(1,)]
            )
            assert await prepared_names() == 1
            assert (await Noted(ONE, ONE).fetch())[1] == [(1,)]

    async def test_that_fails_is_forgotten(self) -> None:
        missing = ("SELECT * FROM missing WHERE id = %s", 1)
        async with connection.pinned():
            await Artist.objects.count()
            for _ in range(3):
                noted = Noted(missing, missing, ONE)
                found = await noted.fetch()
                assert found.pop(2) == [(1,)]
                # One that relied on another's being prepared is to run again alone.
                assert found.pop(0) is psycopg.errors.UndefinedTable
                assert set(found.values()) <= {psycopg.errors.UndefinedTable}
            assert await prepared_names() <= 1

    async def test_succeeds_although_its_read_fails(self) -> None:
        async with connection.pinned():
            await Artist.objects.count()
            for _ in range(3):
                found = await Noted(ZERO, ZERO, ONE).fetch()
                assert found[0] is found[1] is psycopg.errors.DivisionByZero
                assert found[2] == [(1,)]
            assert await prepared_names() == 1

    async def test_for_other_types_is_done_again(self) -> None:
        """After a change of the schema, the reads are to run again alone."""
        read = ("SELECT id FROM changing WHERE b = %s", "5")
        async with connection.pinned(), connection.cursor() as cursor:
            for sql in (
                "CREATE TEMP TABLE changing (id int, b varchar)",
                "INSERT INTO changing VALUES (1, '5')",
            ):
                await cursor.execute(sql)
            assert (await Noted(read, read, read).fetch())[2] == [(1,)]
            # Without a cursor of Django's, which would notice.
            pgconn = connections["default"].connection.pgconn
            pgconn.exec_(b"ALTER TABLE changing ALTER b TYPE int USING b::int")
            assert await Noted(read, read, ONE).fetch() == {2: [(1,)]}
            assert (await Noted(read, read, read).fetch())[2] == [(1,)]
            assert await prepared_names() <= 3
            await cursor.execute("DROP TABLE changing")

    async def test_closes_surplus_statements(self) -> None:
        async with connection.pinned():
            await Artist.objects.count()
            connections["default"].connection.prepared.maximum = 2
            kinds = [(f"SELECT {n} + %s::int", 1) for n in range(4)]
            for _ in range(3):
                found = await Noted(*kinds, *kinds).fetch()
                assert found == {n: [(n % 4 + 1,)] for n in range(8)}
            assert await prepared_names() <= 2


async def test_results_that_are_not_in_order_close_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that no row can be that of another read."""
    monkeypatch.setattr(psycopg_pipeline, "SYNC", -1)
    async with connection.pinned():
        await Artist.objects.count()
        noted = Noted(ONE, ONE)
        with pytest.raises(psycopg.OperationalError):
            await asyncio.wait_for(noted.fetch(), 10)
        assert noted.replies == {}
        assert connections["default"].connection.closed
