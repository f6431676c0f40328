"""
Cancellation at every await point: what is whole stays whole, and nothing is left over.

Each operation runs again and again, cancelled at its first wait, its second, and so on,
until it comes to its end. "early" cancels as the wait begins, "late" when it is over
and the task has not gone on yet.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import anyio
import pytest
from django.db import connections

from tests.cancelling import cancel_at
from tests.fix_db import only_postgresql
from tests.records.models import Artist
from vinyl.bridge.cancellation import Shield, decide, outlast
from vinyl.bridge.greenlets import active_shield, await_, current_shield
from vinyl.orm import connection, run, transaction
from vinyl.orm.pools.pool import Pool
from vinyl.orm.pools.registry import close_pools, pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def create(mark: str) -> None:
    await Artist.objects.create(name=f"{mark} a")


async def create_in_bridge(mark: str) -> None:
    def write() -> None:
        with transaction.atomic():
            Artist.objects.create(name=f"{mark} a")
            with transaction.atomic():
                Artist.objects.create(name=f"{mark} b")

    await run(write)


async def block(mark: str) -> None:
    async with transaction.atomic():
        await Artist.objects.create(name=f"{mark} a")
        async with transaction.atomic():
            await Artist.objects.create(name=f"{mark} b")


async def siblings(mark: str) -> None:
    async with transaction.atomic():
        async with asyncio.TaskGroup() as group:
            group.create_task(create(mark))
            group.create_task(block(f"{mark} nested"))


async def failing_block(mark: str) -> None:
    with contextlib.suppress(LookupError):
        async with transaction.atomic():
            await Artist.objects.create(name=f"{mark} a")
            with contextlib.suppress(LookupError):
                async with transaction.atomic():
                    await Artist.objects.create(name=f"{mark} b")
                    raise LookupError
            raise LookupError


async def stream(mark: str) -> None:
    async for artist in Artist.objects.filter(name="kept").iterator(chunk_size=1):
        assert artist.pk
    async with transaction.atomic():
        async for artist in Artist.objects.iterator(chunk_size=2):
            assert artist.pk
            break
        await Artist.objects.create(name=f"{mark} a")


async def raw_cursor(mark: str) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute(
            "INSERT INTO records_artist (name) VALUES (%s)", [f"{mark} a"]
        )


async def pinned(mark: str) -> None:
    async with connection.pinned():
        await Artist.objects.count()
        await create(mark)


async def hooks(mark: str) -> None:
    async with transaction.atomic():
        transaction.on_commit(lambda: run(Artist.objects.count))
        await create(mark)


OPERATIONS = {
    create: 1,
    create_in_bridge: 2,
    block: 2,
    siblings: 3,
    failing_block: 0,
    stream: 1,
    raw_cursor: 1,
    pinned: 1,
    hooks: 1,
}


@pytest.fixture(params=[False, True], ids=["early", "late"])
def late(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
def options(db: str) -> Iterator[dict[str, Any]]:
    settings = connections.settings["default"]["OPTIONS"]
    settings["pool"] = options = {"max_size": 3}
    yield options
    del settings["pool"]


def select_one(wrapper: Any) -> None:
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT 1")


@pytest.fixture
async def nothing_left(db: str, options: Any) -> AsyncIterator[Callable[..., Any]]:
    """Checks that nothing is open, lent or running that should not be."""

    async def check() -> Pool:
        pool = pool_for("default")
        # What a TaskGroup has cancelled has ended with it; the rest is a callback away.
        await asyncio.sleep(0)
        assert not {
            task
            for task in asyncio.all_tasks() - {asyncio.current_task()}
            if "TestRunner" not in repr(task.get_coro())
        }
        assert pool.in_use == {}
        assert not pool.waiters
        for pooled in pool.idle:
            assert pooled.wrapper.is_reusable()
        return pool

    yield check
    # Each that is left works, and may write.
    pool = await check()
    wrappers = [await pool.acquire() for _ in range(pool.max_size)]
    for wrapper in wrappers:
        if wrapper.connection is not None:
            await run(wrapper.use, partial(select_one, wrapper))
        pool.release(wrapper)


async def rows(mark: str) -> int:
    return await Artist.objects.filter(name__startswith=f"{mark} ").count()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda fn: fn.__name__)
async def test_at_every_wait(
    operation: Callable[..., Any], late: bool, nothing_left: Callable[..., Any]
) -> None:
    await Artist.objects.create(name="kept")
    for step in range(1, 500):
        outcome, reached = await cancel_at(step, operation(f"{step}"), late=late)
        await nothing_left()
        found = await rows(str(step))
        if not reached:
            assert outcome is None
            assert found == OPERATIONS[operation]
            break
        assert isinstance(outcome, asyncio.CancelledError), repr(outcome)
        assert found in (0, OPERATIONS[operation])
    else:
        pytest.fail("The operation had no end.")
    assert step > 1


async def test_while_connecting(late: bool, nothing_left: Callable[..., Any]) -> None:
    for step in range(1, 500):
        await close_pools()
        _, reached = await cancel_at(step, create(f"{step}"), late=late)
        await nothing_left()
        if not reached:
            break
    assert step > 2


async def test_while_waiting_for_the_pool(
    options: dict[str, Any], late: bool, nothing_left: Callable[..., Any]
) -> None:
    options["max_size"] = 1
    pool = pool_for("default")
    for step in range(1, 500):
        held = await pool.acquire()
        attempt = asyncio.create_task(cancel_at(step, create(f"{step}"), late=late))
        # Two steps: to the task that it starts, and to the queue of the pool.
        for _ in range(3):
            await asyncio.sleep(0)
        pool.release(held)
        _, reached = await attempt
        await nothing_left()
        if not reached:
            break
    assert step > 1


@only_postgresql
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda fn: fn.__name__)
async def test_on_a_busy_loop(
    operation: Callable[..., Any],
    nothing_left: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """There psycopg lets others run also when an operation has ended."""
    monkeypatch.setattr("psycopg.waiting.MAX_BUSY_TIME", 0, raising=False)
    await Artist.objects.create(name="kept")
    for step in range(1, 500):
        _, reached = await cancel_at(step, operation(f"{step}"), late=False)
        pool = await nothing_left()
        for pooled in pool.idle:
            assert pooled.wrapper.connection.autocommit
        if not reached:
            break
    assert step > 1


@pytest.mark.parametrize("operation", [block, stream], ids=lambda fn: fn.__name__)
async def test_by_anyio_again_and_again(
    db: str, operation: Callable[..., Any], nothing_left: Callable[..., Any]
) -> None:
    """anyio cancels a task anew at each wait until it has left the scope."""
    await Artist.objects.create(name="kept")
    pool = pool_for("default")
    for number in range(30):
        with anyio.move_on_after(number / 5_000) as scope:
            await operation(f"{number}")
        await nothing_left()
        found = await rows(str(number))
        whole = OPERATIONS[operation]
        assert found in ((0, whole) if scope.cancelled_caught else (whole,))
    if db == "postgresql":
        # Cleaning up was not cut short, so nothing had to be thrown away.
        assert pool.stats()["discarded"] == 0


@only_postgresql
@pytest.mark.parametrize("server_side_binding", [True, False])
async def test_server_side_cursors_of_both_kinds_are_closed(
    server_side_binding: bool, late: bool, nothing_left: Callable[..., Any]
) -> None:
    connections.settings["default"]["OPTIONS"].update(
        server_side_binding=server_side_binding, pool={"max_size": 1}
    )
    await Artist.objects.bulk_create(Artist(name=f"{n}") for n in range(10))

    async def read_first() -> None:
        artists = Artist.objects.iterator(chunk_size=2)
        async with contextlib.aclosing(aiter(artists)) as rows:
            await anext(rows)

    for step in range(1, 100):
        _, reached = await cancel_at(step, read_first(), late=late)
        await nothing_left()
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT count(*) FROM pg_cursors")
            assert await cursor.fetchone() == (0,)
        if not reached:
            break
    assert step > 2


@only_postgresql
async def test_ends_the_query_in_the_server(nothing_left: Callable[..., Any]) -> None:
    async def sleep() -> None:
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT pg_sleep(60)")

    async def sleeping() -> int:
        async with connection.cursor() as cursor:
            await cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
                "AND query LIKE 'SELECT pg_sleep%'"
            )
            return (await cursor.fetchone())[0]

    async with anyio.create_task_group() as group:
        group.start_soon(sleep)
        while not await sleeping():
            pass
        group.cancel_scope.cancel()
    assert await sleeping() == 0
    pool = await nothing_left()
    assert pool.stats()["discarded"] == 0


@only_postgresql
async def test_a_commit_that_succeeds_counts(db: str) -> None:
    """Cancelled while the server's answer was on its way: its hooks run."""
    committed: list[str] = []
    # A server that is quick has answered before anybody waits: then there is no such
    # moment, and another round has to find it.
    for number in range(20):
        committed += await committed_although_cancelled(f"{number}.")
        if committed:
            break
    assert committed


