"""Blocking code runs in threads, and the event loop goes on meanwhile."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.test import override_settings
from django.utils import timezone, translation

from tests.records.models import Artist
from vinyl.bridge.calls import Call
from vinyl.bridge.threads import (
    atomic_in_thread,
    can_wait,
    dual_coroutine,
    in_thread,
    runs_in_thread,
    wait,
)
from vinyl.exceptions import BridgeError, NotAwaitedError
from vinyl.orm import run, transaction

pytestmark = pytest.mark.anyio

ticket: ContextVar[str] = ContextVar("ticket", default="none")


@in_thread
def thread_and_ticket() -> tuple[int, str]:
    return threading.get_ident(), ticket.get()


class TestInThread:
    async def test_awaited_on_the_event_loop(self) -> None:
        ticket.set("A 7")
        thread, seen = await thread_and_ticket()
        assert thread != threading.get_ident()
        assert seen == "A 7"

    async def test_language_and_time_zone_go_along(self) -> None:
        @in_thread
        def seen() -> tuple[str | None, str]:
            return translation.get_language(), timezone.get_current_timezone_name()

        with translation.override("de"), timezone.override("Asia/Tokyo"):
            assert await seen() == ("de", "Asia/Tokyo")
            assert await run(seen) == ("de", "Asia/Tokyo")
        assert await seen() == (translation.get_language(), "America/Chicago")

    async def test_called_in_the_bridge(self) -> None:
        thread, _ = await run(thread_and_ticket)
        assert thread != threading.get_ident()

    def test_called_without_an_event_loop(self) -> None:
        assert thread_and_ticket()[0] == threading.get_ident()

    async def test_nested_calls_share_the_thread(self) -> None:
        @in_thread
        def outer() -> tuple[int, int]:
            return threading.get_ident(), thread_and_ticket()[0]

        first, second = await outer()
        assert first == second != threading.get_ident()

    async def test_does_not_block_the_loop(self) -> None:
        let_go = threading.Event()

        @in_thread
        def wait() -> bool:
            return let_go.wait(10)

        async def loop_is_free() -> None:
            let_go.set()

        waiting = asyncio.create_task(wait())
        await loop_is_free()
        assert await waiting

    async def test_errors_arrive(self) -> None:
        @in_thread
        def fail() -> None:
            raise LookupError("gone")

        with pytest.raises(LookupError, match="gone"):
            await fail()
        with pytest.raises(LookupError, match="gone"):
            await run(fail)

    async def test_a_call_that_is_not_awaited_is_no_value(self) -> None:
        with pytest.raises(NotAwaitedError, match="thread_and_ticket"):
            bool(thread_and_ticket())

    async def test_the_database_in_sync_mode(self, db: str) -> None:
        @in_thread
        def name_of(pk: int) -> tuple[str, Any, Any]:
            with transaction.atomic():
                found = Artist.objects.get(pk=pk)
            wrapper = connections["default"]
            assert wrapper.connection is not None
            return found.name, wrapper, threading.current_thread()

        artist = await Artist.objects.create(name="Nina")
        name, wrapper, thread = await name_of(artist.pk)
        assert name == "Nina"
        # The thread lives on, its connection does not.
        assert thread.is_alive()
        assert wrapper.connection is None

    async def test_the_connection_is_closed_after_an_error(self, db: str) -> None:
        seen: list[Any] = []

        @in_thread
        def fail() -> None:
            seen.append(connections["default"])
            seen[0].set_autocommit(False)
            Artist.objects.create(name="Nina")
            raise LookupError

        with pytest.raises(LookupError):
            await fail()
        assert seen[0].connection is None
        assert not await Artist.objects.exists()

    async def test_the_limit_of_a_function(self) -> None:
        running: list[int] = []
        most = 0
        lock = threading.Lock()
        two = threading.Barrier(2)

        @in_thread(limit=2)
        def work() -> None:
            nonlocal most
            with lock:
                running.append(1)
                most = max(most, len(running))
            two.wait(10)
            with lock:
                running.pop()

        await asyncio.gather(*(work() for _ in range(6)))
        assert most == 2

    @pytest.mark.parametrize("number", [0, -1, "4", True, 2.5])
    async def test_a_wrong_number_of_threads(self, number: object) -> None:
        with pytest.raises(ValueError, match="must be a positive integer"):
            in_thread(limit=number)  # type: ignore[call-overload]
        with override_settings(VINYL={"THREADS": number}):
            with pytest.raises(ImproperlyConfigured, match="THREADS"):
                await in_thread(lambda: None)()

    async def test_async_functions_are_refused(self) -> None:
        async def view() -> None: ...

        def rows() -> Iterator[int]:
            yield 1

        with pytest.raises(TypeError, match="view, which is async"):
            in_thread(view)
        with pytest.raises(TypeError, match="rows, a generator"):
            in_thread(rows)

        @in_thread
        def hides_it() -> Any:
            return view()

        with pytest.raises(TypeError, match="which nothing has awaited"):
            await hides_it()


class TestWait:
    async def test_waits_on_the_loop_from_either_side(self) -> None:
        async def where() -> int:
            await asyncio.sleep(0)
            return threading.get_ident()

        def work() -> tuple[bool, int]:
            return can_wait(), wait(where())

        expected = (True, threading.get_ident())
        assert await run(work) == expected
        assert await in_thread(work)() == expected

    async def test_elsewhere_it_is_refused(self) -> None:
        assert not can_wait()
        with pytest.raises(BridgeError, match="outside the bridge"):
            wait(asyncio.sleep(0))


async def test_each_call_may_be_a_transaction(db: str) -> None:
    @in_thread
    def fail() -> bool:
        Artist.objects.create(name="Nina")
        if connections["default"].in_atomic_block:
            raise LookupError
        return False

    with atomic_in_thread(["default"]), pytest.raises(LookupError):
        await fail()
    assert not await Artist.objects.exists()
    assert await fail() is False
    assert await Artist.objects.count() == 1


class TestDualCoroutine:
    @staticmethod
    @dual_coroutine("Thing.load")
    async def load(value: int) -> int:
        await asyncio.sleep(0)
        return value + 1

    async def test_on_the_event_loop_it_returns_a_call(self) -> None:
        call = self.load(1)
        assert isinstance(call, Call)
        assert "Thing.load" in repr(call)
        assert await call == 2

    async def test_in_the_bridge_it_returns_the_result(self) -> None:
        assert await run(self.load, 1) == 2

    async def test_in_a_thread_it_returns_the_result(self) -> None:
        assert await in_thread(lambda: self.load(1))() == 2


def test_whether_a_function_runs_in_a_thread() -> None:
    @functools.wraps(thread_and_ticket)
    def decorated() -> None: ...

    assert runs_in_thread(thread_and_ticket)
    assert runs_in_thread(decorated)
    assert not runs_in_thread(len)


def test_a_class_is_marked_and_stays_itself() -> None:
    class Middleware:
        pass

    assert in_thread(Middleware) is Middleware
    assert runs_in_thread(Middleware())
