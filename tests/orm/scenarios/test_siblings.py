"""Tasks beside one another, cancelled and not: nothing mixes, leaks or stays behind."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg, var-annotated"

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from asgiref.sync import markcoroutinefunction
from django.db import InterfaceError, models
from django.db.backends.signals import connection_created
from django.db.transaction import TransactionManagementError

from tests.cancelling import endless_write
from tests.fix_db import only_postgresql
from tests.orm.scopes.blocks import lock_here, names, until
from tests.records.models import Album, Artist, Label
from vinyl.exceptions import NotAwaitedError, ScopeClosedError
from vinyl.orm import connection, run, transaction
from vinyl.orm.pools.registry import close_pools, pool_for
from vinyl.orm.scopes.lock import ConnectionLock

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "


async def cancelled_write() -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            await endless_write()


class TestACancelledQuery:
    async def test_lets_nothing_follow_in_the_transaction(self) -> None:
        with pytest.raises(TransactionManagementError):
            async with transaction.atomic():
                await Artist.objects.create(name="before")
                await cancelled_write()
                await Artist.objects.create(name="after")
        assert await names() == []

    async def test_lets_nothing_vanish_without_a_word(self) -> None:
        with pytest.raises(TransactionManagementError, match="cancelled.*rolled back"):
            async with transaction.atomic():
                await Artist.objects.create(name="before")
                await cancelled_write()
        assert await names() == []

    async def test_in_sync_code_is_nothing_to_the_next_transaction(self) -> None:
        def write() -> None:
            with transaction.atomic(), connection.cursor() as cursor:
                Artist.objects.create(name="undone")
                if connection.vendor == "postgresql":
                    cursor.execute("SELECT pg_sleep(60)")
                else:
                    cursor.execute(f"{ENDLESS} SELECT max(x) FROM c")

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await run(write)
        async with transaction.atomic():
            await Artist.objects.create(name="kept")
        assert await names() == ["kept"]

    @only_postgresql
    async def test_is_survived_behind_a_savepoint(self) -> None:
        async with transaction.atomic():
            await Artist.objects.create(name="before")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.2), transaction.atomic():
                    await endless_write()
            await Artist.objects.create(name="after")
        assert await names() == ["after", "before"]

    @only_postgresql
    async def test_in_a_commit_leaves_no_hook_for_the_next(self) -> None:
        called: list[str] = []
        async with connection.cursor() as cursor:
            await cursor.execute(
                "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN PERFORM pg_sleep(5); RETURN NULL; END $$; "
                "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON records_label "
                "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow()"
            )
        try:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3), transaction.atomic():
                    await Label.objects.create(name="Philips")
                    transaction.on_commit(lambda: called.append("stale"))
            async with transaction.atomic():
                await Artist.objects.create(name="Nina")
        finally:
            async with connection.cursor() as cursor:
                await cursor.execute("DROP FUNCTION slow CASCADE")
        assert called == []

    async def test_while_an_inner_block_waits_to_be_left(self) -> None:
        async def count_slowly() -> None:
            async with connection.cursor() as cursor:
                await cursor.execute(
                    "SELECT pg_sleep(0.6)"
                    if connection.vendor == "postgresql"
                    else f"{ENDLESS} SELECT x FROM c LIMIT 1 OFFSET 3000000"
                )

        counting: list[asyncio.Task[None]] = []
        locks: list[ConnectionLock] = []

        async def inner() -> None:
            async with transaction.atomic():
                locks.append(lock_here())
                counting.append(asyncio.create_task(count_slowly()))
                await until(lambda: locks[0].locked)

        async with transaction.atomic():
            await Artist.objects.create(name="outer")
            leaving = asyncio.create_task(inner())
            await until(lambda: bool(locks and locks[0].waiters))
            leaving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await leaving
            await counting[0]
            await Artist.objects.create(name="after")
        assert await names() == ["after", "outer"]

    @only_postgresql
    async def test_while_connecting_leaves_no_half_made_connection(self) -> None:
        def set_up(connection: Any, **kwargs: Any) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(0.5)")
                cursor.execute("SET application_name = 'ready'")

        await close_pools()
        connection_created.connect(set_up)
        try:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await Artist.objects.count()
            async with connection.cursor() as cursor:
                await cursor.execute("SHOW application_name")
                assert await cursor.fetchone() == ("ready",)
        finally:
            connection_created.disconnect(set_up)
            await close_pools()


class TestHooks:
    async def test_belong_to_the_block_of_their_task(self) -> None:
        called: list[str] = []
        inside, registered = asyncio.Event(), asyncio.Event()

        async def fail() -> None:
            with contextlib.suppress(LookupError):
                async with transaction.atomic():
                    inside.set()
                    await registered.wait()
                    raise LookupError

        async def register() -> None:
            await inside.wait()
            transaction.on_commit(lambda: called.append("ran"))
            registered.set()

        async with transaction.atomic():
            await asyncio.gather(fail(), register())
        assert called == ["ran"]


class TestBlocks:
    async def test_a_generator_left_early_ends_its_own(self) -> None:
        async def numbers() -> AsyncIterator[int]:
            async with transaction.atomic():
                await Artist.objects.create(name="undone")
                yield 1
                yield 2

        async for _ in numbers():
            break
        # Python closes the generator in a task of its own.
        while pool_for("default").in_use:
            await asyncio.sleep(0.01)
        assert await Artist.objects.count() == 0

    async def test_around_a_function_that_is_marked_as_async(self) -> None:
        async def create_and_fail() -> None:
            await Artist.objects.create(name="undone")
            raise LookupError

        @functools.wraps(create_and_fail)
        def wrapped() -> Any:
            return create_and_fail()

        with pytest.raises(LookupError):
            await transaction.atomic(markcoroutinefunction(wrapped))()
        assert await names() == []

    async def test_a_pinned_object_is_for_one_block(self) -> None:
        pinned = connection.pinned()
        async with pinned:
            with pytest.raises(InterfaceError, match="already been entered"):
                await pinned.__aenter__()

    @only_postgresql
    async def test_settings_of_a_pinned_session_end_with_it(self) -> None:
        async with connection.pinned(), connection.cursor() as cursor:
            await cursor.execute("SET statement_timeout = '1234'")
        async with connection.cursor() as cursor:
            await cursor.execute("SHOW statement_timeout")
            assert await cursor.fetchone() == ("0",)

    async def test_a_wrapper_stays_with_its_task(self) -> None:
        seen: list[str] = []
        wrapped, done = asyncio.Event(), asyncio.Event()

        def note(execute: Any, *args: Any) -> Any:
            seen.append("noted")
            return execute(*args)

        async def wrap() -> None:
            with connection.execute_wrapper(note):
                wrapped.set()
                await done.wait()

        async def other() -> None:
            await wrapped.wait()
            await Artist.objects.count()
            done.set()

        assert connection.vendor  # An ancestor that has looked at it.
        await asyncio.gather(wrap(), other())
        assert seen == []

    async def test_an_attribute_awaited_inside_and_outside_a_nested_one(self) -> None:
        artist = await Artist.objects.create(name="Nina")
        await Album.objects.create(title="Pastel Blues", artist=artist)
        album = await Album.objects.get()
        inside = asyncio.Event()

        async def outer() -> str:
            await inside.wait()
            return (await album.artist).name

        async def nested(around: ConnectionLock) -> None:
            async with transaction.atomic():
                await Artist.objects.count()
                inside.set()
                await until(lambda: bool(around.waiters))
                await album.artist

        async with asyncio.timeout(10), transaction.atomic():
            name, _ = await asyncio.gather(outer(), nested(lock_here()))
        assert name == "Nina"


async def test_a_possible_deadlock_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("vinyl.orm.scopes.lock.LONG_WAIT", 0.05)

    async def earlier() -> None:
        await nested.wait()
        await Artist.objects.count()

    nested = asyncio.Event()
    async with transaction.atomic():
        task = asyncio.create_task(earlier())
        async with transaction.atomic():
            nested.set()
            while "Still waiting" not in caplog.text:
                await asyncio.sleep(0.01)
            assert not task.done()
        await task
    assert re.search(
        r"Still waiting after 0\.05 s .*task '.*' in .*earlier\(\) at "
        r".*/test_siblings\.py:\d+",
        caplog.text,
    )


class TestStreams:
    @pytest.fixture
    async def many(self, db: str) -> None:
        await Artist.objects.bulk_create(Artist(name=f"{n:04}") for n in range(1000))

    async def test_take_turns_with_their_siblings(self, many: None) -> None:
        async def stream() -> int:
            return len([a async for a in Artist.objects.iterator(chunk_size=100)])

        async def others() -> None:
            for _ in range(30):
                await Artist.objects.count()

        async with transaction.atomic():
            length, _ = await asyncio.gather(stream(), others())
        assert length == 1000

    async def test_end_with_their_block(self, many: None) -> None:
        async with transaction.atomic():
            stream = aiter(Artist.objects.iterator(chunk_size=100))
            await anext(stream)
        async with transaction.atomic():
            # Whose connection this may be.
            await Artist.objects.create(name="kept")
            with pytest.raises(ScopeClosedError, match="after the block"):
                _ = [artist async for artist in stream]
            await Artist.objects.create(name="kept too")
        assert await Artist.objects.count() == 1002

    async def test_of_a_queryset_with_an_iterator_of_its_own(self, many: None) -> None:
        class Own(models.QuerySet):
            def iterator(self, *args: Any, **kwargs: Any) -> Any:
                return super().iterator(*args, **kwargs)

        queryset = Own(Artist)
        assert len([a async for a in queryset.iterator()]) == 1000
        assert len([a async for a in queryset.aiterator()]) == 1000


@only_postgresql
class TestCopy:
    async def test_holds_the_connection(self) -> None:
        async with connection.cursor() as cursor:
            async with cursor.copy("COPY records_artist (name) FROM STDIN") as copy:
                task = asyncio.create_task(Artist.objects.acount())
                await copy.write_row(["Nina"])
            assert await task == 1

    async def test_a_query_of_its_own_task_is_refused(self) -> None:
        async with connection.cursor() as cursor:
            async with cursor.copy("COPY records_artist (name) FROM STDIN") as copy:
                await copy.write_row(["Nina"])
                for query in (Artist.objects.count, lambda: cursor.execute("SELECT 1")):
                    with pytest.raises(InterfaceError, match=r"cursor\.copy"):
                        await query()
        assert await names() == ["Nina"]


class TestTheDriver:
    async def test_does_not_block_the_loop(self) -> None:
        async with connection.pinned():
            driver = connection.connection
            for use in (driver.execute, driver.cursor().execute):
                with pytest.raises(
                    NotAwaitedError, match=r"async with connection\.cur"
                ):
                    use("SELECT 1")


class Forgiving(models.Manager):
    def get(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().get(*args, **kwargs)
        except self.model.DoesNotExist:
            return None


async def test_what_a_manager_overrides_runs_in_the_bridge_as_a_whole() -> None:
    manager = Forgiving()
    manager.model = Artist
    assert await manager.get(name="nobody") is None