async def committed_although_cancelled(prefix: str) -> list[str]:
    """Which transactions counted although their task was cancelled, at any wait."""
    committed: list[str] = []
    for step in range(1, 500):
        called: list[str] = []
        name = f"{prefix}{step}"

        async def work(name: str = name, called: list[str] = called) -> None:
            async with transaction.atomic():
                await create(name)
                transaction.on_commit(lambda: called.append(name))

        outcome, _ = await cancel_at(step, work(), late=True)
        assert await rows(name) == len(called)
        if outcome is None:
            break
        committed += called
    return committed


class TestALostTask:
    """
    Nobody refers to it any more, so Python closes it where it stands: in the context of
    whatever runs just then.
    """

    async def test_gives_its_connection_back(self) -> None:
        waiting: list[str] = []

        async def lost(mark: str) -> None:
            async with transaction.atomic():
                await create(mark)
                waiting.append(mark)
                await asyncio.get_running_loop().create_future()

        async def lost_inside(mark: str) -> None:
            async with transaction.atomic():
                await lost(mark)

        async def lost_in_cursor(mark: str) -> None:
            async with connection.cursor() as cursor:
                await cursor.execute("SELECT 1")
                waiting.append(mark)
                await asyncio.get_running_loop().create_future()

        works = (lost, lost_inside, transaction.atomic(lost), lost_in_cursor)
        for number, work in enumerate(works, 1):
            task = asyncio.create_task(work(f"{number}"))
            while len(waiting) < number:
                await asyncio.sleep(0.001)
            # One step more, to the future that nobody sets.
            await asyncio.sleep(0)
            del task
            gc.collect()
            await asyncio.sleep(0)
            assert pool_for("default").in_use == {}
        assert await Artist.objects.count() == 0

    @only_postgresql
    async def test_leaves_the_block_alone_in_which_it_is_closed(self) -> None:
        waiting = asyncio.Event()

        async def lost() -> None:
            async with transaction.atomic():
                await create("lost")
                waiting.set()
                await asyncio.get_running_loop().create_future()

        task = asyncio.create_task(lost())
        await waiting.wait()
        await asyncio.sleep(0)
        del task
        async with transaction.atomic(durable=True):
            await Artist.objects.count()
            gc.collect()
            await asyncio.sleep(0)
            await create("kept")
        assert pool_for("default").in_use == {}
        assert [artist.name for artist in await Artist.objects.all()] == ["kept a"]


