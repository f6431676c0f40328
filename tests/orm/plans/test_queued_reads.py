"""Reads that wait for the pool travel together, and end as if each were alone."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, var-annotated"

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import DataError, ProgrammingError, connections
from django.db.models import Model

from tests.fix_db import default_at, only_postgresql
from tests.fix_kills import Killer, admin, killer
from tests.orm.plans.pipelining import artist, fill, label, network, sizes, sound, trips
from tests.orm.plans.planning import catalogue
from tests.proxy import Proxy
from tests.records.models import Album, Artist, Label
from vinyl.exceptions import PoolTimeout
from vinyl.orm import connection, run
from vinyl.orm.backends import pipelines
from vinyl.orm.observe.events import observe
from vinyl.orm.pools.registry import close_pools, pool_for

__all__ = ["admin", "killer", "network", "sizes"]

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db", "nothing_known")]


@pytest.fixture(autouse=True)
def shares_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections take waiting reads however few they are."""
    monkeypatch.setattr("vinyl.orm.pools.pool.MIN_SHARE", 1)


@pytest.fixture
def options(db: str) -> Iterator[dict[str, Any]]:
    """The pool options of the database: one connection."""
    settings = connections.settings["default"]["OPTIONS"]
    settings["pool"] = options = {"max_size": 1}
    yield options
    del settings["pool"]


@contextmanager
def busy() -> Iterator[None]:
    """A block in which the only connection of the pool, at rest before, is in use."""
    pool = pool_for("default")
    wrapper = pool.acquire_nowait()
    assert wrapper is not None
    yield
    pool.release(wrapper)


async def started(*waits: Any) -> list[asyncio.Task[Any]]:
    """Tasks that wait for the pool."""
    tasks = [asyncio.ensure_future(one) for one in waits]
    await asyncio.sleep(0)
    assert len(pool_for("default").waiters) == len(tasks)
    return tasks


@only_postgresql
async def test_take_one_round_trip(
    options: dict[str, Any], network: Proxy, sizes: list[int]
) -> None:
    await fill()
    # Some of the statements are prepared on the way.
    for _ in range(12):
        with busy():
            tasks = await started(*(artist(n) for n in range(10)))
        with trips(network) as found:
            assert await asyncio.gather(*tasks) == [f"{n}" for n in range(10)]
        assert found == [1]
    assert sizes == [10] * 12
    await sound()


async def test_have_their_own_results(options: dict[str, Any]) -> None:
    await run(catalogue)
    await run(catalogue_of_year_2)

    async def title(year: int) -> str:
        return (await Album.objects.get(year=year)).title

    for _ in range(3):
        found = await asyncio.gather(
            *(title(n) for n in range(6)), return_exceptions=True
        )
        assert found[:2] == ["Album 0", "Album 1"]
        assert isinstance(found[2], Album.MultipleObjectsReturned)
        assert [type(one) for one in found[3:]] == [Album.DoesNotExist] * 3
    assert pool_for("default").in_use == {}


def catalogue_of_year_2() -> None:
    album = Album.objects.get(year=2)
    Album.objects.create(title="Another", artist=album.artist, year=2)


@only_postgresql
async def test_instances_are_as_those_of_a_read_alone(
    options: dict[str, Any], sizes: list[int]
) -> None:
    await fill()
    with busy():
        tasks = await started(*(Artist.objects.get(name=f"{n}") for n in (1, 2)))
    together = await asyncio.gather(*tasks)
    alone = [await Artist.objects.get(name=f"{n}") for n in (1, 2)]

    def shown(one: Model) -> dict[str, Any]:
        return vars(one) | {"_state": vars(one._state)}

    assert [*map(shown, together)] == [*map(shown, alone)]
    assert sizes == [2]


@only_postgresql
async def test_each_connection_takes_its_share(
    options: dict[str, Any], sizes: list[int]
) -> None:
    options["max_size"] = 4
    await fill()
    found = await asyncio.gather(*(artist(n % 10) for n in range(44)))
    assert found == [f"{n % 10}" for n in range(44)]
    # Four at once, 40 that wait: one leads, and takes a quarter of the rest.
    assert sizes[0] == 10
    assert max(sizes) == 10
    await sound()


@only_postgresql
async def test_without_a_queue_each_has_its_connection(sizes: list[int]) -> None:
    await fill()
    found = await asyncio.gather(*(artist(n) for n in range(10)))
    assert found == [f"{n}" for n in range(10)]
    assert sizes == []


