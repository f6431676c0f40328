"""After a cancelled query, Django knows what has become of the transaction."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from django.db.transaction import TransactionManagementError

from tests.cancelling import endless_write
from tests.fix_db import only_postgresql, only_sqlite
from tests.orm.scopes.blocks import names
from tests.records.models import Artist
from vinyl.orm import await_, connection, run, transaction

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def cancelled_write() -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.1):
            await endless_write()


class TestACommitAfterACancelledQuery:
    async def nested(self, savepoint: bool) -> None:
        async with transaction.atomic():
            await Artist.objects.create(name="important")
            with suppress(TimeoutError):
                async with (
                    asyncio.timeout(0.1),
                    transaction.atomic(savepoint=savepoint),
                ):
                    await endless_write()

    @only_postgresql
    async def test_succeeds_if_it_was_in_a_savepoint(self) -> None:
        await self.nested(savepoint=True)
        assert await names() == ["important"]

    @only_sqlite
    async def test_is_refused_on_sqlite_which_has_rolled_back_the_whole(self) -> None:
        with pytest.raises(TransactionManagementError, match="was cancelled"):
            await self.nested(savepoint=True)
        assert await names() == []

    async def test_is_refused_without_a_savepoint(self) -> None:
        with pytest.raises(TransactionManagementError, match="was cancelled"):
            await self.nested(savepoint=False)
        assert await names() == []

    async def test_is_refused_in_the_bridge(self) -> None:
        def work() -> None:
            with transaction.atomic():
                Artist.objects.create(name="important")
                with suppress(TimeoutError):
                    await_(asyncio.wait_for(endless_write(), 0.1))

        with pytest.raises(TransactionManagementError, match="was cancelled"):
            await run(work)
        assert await names() == []

    async def test_is_refused_without_autocommit(self) -> None:
        async with connection.pinned():
            await connection.set_autocommit(False)
            await Artist.objects.create(name="first half")
            await cancelled_write()
            if connection.vendor == "sqlite":
                await Artist.objects.create(name="second half")
            with pytest.raises(TransactionManagementError, match="cannot be committed"):
                await transaction.commit()
            await transaction.rollback()
            await Artist.objects.create(name="afterwards")
            await transaction.commit()
        assert await names() == ["afterwards"]

    async def test_does_nothing_on_a_connection_that_was_closed(self) -> None:
        async with connection.pinned():
            await connection.set_autocommit(False)
            await Artist.objects.create(name="half")
            await cancelled_write()
            await connection.close()
            await transaction.commit()
        assert await names() == []

    @only_postgresql
    async def test_is_refused_after_a_copy(self) -> None:
        with pytest.raises(TransactionManagementError, match="was cancelled"):
            async with transaction.atomic():
                await Artist.objects.create(name="important")
                with suppress(LookupError):
                    async with connection.cursor() as cursor:
                        copy = "COPY records_artist (name) FROM STDIN"
                        async with cursor.copy(copy) as copying:
                            await copying.write_row(["half"])
                            raise LookupError
        assert await names() == []

    @only_postgresql
    async def test_is_not_expected_if_a_rollback_was_set(self) -> None:
        async with transaction.atomic():
            await self.nested(savepoint=True)
            transaction.set_rollback(True)
        assert await names() == []


async def test_a_rollback_begins_a_new_transaction() -> None:
    async with connection.pinned():
        await connection.set_autocommit(False)
        await cancelled_write()
        await transaction.rollback()
        await Artist.objects.create(name="afterwards")
        await transaction.commit()
        await connection.set_autocommit(True)
    assert await names() == ["afterwards"]