# ----- The shield, and work that outlasts its task


CANCELLED = asyncio.CancelledError("by a test")


def test_a_success_counts_under_a_shield_and_postpones_the_cancellation() -> None:
    shield = Shield()
    with shield.up():
        assert decide((3,), CANCELLED, shield) == 3
        assert shield.take_postponed() is None
    assert shield.take_postponed() is CANCELLED
    assert shield.take_postponed() is None


def test_a_failure_under_a_shield_raises_the_cancellation() -> None:
    shield = Shield()
    with pytest.raises(asyncio.CancelledError, match="by a test"), shield.up():
        try:
            decide(None, CANCELLED, shield)
        except asyncio.CancelledError:
            raise LookupError from None
    assert shield.postponed is shield.raised is None


def test_without_a_shield_a_success_does_not_count() -> None:
    with pytest.raises(asyncio.CancelledError, match="by a test"):
        decide((3,), CANCELLED, None)


def test_a_cancellation_stays_postponed_while_the_shield_is_down() -> None:
    shield = Shield()
    with shield.up():
        decide((3,), CANCELLED, shield)
        with shield.down():
            assert shield.take_postponed() is None
        assert shield.is_up()
    assert shield.take_postponed() is CANCELLED


def test_outside_of_every_run_the_shield_has_no_effect() -> None:
    with current_shield().up():
        assert active_shield() is None


async def test_each_run_has_its_own_shield() -> None:
    def outer() -> None:
        with current_shield().up():
            assert active_shield() is current_shield()
            assert await_(run(active_shield)) is None

    await run(outer)


async def test_outlasting_every_cancellation() -> None:
    done = asyncio.Event()

    async def work() -> int:
        await done.wait()
        return 3

    task = asyncio.create_task(outlast(work()))
    for _ in range(5):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    done.set()
    assert await task == 3


async def test_outlast_raises_the_error_of_the_awaitable() -> None:
    async def work() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await outlast(work())
