"""The lock on a connection: who waits for it when its block is left is refused."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, misc, return-value"
# Not all helpers are annotated.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from tests.fix_db import only_postgresql
from tests.orm.scopes.blocks import lock_here, names, until
from tests.records.models import Artist
from vinyl.exceptions import ScopeClosedError
from vinyl.orm import await_, connection, run, transaction
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


class TestAWaiterOfABlockThatIsLeft:
    """It waits for the lock while the block is left, which releases it."""

    @pytest.fixture(params=["atomic", "cursor", "pinned"])
    def block(self, request: pytest.FixtureRequest) -> Callable[[], Any]:
        return {
            "atomic": transaction.atomic,
            "cursor": lambda: connection.cursor(),
            "pinned": lambda: connection.pinned(),
        }[request.param]

    async def test_is_refused_and_never_in_the_transaction_of_a_stranger(self) -> None:
        go, waited = asyncio.Event(), asyncio.Event()

        def two() -> None:
            Artist.objects.create(name="c1")
            waited.set()
            await_(go.wait())
            Artist.objects.create(name="c2")

        async def stranger() -> None:
            async with transaction.atomic():
                await Artist.objects.create(name="s")
                go.set()
                # Long enough for what is not refused to come.
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await waited.wait()
                transaction.set_rollback(True)

        async with transaction.atomic():
            await Artist.objects.create(name="owner")
            child = asyncio.create_task(run(two))
        outcome, _ = await asyncio.gather(child, stranger(), return_exceptions=True)
        assert isinstance(outcome, ScopeClosedError)
        assert await names() == ["owner"]

    @pytest.mark.parametrize("kind", ["call", "run", "atomic", "cursor", "nested run"])
    async def test_of_every_kind(self, block: Callable[..., Any], kind: str) -> None:
        async def in_atomic() -> None:
            async with transaction.atomic():
                await Artist.objects.create(name="late")

        async def in_cursor() -> None:
            async with connection.cursor():
                await Artist.objects.create(name="late")

        def in_run() -> None:
            Artist.objects.create(name="late")

        def in_nested_run() -> None:
            await_(asyncio.sleep(0))
            await_(run(in_run))

        works: dict[str, Callable[[], Any]] = {
            "call": lambda: Artist.objects.create(name="late"),
            "run": lambda: run(in_run),
            "atomic": in_atomic,
            "cursor": in_cursor,
            "nested run": lambda: run(in_nested_run),
        }
        async with block():
            lock = lock_here()
            # A sibling has the lock, so that the order is: leaving, then the child.
            held = await lock.acquire()
            assert held
            children: list[asyncio.Task[Any]] = []

            async def start() -> None:
                await until(lambda: lock.waiters)
                children.append(asyncio.create_task(works[kind]()))
                await until(lambda: len(lock.waiters) == 2)
                lock.release()

            context = asyncio.create_task(start())
        await context
        [outcome] = await asyncio.gather(*children, return_exceptions=True)
        assert isinstance(outcome, ScopeClosedError)
        assert await names() == []
        assert pool_for("default").in_use == {}

    @only_postgresql
    async def test_to_copy(self) -> None:
        async def copy(cursor: Any) -> None:
            async with cursor.copy("COPY records_artist (name) FROM STDIN") as copying:
                await copying.write_row(["late"])

        async with connection.cursor() as cursor:
            lock = lock_here()
            assert await lock.acquire()

            async def start() -> asyncio.Task[None]:
                # The block is being left.
                await until(lambda: lock.waiters)
                child = asyncio.create_task(copy(cursor))
                await asyncio.wait([child], timeout=0.01)
                lock.release()
                return child

            starting = asyncio.create_task(start())
        with pytest.raises(
            ScopeClosedError, match=r"cursor\.copy\(\) was called.*had ended"
        ):
            await (await starting)
        assert await names() == []

    async def test_to_read_on(self) -> None:
        await Artist.objects.bulk_create(Artist(name=f"{n:03}") for n in range(300))

        async def read(stream: Any) -> None:
            async for _ in stream:
                pass

        async with transaction.atomic():
            stream = aiter(Artist.objects.iterator(chunk_size=100))
            await anext(stream)
            lock = lock_here()
            assert await lock.acquire()

            async def start() -> asyncio.Task[None]:
                await until(lambda: lock.waiters)
                child = asyncio.create_task(read(stream))
                await until(lambda: len(lock.waiters) == 2)
                lock.release()
                return child

            starting = asyncio.create_task(start())
        with pytest.raises(ScopeClosedError):
            await (await starting)
