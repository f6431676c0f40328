"""
What expires is closed and `min_size` is kept open; receivers of connection_created are
given the connection that was opened, by whatever name they ask for it.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, call-overload, misc"

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection as django_connection
from django.db import connections
from django.db.backends.signals import connection_created

from tests.fix_db import only_postgresql
from tests.records.models import Artist
from vinyl.orm import await_, connection, run, transaction
from vinyl.orm.pools import registry
from vinyl.orm.pools.maintenance import Maintenance
from vinyl.orm.pools.pool import Pool
from vinyl.orm.pools.registry import close_pools, open_pools, pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


@pytest.fixture
def options(db: str) -> Iterator[dict[str, Any]]:
    """The pool options of the database, to be set before its first use."""
    settings = connections.settings["default"]["OPTIONS"]
    settings["pool"] = options = {"min_size": 1, "max_size": 1, "timeout": 5}
    yield options
    del settings["pool"]


class TestMaintenance:
    async def test_connections_that_are_idle_too_long_are_closed(
        self, options: dict[str, Any]
    ) -> None:
        options.update(min_size=0, max_idle=0.05)
        await Artist.objects.count()
        pool = pool_for("default")
        while pool.idle:
            await asyncio.sleep(0.01)
        assert pool.stats()["discarded"] == 1

    async def test_min_size_is_kept_up(self, options: dict[str, Any]) -> None:
        options.update(min_size=2, max_size=10, max_idle=0.05)
        pool = pool_for("default")
        while pool.stats()["idle"] < 2:
            await asyncio.sleep(0.01)
        await asyncio.gather(*(Artist.objects.count() for _ in range(8)))
        while pool.stats()["size"] > 2:
            await asyncio.sleep(0.01)
        assert pool.stats()["in_use"] == 0

    @only_postgresql
    async def test_min_size_is_reached_when_the_server_is_back(
        self, options: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        options.update(min_size=2, max_size=10, max_idle=0.05)
        settings = connections.settings["default"]
        user, settings["USER"] = settings["USER"], "nobody_of_this_name"
        pool = pool_for("default")
        while "No connection" not in caplog.text:
            await asyncio.sleep(0.01)
        assert "No connection to database 'default'" in caplog.text
        assert pool.stats()["size"] == 0
        settings["USER"] = user
        while pool.stats()["idle"] < 2:
            await asyncio.sleep(0.01)

    async def test_opened_with_the_application(self, options: dict[str, Any]) -> None:
        options.update(min_size=0)
        await open_pools()
        assert pool_for("default").stats()["size"] == 0
        await close_pools()
        options.update(min_size=3, max_size=3)
        await open_pools()
        assert pool_for("default").stats()["idle"] == 3

    async def test_lifetimes_differ(self, options: dict[str, Any]) -> None:
        options.update(min_size=0, max_size=5)
        await asyncio.gather(*(Artist.objects.count() for _ in range(5)))
        ends = [pooled.expires for pooled in pool_for("default").idle]
        assert len(set(ends)) == 5
        assert 0 < max(ends) - min(ends) < 360

    async def test_a_forgotten_pool_is_not_kept_alive(self) -> None:
        pool = Pool("default")
        maintenance, pool_reference = Maintenance(pool), weakref.ref(pool)
        del pool
        gc.collect()
        assert pool_reference() is None
        maintenance.stop()


@contextmanager
def received_by(receiver: Callable[..., Any]) -> Iterator[None]:
    connection_created.connect(receiver)
    try:
        yield
    finally:
        connection_created.disconnect(receiver)


MARK = {
    "postgresql": "SET application_name = 'tenant'",
    "sqlite": "PRAGMA cache_size = 4321",
}
SHOW = {"postgresql": "SHOW application_name", "sqlite": "PRAGMA cache_size"}
MARKED = {"postgresql": ("tenant",), "sqlite": (4321,)}


def mark(wrapper: Any) -> None:
    with wrapper.cursor() as cursor:
        cursor.execute(MARK[wrapper.vendor])


def marked(wrapper: Any) -> bool:
    with wrapper.cursor() as cursor:
        cursor.execute(SHOW[wrapper.vendor])
        return cursor.fetchone() == MARKED[wrapper.vendor]


def by_argument(connection: Any, **kwargs: Any) -> None:
    mark(connection)


def by_proxy(**kwargs: Any) -> None:
    mark(django_connection)


def by_alias(connection: Any, **kwargs: Any) -> None:
    mark(connections[connection.alias])


def by_orm(connection: Any, **kwargs: Any) -> None:
    Artist.objects.count()
    with transaction.atomic():
        assert connections["default"] is connection
        mark(connection)


async def asynchronously(connection: Any, **kwargs: Any) -> None:
    await Artist.objects.count()
    async with connection.cursor() as cursor:
        await cursor.execute(MARK[connection.vendor])


async def in_async_block(connection: Any, **kwargs: Any) -> None:
    async with transaction.atomic():
        await Artist.objects.count()
    await run(mark, connection)


def by_waiting(**kwargs: Any) -> None:
    async def work() -> None:
        async with connection.cursor() as cursor:
            await cursor.execute(MARK[connection.vendor])

    await_(work())


def by_async_to_sync(**kwargs: Any) -> None:
    async_to_sync(asynchronously)(**kwargs)


RECEIVERS = [
    by_argument,
    by_proxy,
    by_alias,
    by_orm,
    asynchronously,
    in_async_block,
    by_waiting,
    by_async_to_sync,
]


@pytest.mark.parametrize("receiver", RECEIVERS, ids=lambda fn: fn.__name__)
class TestAReceiverIsGivenThatConnection:
    async def test_at_warm_up(
        self, options: dict[str, Any], receiver: Callable[..., Any]
    ) -> None:
        """With one connection in all, another one would be waited for in vain."""
        with received_by(receiver):
            await open_pools()
            pool = pool_for("default")
            assert pool.stats()["idle"] == 1
            assert pool.stats()["timeouts"] == 0
            assert await run(lambda: marked(connections["default"]))
            assert pool.stats()["acquired_total"] == 1

    async def test_of_each_of_several(
        self, options: dict[str, Any], receiver: Callable[..., Any]
    ) -> None:
        options.update(min_size=3, max_size=3)
        with received_by(receiver):
            await open_pools()
            pool = pool_for("default")
            assert pool.stats()["idle"] == 3

            def check(left: int) -> None:
                assert marked(connections["default"])
                if left:
                    # On the loop, so that it has a connection of its own.
                    context = contextvars.Context()
                    coroutine = run(check, left - 1)
                    await_(context.run(asyncio.ensure_future, coroutine))

            await run(check, 2)
            assert pool.stats()["acquired_total"] == 3

    async def test_where_it_is_opened_by_a_query(
        self, options: dict[str, Any], receiver: Callable[..., Any]
    ) -> None:
        options.update(min_size=0)
        with received_by(receiver):
            assert await run(lambda: marked(connections["default"]))
            await close_pools()
            async with transaction.atomic():
                assert await run(lambda: marked(connections["default"]))
            await close_pools()
            async with connection.pinned():
                assert await run(lambda: marked(connections["default"]))

    async def test_is_reopened_in_a_run(
        self, options: dict[str, Any], receiver: Callable[..., Any]
    ) -> None:
        def work() -> bool:
            Artist.objects.count()
            connections["default"].close()
            return marked(connections["default"])

        with received_by(receiver):
            assert await run(work)


async def test_an_error_of_a_receiver_is_logged_and_tried_again(
    options: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vinyl.orm.pools.maintenance.FIRST_PAUSE", 0.01)
    calls: list[str] = []

    def fail_twice(**kwargs: Any) -> None:
        calls.append("called")
        if len(calls) < 3:
            raise LookupError("no such tenant")

    with received_by(fail_twice):
        await open_pools()
        pool = pool_for("default")
        while pool.stats()["idle"] < 1:
            await asyncio.sleep(0.01)
        assert len(calls) == 3
        assert pool.stats()["size"] == 1
        assert caplog.text.count("No connection to database 'default': no such") == 2
        assert "LookupError" in caplog.text
        # The failed ones were closed, and no query meets them.
        assert await Artist.objects.count() == 0


@only_postgresql
async def test_a_connection_that_is_asked_whether_it_works_is_the_current_one(
    options: dict[str, Any],
) -> None:
    """As an is_usable() of the user's may look at `connection`."""
    options["check_idle"] = 0
    await Artist.objects.count()
    [pooled] = pool_for("default").idle
    seen: list[Any] = []

    def is_usable() -> bool:
        seen.append(connections["default"])
        return True

    pooled.wrapper.is_usable = is_usable  # type: ignore[method-assign]
    async with asyncio.timeout(10):
        await Artist.objects.count()
    assert seen == [pooled.wrapper]


