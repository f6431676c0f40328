"""A statement without a cursor is refused, and fails, as one of a cursor."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.db import DatabaseError, connections
from django.db.transaction import TransactionManagementError

from tests.cancelling import ENDLESS_READ
from tests.records.models import Artist
from vinyl.orm import run, transaction
from vinyl.orm.backends.statements import Statement

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def fetched_on_loop(sql: str) -> list[Any]:
    rows: list[Any] = await connections["default"].fetch_on_loop(Statement(sql), ())
    return rows


async def fetched_in_bridge(sql: str) -> list[Any]:
    def fetch() -> list[Any]:
        assert connections["default"].prepare_fetch()
        rows: list[Any] = connections["default"].fetch(Statement(sql), ())
        return rows

    return await run(fetch)


both = pytest.mark.parametrize("fetched", [fetched_on_loop, fetched_in_bridge])


@both
async def test_returns_the_rows(fetched: Any) -> None:
    async with transaction.atomic():
        await Artist.objects.create(name="Nina")
        assert await fetched("SELECT name FROM records_artist") == [("Nina",)]


@both
async def test_raises_djangos_error(fetched: Any) -> None:
    with pytest.raises(DatabaseError):
        async with transaction.atomic():
            await Artist.objects.count()
            await fetched("SELECT nothing FROM nowhere")
    assert await Artist.objects.count() == 0


@both
async def test_is_refused_in_a_broken_transaction(fetched: Any) -> None:
    async with transaction.atomic():
        await Artist.objects.count()
        transaction.set_rollback(True)
        with pytest.raises(TransactionManagementError, match="can't execute"):
            await fetched("SELECT 1")


@both
async def test_that_is_cancelled_breaks_the_transaction(fetched: Any) -> None:
    with pytest.raises(TransactionManagementError, match="was cancelled"):
        async with transaction.atomic():
            await Artist.objects.create(name="never")
            wrapper = connections["default"]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await fetched(ENDLESS_READ[wrapper.vendor])
            assert wrapper.needs_rollback
            assert wrapper.query_was_cancelled
    assert await Artist.objects.count() == 0
