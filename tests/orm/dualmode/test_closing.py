"""Closing connections on the event loop, with Django's own functions."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import close_old_connections, connections, reset_queries
from django.db.transaction import atomic

from tests.records.models import Artist
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import connection, run, transaction

CLOSING: dict[str, Callable[[], Any]] = {
    "connection.close": lambda: connection.close(),
    "close_all": connections.close_all,
    "close_old_connections": close_old_connections,
}
closing = pytest.mark.parametrize("close", CLOSING.values(), ids=CLOSING)


@pytest.fixture
def of_thread(db: str) -> Iterator[Any]:
    """The connection of this thread, which sync code has opened."""
    Artist.objects.count()
    wrapper = connections["default"]
    assert wrapper.connection is not None
    yield wrapper
    wrapper.close()


@closing
def test_where_no_block_holds_one(of_thread: Any, close: Callable[..., Any]) -> None:
    async def main() -> None:
        await Artist.objects.count()
        close()
        assert of_thread.connection is None
        # Nothing was closed for those who use the pool.
        assert await Artist.objects.count() == 0

    asyncio.run(main())
    # Sync code opens another when it needs one.
    assert Artist.objects.count() == 0


@closing
def test_where_the_thread_has_none(db: str, close: Callable[..., Any]) -> None:
    async def main() -> None:
        close()
        assert await Artist.objects.count() == 0

    asyncio.run(main())


def test_close_may_be_awaited(of_thread: Any) -> None:
    async def main() -> None:
        await connection.close()
        assert of_thread.connection is None

    asyncio.run(main())


def test_the_thread_s_connection_object_is_closed_itself(of_thread: Any) -> None:
    async def main() -> None:
        of_thread.close()
        assert of_thread.connection is None

    asyncio.run(main())


@pytest.mark.parametrize("block", [transaction.atomic, connection.pinned])
def test_close_all_in_a_block_is_refused(of_thread: Any, block: Any) -> None:
    async def main() -> None:
        async with block():
            await Artist.objects.create(name="Nina")
            with pytest.raises(NotAwaitedError, match=r"run\(connections.close_all\)"):
                connections.close_all()
            # It has closed nothing.
            assert of_thread.connection is not None
            assert await Artist.objects.count() == 1

    asyncio.run(main())
    assert Artist.objects.count() == 1


def test_close_all_in_the_bridge_inside_a_block(of_thread: Any) -> None:
    """As in Django, the transaction goes with its connection."""

    async def main() -> None:
        async with transaction.atomic():
            await Artist.objects.create(name="Nina")
            await run(connections.close_all)
            assert of_thread.connection is None

    asyncio.run(main())
    assert Artist.objects.count() == 0


def test_close_in_a_block_is_a_call_to_be_awaited(of_thread: Any) -> None:
    async def main() -> None:
        async with transaction.atomic():
            await Artist.objects.create(name="Nina")
            await connection.close()
            assert of_thread.connection is not None

    asyncio.run(main())
    assert Artist.objects.count() == 0


def test_close_old_connections_leaves_a_block_alone(of_thread: Any) -> None:
    async def main() -> None:
        async with transaction.atomic():
            await Artist.objects.create(name="Nina")
            close_old_connections()
            assert of_thread.connection is None
            await run(close_old_connections)

    asyncio.run(main())
    assert Artist.objects.count() == 1


def test_a_transaction_around_the_loop(of_thread: Any) -> None:
    """What is in a transaction is not old; close_all() ends it, as in Django."""

    async def old() -> None:
        close_old_connections()
        assert of_thread.connection is not None

    async def everything() -> None:
        connections.close_all()

    with atomic():
        Artist.objects.create(name="kept")
        asyncio.run(old())
    assert Artist.objects.count() == 1
    with atomic():
        Artist.objects.create(name="lost")
        asyncio.run(everything())
    assert Artist.objects.count() == 1


def test_close_old_connections_leaves_what_a_thread_lends_alone(of_thread: Any) -> None:
    async def main() -> None:
        await run(close_old_connections)
        close_old_connections()
        await Artist.objects.create(name="Nina")

    with atomic():
        async_to_sync(main)()
    assert Artist.objects.count() == 1


def test_a_task_that_outlives_its_block(of_thread: Any) -> None:
    async def late(left: asyncio.Event) -> None:
        await left.wait()
        close_old_connections()
        assert of_thread.connection is None

    async def main() -> None:
        left = asyncio.Event()
        async with transaction.atomic():
            await Artist.objects.count()
            task = asyncio.create_task(late(left))
        left.set()
        await task

    asyncio.run(main())


def test_what_a_block_holds_is_there_already(db: str) -> None:
    async def main() -> None:
        assert connections.all(initialized_only=True) == []
        async with transaction.atomic():
            assert connections.all(initialized_only=True) == [connections["default"]]
            connection.force_debug_cursor = True
            await Artist.objects.count()
            assert connection.queries
            reset_queries()
            assert not connection.queries
        assert connections.all(initialized_only=True) == []

    del connections["default"]
    asyncio.run(main())
    connections["default"].close()
