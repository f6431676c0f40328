"""A cancelled query is cancelled in the server, whatever becomes of the request."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import connection as of_thread
from django.db import connections

from tests.fix_db import only_postgresql
from vinyl.orm import connection, run
from vinyl.orm.backends import psycopg_waiting
from vinyl.orm.backends.psycopg_waiting import looking

pytestmark = [pytest.mark.anyio]


Cancelled: TypeAlias = Callable[[Callable[[], Awaitable]], Awaitable[float]]

SLEEPING = (
    "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' "
    "AND datname = current_database()"
)


def sleep() -> None:
    with of_thread.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(60)")


async def on_the_loop() -> None:
    await run(sleep)


async def in_a_thread() -> None:
    await sync_to_async(sleep)()


def pid() -> int:
    return connections["default"].connection.info.backend_pid


@pytest.fixture(params=["on the loop", "in a thread"])
def of_psycopg(request: pytest.FixtureRequest) -> tuple[type, Callable[[], Awaitable]]:
    """The class whose cancel_safe() is called, and work that waits in that way."""
    if request.param == "on the loop":
        return psycopg.AsyncConnection, on_the_loop
    return psycopg.Connection, in_a_thread


def replace_requests(
    monkeypatch: pytest.MonkeyPatch, cls: Any, respond: Callable[[int], bool]
) -> list[int]:
    """
    Have *respond* called with the number of each request: it tells whether the request
    is sent, or raises. Returns the list of their numbers.
    """
    cancel_safe = cls.cancel_safe
    numbers: list[int] = []

    def is_sent() -> bool:
        numbers.append(len(numbers) + 1)
        return respond(numbers[-1])

    def in_thread(self: Any, **kwargs: Any) -> None:
        if is_sent():
            cancel_safe(self, **kwargs)

    async def on_loop(self: Any, **kwargs: Any) -> None:
        if is_sent():
            await cancel_safe(self, **kwargs)

    is_async = cls is psycopg.AsyncConnection
    monkeypatch.setattr(cls, "cancel_safe", on_loop if is_async else in_thread)
    return numbers


@pytest.fixture
def cancelled(admin: psycopg.Connection) -> Cancelled:
    """What cancels work in its query, and returns how long that took, in seconds."""
    return functools.partial(cancel, admin)


async def cancel(admin: psycopg.Connection, work: Callable[[], Awaitable]) -> float:
    # A query that was not cancelled sleeps on.
    before = set(admin.execute(SLEEPING))
    task = asyncio.ensure_future(work())
    while set(admin.execute(SLEEPING)) <= before:
        await asyncio.sleep(0.01)
    start = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return time.monotonic() - start


@only_postgresql
@pytest.mark.usefixtures("thread")
class TestARequest:
    async def test_that_is_lost_is_repeated(
        self,
        of_psycopg: Any,
        cancelled: Cancelled,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        cls, work = of_psycopg
        monkeypatch.setattr(psycopg_waiting, "CANCEL_INTERVAL", 0.1)
        monkeypatch.setattr(psycopg_waiting, "CANCEL_TIMEOUT", 30)
        numbers = replace_requests(monkeypatch, cls, lambda number: number > 2)
        async with connection.pinned():
            session = await run(pid)
            assert await cancelled(work) < 10
            assert numbers[:3] == [1, 2, 3]
            # The connection is as good as before.
            assert await run(pid) == session
            async with connection.cursor() as cursor:
                await cursor.execute("SELECT 1")

    async def test_that_fails_costs_the_connection(
        self,
        of_psycopg: Any,
        cancelled: Cancelled,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def refuse(number: int) -> bool:
            raise psycopg.OperationalError("refused")

        cls, work = of_psycopg
        numbers = replace_requests(monkeypatch, cls, refuse)
        async with connection.pinned():
            driver = await run(lambda: connections["default"].connection)
            await cancelled(work)
            assert numbers == [1]
            assert driver.closed

    async def test_without_an_answer_costs_the_connection(
        self,
        of_psycopg: Any,
        cancelled: Cancelled,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        cls, work = of_psycopg
        monkeypatch.setattr(psycopg_waiting, "CANCEL_INTERVAL", 0.1)
        monkeypatch.setattr(psycopg_waiting, "CANCEL_TIMEOUT", 0.5)
        numbers = replace_requests(monkeypatch, cls, lambda number: False)
        async with connection.pinned():
            driver = await run(lambda: connections["default"].connection)
            assert 0.4 < await cancelled(work) < 10
            assert len(numbers) > 1
            assert driver.closed


class TestLooking:
    def test_looks_after_each_wait(self) -> None:
        def operation() -> Any:
            first = yield "read"
            second = yield "write"
            return [first, second]

        looks: list[str] = []
        gen = looking(operation(), lambda: looks.append("look"))
        assert next(gen) == "read"
        assert gen.send(1) == "write"
        with pytest.raises(StopIteration) as stop:
            gen.send(2)
        assert stop.value.value == [1, 2]
        assert looks == ["look", "look"]

    def test_what_was_left_can_be_driven_on(self) -> None:
        def operation() -> Any:
            while not (yield "read"):
                pass
            return "done"

        def give_up() -> None:
            raise TimeoutError

        inner = operation()
        gen = looking(inner, give_up)
        next(gen)
        with pytest.raises(TimeoutError):
            gen.send(0)
        assert next(inner) == "read"
        with pytest.raises(StopIteration, match="done"):
            inner.send(1)