class TestWarmUp:
    async def test_without_a_least_size_there_is_nothing_to_wait_for(
        self, options: dict[str, Any]
    ) -> None:
        options["min_size"] = 0
        maintenance = registry._maintenance[pool_for("default")]
        await maintenance.warmed_up()
        assert maintenance.refilling is None
        assert not maintenance.tried.is_set()

    async def test_connections_that_tasks_open_meanwhile_count(
        self, options: dict[str, Any]
    ) -> None:
        options.update(min_size=2, max_size=5)
        opening, go = asyncio.Event(), asyncio.Event()
        opened: list[int] = []

        def wait(**kwargs: Any) -> None:
            opened.append(len(opened))
            if len(opened) == 1:
                opening.set()
                await_(go.wait())

        with received_by(wait):
            pool = pool_for("default")
            maintenance = registry._maintenance[pool]
            await opening.wait()
            assert await Artist.objects.count() == 0
            go.set()
            await maintenance.warmed_up()
        assert opened == [0, 1]
        assert pool.stats()["size"] == 2

    async def test_is_cancelled_with_the_pool(self, options: dict[str, Any]) -> None:
        opening = asyncio.Event()

        def wait(**kwargs: Any) -> None:
            opening.set()
            await_(asyncio.Event().wait())

        with received_by(wait):
            maintenance = registry._maintenance[pool_for("default")]
            await opening.wait()
            task = maintenance.refilling
            assert task is not None
            await close_pools()
            # Once more does no harm.
            maintenance.stop()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert maintenance.refilling is None


async def test_ends_with_a_pool_that_is_garbage_collected(options: Any) -> None:
    options.update(min_size=0, max_idle=0.5)
    pool = Pool("default")
    maintenance = Maintenance(pool)
    timer = maintenance.timer
    assert timer is not None
    del pool
    gc.collect()
    while asyncio.get_running_loop().time() <= timer.when():
        await asyncio.sleep(0.01)
    await asyncio.sleep(0)
    assert maintenance.timer is timer