@only_postgresql
async def test_only_those_of_one_statement_in_a_row_travel_together(
    options: dict[str, Any], sizes: list[int]
) -> None:
    await fill()
    ended: list[str] = []

    async def noted(name: str, wait: Any) -> None:
        await wait
        ended.append(name)

    with busy():
        tasks = await started(
            noted("a", artist(1)),
            noted("b", artist(2)),
            noted("c", label(3)),
            noted("d", Artist.objects.filter(name="1").count()),
            noted("e", artist(4)),
            noted("f", artist(5)),
        )
    await asyncio.gather(*tasks)
    assert ended == ["a", "b", "c", "d", "e", "f"]
    assert sizes == [2, 2]
    await sound()


@only_postgresql
async def test_a_missing_table_is_an_error_of_each(
    options: dict[str, Any], sizes: list[int]
) -> None:
    await fill()
    async with connection.cursor() as cursor:
        await cursor.execute("ALTER TABLE records_label RENAME TO gone")
    try:
        with busy():
            tasks = await started(*(label(n) for n in range(4)))
        found = await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        async with connection.cursor() as cursor:
            await cursor.execute("ALTER TABLE gone RENAME TO records_label")
    assert [type(one) for one in found] == [ProgrammingError] * 4
    assert all('"records_label" does not exist' in str(one) for one in found)
    assert len({id(one) for one in found}) == 4
    assert sizes == [4]
    await sound()


@only_postgresql
async def test_a_column_of_another_type_is_prepared_again(
    options: dict[str, Any], sizes: list[int]
) -> None:
    options["max_size"] = 1
    await fill()
    # Until it is prepared.
    for _ in range(8):
        assert await label(1) == "1"
    async with connection.cursor() as cursor:
        await cursor.execute("ALTER TABLE records_label ALTER name TYPE text")
    try:
        with busy():
            tasks = await started(*(label(n) for n in range(4)))
        assert await asyncio.gather(*tasks) == ["0", "1", "2", "3"]
    finally:
        async with connection.cursor() as cursor:
            kind = Label._meta.get_field("name").db_type(connections["default"])
            await cursor.execute(f"ALTER TABLE records_label ALTER name TYPE {kind}")
    assert sizes == [4]
    await sound()


@only_postgresql
async def test_a_value_that_cannot_be_sent_is_an_error_of_its_task(
    options: dict[str, Any], sizes: list[int]
) -> None:
    await fill()
    with busy():
        tasks = await started(artist(1), Artist.objects.get(name="a\0"), artist(2))
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(found.pop(1), DataError | ValueError)
    assert found == ["1", "2"]
    assert sizes == [3]
    await sound()


@only_postgresql
class TestALostConnection:
    async def test_has_each_read_run_again(
        self,
        options: dict[str, Any],
        killer: Killer,
        sizes: list[int],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        await fill()
        async with killer.killing():
            with busy():
                tasks = await started(*(artist(n) for n in range(5)))
            assert await asyncio.gather(*tasks) == [f"{n}" for n in range(5)]
        assert sizes == [5]
        [message] = [one.message for one in caplog.records if one.name == "vinyl.pool"]
        assert "lost in a query, which is run again" in message
        assert pool_for("default").stats()["discarded"] == 1
        await sound()

    async def test_twice_is_an_error_of_some(
        self, options: dict[str, Any], killer: Killer
    ) -> None:
        """Never of all: the others run on other connections."""
        await fill()
        async with killer.killing(times=3):
            with busy():
                tasks = await started(*(artist(n) for n in range(3)))
            found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [one for one in found if isinstance(one, str)] == ["1", "2"]
        assert "terminat" in str(found[0])
        await sound()


@only_postgresql
class TestATaskThatIsCancelled:
    async def test_in_the_queue_leaves_the_others_alone(
        self, options: dict[str, Any], sizes: list[int]
    ) -> None:
        await fill()
        with busy():
            tasks = await started(*(artist(n) for n in range(4)))
            tasks[0].cancel()
            tasks[2].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(one) for one in found] == ["", "1", "", "3"]
        assert sizes == [2]
        await sound()

    async def test_while_it_is_served_leaves_the_others_alone(
        self, options: dict[str, Any], sizes: list[int]
    ) -> None:
        await fill()
        with busy():
            tasks = await started(*(artist(n) for n in range(4)))
        # It has been given the connection.
        tasks[0].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [str(one) for one in found] == ["", "1", "2", "3"]
        assert sizes == [3]
        await sound()

    @pytest.mark.parametrize("which", [0, 1], ids=["leads", "follows"])
    async def test_in_the_server_leaves_the_others_alone(
        self, which: int, options: dict[str, Any], killer: Killer, sizes: list[int]
    ) -> None:
        await fill()
        async with killer.locked():
            with busy():
                tasks = await started(*(artist(n) for n in range(3)))
            await killer.waiting()
            tasks[which].cancel()
            await asyncio.wait([tasks[which]])
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found.pop(which), asyncio.CancelledError)
        assert found == [f"{n}" for n in range(3) if n != which]
        assert sizes == [3]
        await sound()

    async def test_as_the_last_of_all_cancels_the_query(
        self, options: dict[str, Any], killer: Killer
    ) -> None:
        await fill()
        async with killer.locked():
            with busy():
                tasks = await started(*(artist(n) for n in range(3)))
            await killer.waiting()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert pool_for("default").in_use == {}
            active = killer.admin.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
                "AND datname = current_database()"
            ).fetchone()
            assert active == (0,)
        await sound()


