"""Listening on the event loop and without one, while the code in the block queries."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from django.db import (
    InterfaceError,
    NotSupportedError,
    OperationalError,
    connections,
)
from django.db.backends.signals import connection_created

from tests.cancelling import cancel_at
from tests.fix_db import only_postgresql, only_sqlite
from tests.records.models import Artist
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import connection, run, transaction
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

# Channels that need quotes.
ODD = ["Orders", 'with "quotes"', "with; a semicolon", "ü" * 31, "%s {}"]


@pytest.fixture(autouse=True)
def one_connection(db: str) -> Iterator[None]:
    """The block's queries have the whole pool, even if it is the smallest."""
    options = connections.settings["default"]["OPTIONS"]
    options["pool"] = {"max_size": 1, "timeout": 10}
    yield
    del options["pool"]
    connections["default"].close()


@pytest.fixture
def admin(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as session:
        yield session


def listeners(admin: psycopg.Connection) -> list[int]:
    """The processes of the sessions that have sent LISTEN last."""
    found = admin.execute(
        "SELECT pid FROM pg_stat_activity "
        "WHERE datname = current_database() AND query LIKE 'LISTEN %'"
    )
    return [pid for (pid,) in found]


async def nobody_listens(admin: psycopg.Connection) -> None:
    async with asyncio.timeout(10):
        while listeners(admin):
            await asyncio.sleep(0.01)
    assert pool_for("default").in_use == {}


async def notify(channel: str, payload: str = "") -> None:
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT pg_notify(%s, %s)", [channel, payload])


@only_postgresql
class TestOnTheLoop:
    async def test_the_block_queries_meanwhile(self, admin: psycopg.Connection) -> None:
        async with connection.listen("orders") as notifications:
            for number in range(3):
                await notify("orders", f"order {number}")
            seen = []
            async for notification in notifications:
                seen.append(notification.payload)
                await Artist.objects.create(name=notification.payload)
                if len(seen) == 3:
                    break
            assert notification.channel == "orders"
            [pooled] = pool_for("default").idle
            assert notification.pid == pooled.wrapper.connection.info.backend_pid
            assert pool_for("default").stats()["size"] == 1
        assert seen == ["order 0", "order 1", "order 2"]
        assert await Artist.objects.count() == 3
        await nobody_listens(admin)

    async def test_inside_a_transaction(self) -> None:
        """The session is another one, and what is sent arrives with the commit."""
        async with connection.listen("orders", timeout=0.2) as notifications:
            async with transaction.atomic():
                await notify("orders", "committed")
                assert [n async for n in notifications] == []
                assert connection.in_atomic_block
                await Artist.objects.create(name="kept")
            with pytest.raises(LookupError):
                async with transaction.atomic():
                    await notify("orders", "rolled back")
                    raise LookupError
            assert [n.payload async for n in notifications] == ["committed"]
        async with transaction.atomic():
            await Artist.objects.create(name="kept, too")
            async with connection.listen("orders") as notifications:
                await run(notify_elsewhere)
                assert (await anext(notifications)).payload == "elsewhere"
                assert await Artist.objects.count() == 2
        assert await Artist.objects.count() == 2

    async def test_several_channels_and_odd_names(self) -> None:
        async with connection.listen(*ODD) as notifications:
            for channel in ODD:
                await notify(channel, f"to {channel}")
            for channel in ODD:
                notification = await anext(notifications)
                assert notification.channel == channel
                assert notification.payload == f"to {channel}"

    async def test_what_is_sent_while_the_block_is_busy_is_received(self) -> None:
        async with connection.listen("orders") as notifications:
            await asyncio.gather(*(notify("orders", f"{n}") for n in range(200)))
            seen = {(await anext(notifications)).payload for _ in range(200)}
        assert seen == {f"{n}" for n in range(200)}

    async def test_each_of_several_tasks_receives_all(self) -> None:
        ready = asyncio.Barrier(4)

        async def receive() -> list[str]:
            async with connection.listen("orders") as notifications:
                await ready.wait()
                return [(await anext(notifications)).payload for _ in range(5)]

        tasks = [asyncio.create_task(receive()) for _ in range(3)]
        await ready.wait()
        for n in range(5):
            await notify("orders", f"{n}")
        assert await asyncio.gather(*tasks) == [["0", "1", "2", "3", "4"]] * 3

    async def test_a_timeout_ends_the_iteration_and_not_the_block(self) -> None:
        async with connection.listen("orders", timeout=0.05) as notifications:
            start = time.monotonic()
            assert [n async for n in notifications] == []
            assert 0.05 <= time.monotonic() - start < 5
            await notify("orders", "late")
            assert [n.payload async for n in notifications] == ["late"]
        async with connection.listen("orders", timeout=0) as notifications:
            assert [n async for n in notifications] == []

    async def test_a_wait_that_is_cancelled_loses_nothing(self) -> None:
        async with connection.listen("orders") as notifications:
            for number in range(20):
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.001 * number):
                        await anext(notifications)
                    pytest.fail("Nothing was sent.")
                sending = asyncio.create_task(notify("orders", f"{number}"))
                received = None
                while received is None:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(0.002):
                            received = await anext(notifications)
                assert received.payload == f"{number}"
                await sending

    @pytest.mark.parametrize("late", [False, True], ids=["", "late"])
    async def test_cancelled_at_each_wait(
        self, admin: psycopg.Connection, late: bool
    ) -> None:
        async def work() -> None:
            async with connection.listen("orders") as notifications:
                await notify("orders")
                async for _ in notifications:
                    await Artist.objects.create(name="received")
                    return

        step, reached = 0, True
        while reached:
            step += 1
            outcome, reached = await cancel_at(step, work(), late=late)
            if reached and not late:
                assert isinstance(outcome, asyncio.CancelledError)
            await nobody_listens(admin)
        assert step > 4
        assert outcome is None

    async def test_cancelled_while_it_waits_it_ends_the_session(
        self, admin: psycopg.Connection
    ) -> None:
        entered = asyncio.Event()

        async def work() -> None:
            async with connection.listen("orders") as notifications:
                entered.set()
                async for _ in notifications:
                    pytest.fail("Nothing was sent.")

        task = asyncio.create_task(work())
        await entered.wait()
        assert len(listeners(admin)) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await nobody_listens(admin)

    async def test_a_killed_session_is_an_operational_error(
        self, admin: psycopg.Connection
    ) -> None:
        """Promptly, while it waits and where it comes back to waiting."""
        entered = asyncio.Event()

        async def work() -> None:
            async with connection.listen("orders") as notifications:
                entered.set()
                async for _ in notifications:
                    pytest.fail("Nothing was sent.")

        task = asyncio.create_task(work())
        await entered.wait()
        kill_listener(admin)
        async with asyncio.timeout(5):
            with pytest.raises(OperationalError, match="terminat"):
                await task
        async with connection.listen("orders") as notifications:
            kill_listener(admin)
            assert await Artist.objects.count() == 0
            for _ in range(2):
                with pytest.raises(OperationalError, match="terminat|closed|lost"):
                    await anext(notifications)
        async with connection.listen("orders") as notifications:
            await notify("orders", "again")
            assert (await anext(notifications)).payload == "again"
        await nobody_listens(admin)

    async def test_a_server_that_is_away_is_an_operational_error(self) -> None:
        settings = connections.settings["default"]
        host, settings["HOST"] = settings["HOST"], "/nowhere"
        try:
            listener = connection.listen("orders")
            with pytest.raises(OperationalError, match="nowhere"):
                async with listener:
                    pytest.fail("Nobody is there.")
            settings["HOST"] = host
            async with listener:
                pass
        finally:
            settings["HOST"] = host

    async def test_while_it_connects_it_is_the_connection(self) -> None:
        """As everywhere, receivers of connection_created set up what they are told."""
        seen = []

        def receive(connection: Any, **_: Any) -> None:
            with connections["default"].cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                [pid] = cursor.fetchone()
            seen.append((pid, connection.connection.info.backend_pid))

        async with transaction.atomic():
            await Artist.objects.count()
            connection_created.connect(receive)
            try:
                async with connection.listen("orders"):
                    pass
            finally:
                connection_created.disconnect(receive)
            [(used, told)] = seen
            assert used == told
            async with connection.cursor() as cursor:
                await cursor.execute("SELECT pg_backend_pid()")
                assert (await cursor.fetchone())[0] != told

    async def test_without_autocommit(self) -> None:
        connections.settings["default"]["AUTOCOMMIT"] = False
        try:
            async with connection.listen("orders") as notifications:
                await run(notify_elsewhere)
                assert (await anext(notifications)).payload == "elsewhere"
        finally:
            connections.settings["default"]["AUTOCOMMIT"] = True

    async def test_in_the_bridge(self, admin: psycopg.Connection) -> None:
        def work() -> list[str]:
            with transaction.atomic():
                Artist.objects.create(name="kept")
                with connection.listen("orders") as notifications:
                    notify_elsewhere()
                    for notification in notifications:
                        assert Artist.objects.count() == 1
                        return [notification.payload]
            return []

        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        assert await run(work) == ["elsewhere"]
        ticking.cancel()
        assert ticks > 3
        assert await Artist.objects.count() == 1
        await nobody_listens(admin)


