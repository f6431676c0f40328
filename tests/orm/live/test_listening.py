"""listen(): for async code, in the bridge and in threads."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import aclosing, suppress
from typing import Any

import psycopg
import pytest
from django.db import InterfaceError, NotSupportedError, OperationalError, connections
from django.utils.connection import ConnectionDoesNotExist

from tests.cancelling import cancel_at
from tests.fix_db import default_at, only_postgresql, only_sqlite
from tests.orm.live.listeners import closed, kill_listener, sessions, shared, until
from tests.records.models import Artist
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import run, transaction
from vinyl.orm.live import Note, listen, listening, notify
from vinyl.orm.pools.registry import pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


@pytest.fixture(autouse=True)
def one_connection(db: str) -> Iterator[None]:
    """The pool is the smallest, and the session is not in it."""
    options = connections.settings["default"]["OPTIONS"]
    options["pool"] = {"max_size": 1, "timeout": 10}
    yield
    del options["pool"]
    connections["default"].close()


@only_postgresql
class TestOnTheLoop:
    async def test_notes_arrive_in_order_while_the_loop_queries(
        self, admin: psycopg.Connection
    ) -> None:
        seen = []
        async with listen("orders") as notes:
            for number in range(3):
                await notify("orders", f"{number}")
            async for note in notes:
                await Artist.objects.create(name=note.payload)
                seen.append(note)
                if len(seen) == 3:
                    break
            [pooled] = pool_for("default").idle
            pid = pooled.wrapper.connection.info.backend_pid
        assert seen == [Note("orders", f"{number}", pid) for number in range(3)]
        await closed(admin)

    async def test_all_listeners_share_one_session(
        self, admin: psycopg.Connection
    ) -> None:
        ready = asyncio.Barrier(31)

        async def read(*channels: str) -> list[str]:
            async with listen(*channels) as notes:
                await ready.wait()
                return [(await anext(notes)).payload for _ in channels]

        tasks = [
            asyncio.create_task(read(*channels))
            for channels in [("a",), ("b",), ("a", "b", "a")] * 10
        ]
        await ready.wait()
        assert len(sessions(admin)) == 1
        await notify("a", "1")
        await notify("b", "2")
        # A channel that is given twice counts once, so these wait for a third note.
        await notify("a", "3")
        assert await asyncio.gather(*tasks) == [["1"], ["2"], ["1", "2", "3"]] * 10
        await closed(admin)

    async def test_leaving_the_loop_stops_listening(
        self, admin: psycopg.Connection
    ) -> None:
        """By break, by aclose(), by an error, by cancelling the task."""

        async def by_break() -> None:
            async for _ in listen("orders"):
                break

        async def by_closing() -> None:
            async with aclosing(listen("orders").__aiter__()) as notes:  # type: ignore[type-var]
                await anext(notes)

        async def by_an_error() -> None:
            async for _ in listen("orders"):
                raise LookupError

        async def until_cancelled() -> None:
            async for _ in listen("orders"):
                await asyncio.sleep(60)

        async with listen("other"):
            for leave in (by_break, by_closing, by_an_error, until_cancelled):
                task = asyncio.create_task(leave())
                await until(lambda: "orders" in shared().channels)
                await notify("orders")
                if leave is until_cancelled:
                    task.cancel()
                with suppress(LookupError, asyncio.CancelledError):
                    await task
                # The session goes on, for the other channel alone.
                await until(lambda: shared().channels == {"other"})
        await closed(admin)

    @pytest.mark.parametrize("late", [False, True], ids=["", "late"])
    async def test_cancelled_at_each_wait(
        self, admin: psycopg.Connection, late: bool
    ) -> None:
        async def work() -> None:
            async with listen("orders") as notes:
                await notify("orders")
                await anext(notes)

        step, reached = 0, True
        while reached:
            step += 1
            _, reached = await cancel_at(step, work(), late=late)
            await closed(admin)
        assert step > 2

    async def test_a_cancelled_wait_loses_no_note(self) -> None:
        async with listen("orders") as notes:
            for number in range(20):
                reading = asyncio.create_task(anext(notes))
                await asyncio.sleep(0)
                sending = asyncio.create_task(notify("orders", f"{number}"))
                for _ in range(number):
                    await asyncio.sleep(0)
                reading.cancel()
                with suppress(asyncio.CancelledError):
                    assert (await reading).payload == f"{number}"
                    await sending
                    continue
                assert (await anext(notes)).payload == f"{number}"
                await sending

    async def test_a_killed_session_is_replaced_and_the_gap_reported(
        self, admin: psycopg.Connection, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with listen("a", "b") as both, listen("b") as one:
            await notify("a", "before")
            assert (await anext(both)).payload == "before"
            kill_listener(admin)
            gap = [await anext(both), await anext(both)]
            assert gap == [Note("a", missed=True), Note("b", missed=True)]
            # From here on nothing is missed again.
            await notify("b", "after")
            assert (await anext(both)).payload == "after"
            assert await anext(one) == Note("b", missed=True)
            assert (await anext(one)).payload == "after"
            assert len(sessions(admin)) == 1
        assert "Listening on database 'default' has failed" in caplog.text
        await closed(admin)

    async def test_a_new_listener_does_not_notice_a_killed_session(
        self, admin: psycopg.Connection
    ) -> None:
        """It waits for the session that replaces the one whose loss is discovered."""
        async with listen("a") as old:
            kill_listener(admin)
            async with listen("b") as new:
                await notify("b", "hello")
                assert (await anext(new)).payload == "hello"
            assert await anext(old) == Note("a", missed=True)
        await closed(admin)

    async def test_what_is_missed_is_in_the_database(
        self, admin: psycopg.Connection
    ) -> None:
        """Each commit is either seen by a query after the gap, or notified of."""
        seen: set[str] = set()

        async def read() -> None:
            async for note in listen("artists"):
                if note.missed:
                    async for artist in Artist.objects.all():
                        seen.add(artist.name)
                else:
                    seen.add(note.payload)

        reading = asyncio.create_task(read())
        await until(lambda: "artists" in shared().channels)
        for number in range(60):
            async with transaction.atomic():
                await Artist.objects.create(name=f"{number}")
                await notify("artists", f"{number}")
            if number % 20 == 10:
                await until(lambda: sessions(admin))
                kill_listener(admin)
        await until(lambda: len(seen) == 60)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await closed(admin)

    async def test_a_slow_reader_gets_a_gap_instead_of_too_many_notes(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with listen("orders", limit=10) as slow, listen("orders") as other:
            async with transaction.atomic():
                for number in range(11):
                    await notify("orders", f"{number}")
            for number in range(11):
                assert (await anext(other)).payload == f"{number}"
            await notify("orders", "next")
            assert (await anext(other)).payload == "next"
            assert await anext(slow) == Note("orders", missed=True)
            assert (await anext(slow)).payload == "next"
        assert "has not read 10 notifications, its limit" in caplog.text

    async def test_a_server_that_is_away_is_an_operational_error(
        self, admin: psycopg.Connection
    ) -> None:
        with default_at(HOST="/nowhere"):
            for _ in range(2):
                with pytest.raises(OperationalError, match="nowhere"):
                    async for _ in listen("orders"):
                        pytest.fail("Nobody is there.")
        async with listen("orders") as notes:
            await notify("orders", "again")
            assert (await anext(notes)).payload == "again"
        await closed(admin)

    async def test_in_the_bridge(self, admin: psycopg.Connection) -> None:
        def read() -> str:
            for note in listen("orders"):
                return note.payload
            return ""

        async with asyncio.TaskGroup() as group:
            reading = group.create_task(run(read))
            await until(lambda: "orders" in shared().channels)
            await notify("orders", "for the bridge")
        assert reading.result() == "for the bridge"
        await closed(admin)


@only_postgresql
class TestWithoutALoop:
    def test_it_blocks_and_connects_again(
        self, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(listening, "PAUSE", 0.01)
        seen: list[Note] = []

        def read() -> None:
            for note in listen("orders"):
                seen.append(note)
                if note.payload == "last":
                    break
            connections["default"].close()

        def wait_for(condition: Any) -> None:
            asyncio.run(until(condition))

        thread = threading.Thread(target=read)

        def is_read() -> bool:
            admin.execute("NOTIFY orders, 'first'")
            return bool(seen)

        thread = threading.Thread(target=read)
        thread.start()
        # A session that is lost while LISTEN runs is an error, as it has not begun.
        wait_for(is_read)
        kill_listener(admin)
        wait_for(lambda: any(note.missed for note in seen))
        notify("orders", "last")
        thread.join(10)
        missed, last = [note for note in seen if note.payload != "first"]
        assert missed == Note("orders", missed=True)
        assert last.payload == "last"
        wait_for(lambda: not sessions(admin))

    def test_a_server_that_is_away_is_an_operational_error(self) -> None:
        with default_at(HOST="/nowhere"):
            with pytest.raises(OperationalError, match="nowhere"):
                next(iter(listen("orders")))


@only_postgresql
class TestMisuse:
    @pytest.mark.parametrize(
        ("channels", "options", "error", "message"),
        [
            ((), {}, TypeError, r"listen\(\) was called without a channel"),
            ((7,), {}, TypeError, "must be a string"),
            (("",), {}, ValueError, "1 to 63 bytes"),
            (("ü" * 32,), {}, ValueError, "1 to 63 bytes"),
            (("a\0b",), {}, ValueError, "without NUL"),
            (("\ud800",), {}, ValueError, "lone surrogates"),
            (("a",), {"using": "x"}, ConnectionDoesNotExist, "'x' doesn't exist"),
            (("orders",), {"limit": 0}, ValueError, "positive integer"),
            (("orders",), {"limit": None}, ValueError, "limit=None"),
        ],
    )
    def test_of_arguments(
        self, channels: Any, options: Any, error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            listen(*channels, **options)

    async def test_of_a_listener(self) -> None:
        with pytest.raises(NotAwaitedError, match="Write `async for`"):
            iter(listen("orders"))
        with pytest.raises(InterfaceError, match="read outside its block"):
            await anext(listen("orders"))
        async with listen("orders") as notes:
            assert repr(notes) == "<Listener to 'orders' on 'default', listening>"
            with pytest.raises(InterfaceError, match="already been entered"):
                await notes.__aenter__()
            reading = asyncio.create_task(anext(notes))
            await asyncio.sleep(0)
            with pytest.raises(InterfaceError, match="two tasks at once"):
                await anext(notes)
            await notify("orders", "still")
            assert (await reading).payload == "still"


@only_sqlite
async def test_sqlite_has_no_notifications() -> None:
    with pytest.raises(NotSupportedError, match=r"listen\(\) was called for database"):
        listen("orders")