@only_postgresql
class TestATimeout:
    async def test_of_the_pool_refuses_what_waits(
        self, options: dict[str, Any]
    ) -> None:
        options["timeout"] = 0.05
        await fill()
        with busy():
            tasks = await started(artist(1), artist(2))
            found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in found] == [PoolTimeout] * 2
        await sound()

    async def test_of_the_pool_lets_what_was_sent_go_on(
        self, options: dict[str, Any], killer: Killer
    ) -> None:
        options["timeout"] = 0.2
        await fill()
        async with killer.locked():
            with busy():
                tasks = await started(artist(1), artist(2))
            await killer.waiting()
            _, waiting = await asyncio.wait(tasks, timeout=0.4)
            assert len(waiting) == 2
        assert await asyncio.gather(*tasks) == ["1", "2"]
        await sound()


@only_postgresql
class TestOneAfterTheOther:
    async def in_turn(self, sizes: list[int]) -> None:
        with busy():
            tasks = await started(*(artist(n) for n in range(5)))
        assert await asyncio.gather(*tasks) == [f"{n}" for n in range(5)]
        assert sizes == []

    async def test_if_an_observer_sees_them(
        self, options: dict[str, Any], sizes: list[int]
    ) -> None:
        await fill()
        begun: list[Any] = []

        class Observer:
            def begin(self, query: Any) -> None:
                begun.append(query)

            def end(self, query: Any) -> None:
                pass

        with observe(Observer()):
            await self.in_turn(sizes)
        assert len(begun) == 5

    async def test_behind_a_pooler(
        self, options: dict[str, Any], sizes: list[int]
    ) -> None:
        with default_at(DISABLE_SERVER_SIDE_CURSORS=True):
            await close_pools()
            await fill()
            await self.in_turn(sizes)
            await sound()
            await close_pools()

    async def test_if_nothing_is_committed_by_itself(
        self, options: dict[str, Any], sizes: list[int]
    ) -> None:
        await fill()
        with default_at(AUTOCOMMIT=False):
            await close_pools()
            found = await asyncio.gather(*(artist(n) for n in range(5)))
            assert found == [f"{n}" for n in range(5)]
            await close_pools()
        assert sizes == []


@only_postgresql
async def test_a_query_that_is_slow_is_not_one_that_others_wait_for(
    options: dict[str, Any], sizes: list[int]
) -> None:
    """Counting and listing rows take as long as there are rows."""
    await fill()
    for _ in range(3):
        await Artist.objects.filter(name="1")
    with busy():
        tasks = await started(
            *(Artist.objects.filter(name=f"{n}").count() for n in range(3)),
            *(evaluated(n) for n in range(3)),
        )
    assert (await asyncio.gather(*tasks))[:3] == [1] * 3
    assert sizes == []


async def evaluated(n: int) -> Any:
    return await Artist.objects.filter(name=f"{n}")


@only_postgresql
async def test_the_pool_is_free_again_if_the_pipeline_is_cancelled(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `asyncio.run()` does at its end, which cancels all tasks."""
    await fill()
    made: list[Any] = []
    init = pipelines.Pipeline.__init__

    def noted(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        made.append(self)

    monkeypatch.setattr(pipelines.Pipeline, "__init__", noted)
    with busy():
        tasks = await started(*(artist(n) for n in range(3)))
    while not made:
        await asyncio.sleep(0)
    made[0]._task.cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(one) for one in found] == [asyncio.CancelledError] * 3
    await sound()
    assert await Label.objects.count() == 10