def notify_elsewhere() -> None:
    """Send a notification from a session that is not of the calling code."""
    wrapper = connections.create_connection("default")
    wrapper.ensure_connection()
    wrapper.set_autocommit(True)
    wrapper.connection.execute("NOTIFY orders, 'elsewhere'")
    wrapper.close()


def kill_listener(admin: psycopg.Connection) -> None:
    [pid] = listeners(admin)
    found = admin.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
    assert found.fetchone() == (True,)


@only_postgresql
class TestMisuse:
    @pytest.mark.parametrize(
        ("channels", "options", "error", "message"),
        [
            ((), {}, TypeError, "without a channel"),
            (
                (["orders"],),
                {},
                TypeError,
                r"given \['orders'\], but the name",
            ),
            ((b"orders",), {}, TypeError, "must be a string"),
            (("",), {}, ValueError, "1 to 63 bytes"),
            (("ü" * 32,), {}, ValueError, "1 to 63 bytes"),
            (("a\0b",), {}, ValueError, "without NUL"),
            (("orders",), {"timeout": -1}, ValueError, "timeout=-1"),
            (("orders",), {"timeout": "1"}, ValueError, "timeout='1'"),
        ],
    )
    async def test_of_arguments(
        self, channels: Any, options: Any, error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            connection.listen(*channels, **options)

    async def test_with_and_for_would_block(self) -> None:
        with pytest.raises(NotAwaitedError, match="Write `async with`"):
            with connection.listen("orders"):
                pass
        async with connection.listen("orders") as notifications:
            with pytest.raises(NotAwaitedError, match="Write `async for`"):
                for _ in notifications:
                    pass

    async def test_outside_the_block(self) -> None:
        with pytest.raises(InterfaceError, match="outside its block"):
            async for _ in connection.listen("orders"):
                pass
        async with connection.listen("orders") as notifications:
            assert repr(notifications).endswith("on 'default', listening>")
            with pytest.raises(InterfaceError, match="already been entered"):
                async with notifications:
                    pass
            await notify("orders", "still")
            assert (await anext(notifications)).payload == "still"
        with pytest.raises(InterfaceError, match="outside its block"):
            await anext(notifications)

    async def test_two_tasks_at_once(self) -> None:
        async with connection.listen("orders") as notifications:
            first = asyncio.ensure_future(anext(notifications))
            await asyncio.sleep(0)
            with pytest.raises(InterfaceError, match="read by two tasks"):
                await anext(notifications)
            await notify("orders", "first")
            assert (await first).payload == "first"

    async def test_left_while_another_task_reads(
        self, admin: psycopg.Connection
    ) -> None:
        """That task is told, and does not wait on a socket that is another's by now."""
        async with connection.listen("orders") as notifications:
            reader = asyncio.ensure_future(anext(notifications))
            await asyncio.sleep(0)
        async with asyncio.timeout(5):
            with pytest.raises(InterfaceError, match="outside its block"):
                await reader
        await nobody_listens(admin)


@only_postgresql
class TestInSyncMode:
    def test_left_while_another_thread_reads(self, admin: psycopg.Connection) -> None:
        errors: list[str] = []
        reading = threading.Event()

        def read() -> None:
            reading.set()
            try:
                next(notifications)
            except InterfaceError as error:
                errors.append(str(error))

        with connection.listen("orders") as notifications:
            thread = threading.Thread(target=read)
            thread.start()
            reading.wait()
            while not notifications._is_receiving:
                time.sleep(0.001)
        thread.join(10)
        assert len(errors) == 1
        assert "outside its block" in errors[0]
        asyncio.run(nobody_listens(admin))

    def test_with_and_for(self, admin: psycopg.Connection) -> None:
        with connection.listen("orders", timeout=10) as notifications:
            with transaction.atomic():
                Artist.objects.create(name="kept")
                thread = threading.Thread(target=notify_elsewhere)
                thread.start()
                for notification in notifications:
                    assert notification.payload == "elsewhere"
                    assert Artist.objects.count() == 1
                    break
                thread.join()
        with connection.listen("orders", timeout=0.05) as notifications:
            assert list(notifications) == []
        with connection.listen("orders") as notifications:
            with pytest.raises(InterfaceError, match="already been entered"):
                notifications.__enter__()
            kill_listener(admin)
            with pytest.raises(OperationalError):
                next(notifications)
        asyncio.run(nobody_listens(admin))


@only_sqlite
class TestSQLite:
    async def test_has_no_notifications(self) -> None:
        with pytest.raises(NotSupportedError, match="does not support"):
            connection.listen("orders")

    def test_nor_in_sync_mode(self) -> None:
        with pytest.raises(NotSupportedError, match="Use vinyl.orm.backends.postg"):
            connection.listen("orders")
