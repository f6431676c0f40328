"""Loans: which connections a call in a thread gets, and how its use of them ends."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import asyncio

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connections
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.db.transaction import TransactionManagementError

from tests.orm.scopes.test_lending import names
from tests.records.models import Artist
from vinyl.orm import transaction
from vinyl.orm.scopes.lending import Loan
from vinyl.orm.scopes.scope import ConnectionScope, current_scope

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


@pytest.mark.usefixtures("thread")
async def test_where_the_blocks_hold_nothing_the_thread_has_its_own() -> None:
    scope = ConnectionScope(None, block="pinned()")
    scope.enter()
    try:
        async with Loan(scope) as loan:
            assert loan.is_empty()
        assert await sync_to_async(names)() == []
    finally:
        scope.close()


async def test_a_connection_that_blocks_is_not_lent() -> None:
    """The user has put it into the block, and it stays with the loop's thread."""
    scope = ConnectionScope(None, block="pinned()")
    settings = connections["default"].settings_dict
    scope.hold("blocking", DatabaseWrapper(settings, "blocking"), None)
    scope.enter()
    try:
        async with Loan(scope) as loan:
            assert loan.is_empty()
    finally:
        scope.close()


async def test_a_call_that_was_cancelled_does_not_begin() -> None:
    async with transaction.atomic():
        loan = Loan(current_scope.get())  # type: ignore[arg-type]
        async with loan:
            assert loan.use.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.to_thread(loan.call, names)


async def test_one_whose_task_is_garbage_leaves_other_contexts_alone() -> None:
    # What the thread has done is not known, so it is undone.
    with pytest.raises(TransactionManagementError, match="have been rolled back"):
        async with transaction.atomic():
            around = current_scope.get()
            assert around is not None
            loan = Loan(around)
            await loan.__aenter__()
            assert current_scope.get() is loan.scope
            # The garbage collector runs in the context of whatever code is running.
            current_scope.set(around)
            await loan.__aexit__(GeneratorExit)
            assert current_scope.get() is around
            while not loan.scope.closed:
                await asyncio.sleep(0)


def test_async_code_has_none_of_a_thread_without_a_transaction() -> None:
    assert Artist.objects.count() == 0
    own = connections["default"]

    async def connection_of_task() -> object:
        async with transaction.atomic():
            return connections["default"]

    assert async_to_sync(connection_of_task)() is not own
    with transaction.atomic():
        assert async_to_sync(connection_of_task)() is own


def test_a_connection_of_another_backend_is_not_lent_to_async_code() -> None:
    """The others are lent nevertheless."""

    async def inner() -> bool:
        return await Artist.objects.filter(name="outer").aexists()

    settings = {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}
    connections.settings["stock"] = connections.configure_settings(
        {"default": {}, "stock": settings}
    )["stock"]
    try:
        connections["stock"].ensure_connection()
        with transaction.atomic():
            Artist.objects.create(name="outer")
            assert async_to_sync(inner)()
    finally:
        # Django does not close an in-memory database.
        connections["stock"].connection.close()
        del connections["stock"]
        del connections.settings["stock"]
