"""Which database a read goes to: two real ones, whose rows say where they are."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, comparison-overlap, func-returns-value"
# mypy: disable-error-code="misc, unreachable"

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db import router as routing

from tests.fix_db import only_postgresql
from tests.records.models import Album, Artist, Genre, Label
from vinyl.bridge.flows import drive_async, use_driver
from vinyl.exceptions import ScopeClosedError
from vinyl.orm import (
    await_,
    connection,
    fetch,
    prefetch_related_objects,
    run,
    transaction,
)
from vinyl.orm.dualmode.singleflight import is_in_flight
from vinyl.orm.pools.registry import pool_for
from vinyl.orm.routers import PrimaryReplicaRouter, note_write, unit_of_work
from vinyl.orm.scopes.run_scope import scope_of_run

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("router")]

PRIMARY, REPLICA = "default", "replica"

Drive = Callable[..., Awaitable[Any]]


@use_driver
def where() -> str:
    """The alias of the database that a read goes to."""
    return Artist.objects.get(pk=1).name


@use_driver
def write() -> None:
    Label.objects.create(name="Philips")


def _closing_connections(fn: Callable[..., Any], *args: Any) -> Any:
    try:
        return fn(*args)
    finally:
        connections.close_all()


async def in_thread(fn: Callable[..., Any], *args: Any) -> Any:
    """Call *fn* in a thread without an event loop."""
    return await asyncio.to_thread(_closing_connections, fn, *args)


@pytest.fixture(params=["loop", "bridge", "thread"])
def drive(request: pytest.FixtureRequest) -> Drive:
    """Runs a flow on the event loop, in the bridge, or in a thread."""

    async def driven(flow: Callable[..., Any], *args: Any) -> Any:
        if request.param == "loop":
            return await drive_async(flow(*args))
        in_mode = in_thread if request.param == "thread" else run
        return await in_mode(use_driver(flow), *args)

    return driven


class TestWithoutUnit:
    async def test_reads_follow_a_write(self, drive: Drive) -> None:
        def flow() -> Any:
            before = yield where, ()
            yield write, ()
            return before, (yield where, ())

        assert await drive(flow) == (REPLICA, PRIMARY)

    async def test_inside_a_transaction_reads_go_to_the_primary(
        self, drive: Drive
    ) -> None:
        @transaction.atomic
        def inside() -> str:
            return Artist.objects.get(pk=1).name

        def flow() -> Any:
            return (yield inside, ()), (yield where, ())

        assert await drive(flow) == (PRIMARY, REPLICA)

    async def test_in_a_block_on_the_loop_and_in_what_it_starts(self) -> None:
        async with transaction.atomic():
            assert await where() == PRIMARY
            assert await run(where) == PRIMARY
            assert await asyncio.gather(where(), run(where)) == [PRIMARY, PRIMARY]
            # A thread is not in the transaction.
            assert await in_thread(where) == REPLICA
        assert await where() == REPLICA

    async def test_in_a_block_in_the_bridge_and_in_what_it_awaits(self) -> None:
        async def native() -> list[str]:
            return [await where(), *await asyncio.gather(where())]

        def sync() -> list[str]:
            found: list[str] = [where()]
            with transaction.atomic():
                found += [where(), *await_(native())]
            return [*found, where()]

        assert await run(sync) == [REPLICA, PRIMARY, PRIMARY, PRIMARY, REPLICA]

    async def test_a_transaction_without_autocommit_counts_and_pinned_does_not(
        self,
    ) -> None:
        async with connection.pinned():
            assert await where() == REPLICA
            await connection.set_autocommit(False)
            assert await where() == PRIMARY
            await connection.rollback()
            await connection.set_autocommit(True)

    async def test_a_transaction_elsewhere_does_not_count(self) -> None:
        async with transaction.atomic(REPLICA):
            assert await where() == REPLICA

    async def test_a_write_in_a_child_is_that_childs_alone(self) -> None:
        async def child() -> list[str]:
            before = await where()
            await write()
            return [before, await where()]

        assert await where() == REPLICA
        both = await asyncio.gather(child(), child())
        assert both == [[REPLICA, PRIMARY], [REPLICA, PRIMARY]]
        assert await where() == REPLICA

    async def test_children_know_what_was_written_before(self) -> None:
        await write()
        assert await asyncio.gather(where(), run(where)) == [PRIMARY, PRIMARY]
        assert await in_thread(where) == PRIMARY

    async def test_a_task_that_outlived_its_transaction(self) -> None:
        ended = asyncio.Event()

        async def late() -> str:
            await ended.wait()
            return await where()

        async with transaction.atomic():
            task = asyncio.create_task(late())
            await where()
        ended.set()
        with pytest.raises(ScopeClosedError, match="inherited atomic"):
            await task

    async def test_asking_lends_and_connects_nothing(self) -> None:
        def in_the_bridge() -> list[str]:
            where()
            return list(scope_of_run().leases)

        def there() -> list[str]:
            where()
            return [one.alias for one in connections.all(initialized_only=True)]

        assert await run(in_the_bridge) == [REPLICA]
        assert await in_thread(there) == [REPLICA]
        assert not pool_for(PRIMARY).idle


class TestUnit:
    async def test_a_write_in_a_child_task_is_seen_by_all_of_the_unit(self) -> None:
        with unit_of_work():
            assert await asyncio.gather(where(), where()) == [REPLICA, REPLICA]
            await asyncio.gather(write(), asyncio.sleep(0))
            assert await where() == PRIMARY
            assert await asyncio.gather(where(), run(where)) == [PRIMARY, PRIMARY]

    async def test_one_in_a_thread_is_seen_too(self) -> None:
        with unit_of_work():
            await in_thread(write)
            assert await where() == PRIMARY

    async def test_each_begins_with_the_replica(self, drive: Drive) -> None:
        def flow() -> Any:
            found = []
            for _ in range(2):
                with unit_of_work():
                    found.append((yield where, ()))
                    yield write, ()
                    found.append((yield where, ()))
            return found

        assert await drive(flow) == [REPLICA, PRIMARY] * 2

    async def test_the_code_around_reads_what_was_written_inside(
        self, drive: Drive
    ) -> None:
        def flow() -> Any:
            with unit_of_work():
                before = yield where, ()
            between = yield where, ()
            with unit_of_work():
                yield write, ()
            return before, between, (yield where, ())

        assert await drive(flow) == (REPLICA, REPLICA, PRIMARY)

    async def test_units_beside_one_another_are_apart(self) -> None:
        written = asyncio.Event()

        async def writer() -> str:
            with unit_of_work():
                await write()
                written.set()
                return await where()

        async def reader() -> str:
            with unit_of_work():
                await written.wait()
                return await where()

        assert await asyncio.gather(writer(), reader()) == [PRIMARY, REPLICA]

    async def test_an_error_ends_it(self) -> None:
        with pytest.raises(LookupError), unit_of_work():
            await write()
            raise LookupError
        with unit_of_work():
            assert await where() == REPLICA

    async def test_a_write_by_raw_sql_is_noted_explicitly(self) -> None:
        with unit_of_work():
            async with connection.cursor() as cursor:
                await cursor.execute("UPDATE records_artist SET name = 'changed'")
            assert await where() == REPLICA
            note_write()
            assert await where() == "changed"


class TestObjects:
    async def test_save_writes_to_the_primary(self, drive: Drive) -> None:
        def flow() -> Any:
            album = yield Album.objects.get, ()
            before = album._state.db
            album.title = "changed"
            yield album.save, ()
            return before, album._state.db

        assert await drive(flow) == (REPLICA, PRIMARY)
        assert (await Album.objects.using(PRIMARY).get()).title == "changed"
        assert (await Album.objects.using(REPLICA).get()).title == REPLICA

    async def test_saving_some_fields_loads_the_others_from_the_primary(self) -> None:
        album = await Album.objects.only("title").get()
        await Album.objects.using(PRIMARY).update(year=1970)
        album.title = "changed"
        await album.save()
        saved = await Album.objects.using(PRIMARY).get()
        assert (saved.title, saved.year, saved.notes) == ("changed", 1970, PRIMARY)

    async def test_relations_follow_a_write(self) -> None:
        with unit_of_work():
            album, same = await Album.objects.get(), await Album.objects.get()
            assert (await album.artist).name == REPLICA
            await write()
            assert (await same.artist).name == PRIMARY
            assert [one.title for one in await same.artist.albums.all()] == [PRIMARY]

    async def test_so_do_deferred_fields(self) -> None:
        with unit_of_work():
            albums = [await Album.objects.defer("notes").get() for _ in range(4)]
            assert await fetch(albums[0], "notes") == REPLICA
            await write()
            assert await albums[1].notes == PRIMARY
            await fetch(albums[2:], "notes")
            assert [one.notes for one in albums[2:]] == [PRIMARY, PRIMARY]
            await albums[0].refresh_from_db()
            assert albums[0].notes == PRIMARY

    async def test_so_does_prefetching(self) -> None:
        with unit_of_work():
            [artist] = await Artist.objects.prefetch_related("albums")
            assert [album.title for album in artist.albums.all()] == [REPLICA]
            [artist] = await Artist.objects.all()
            await write()
            await prefetch_related_objects([artist], "albums")
            assert [album.title for album in artist.albums.all()] == [PRIMARY]

    async def test_relations_of_an_object_are_read_from_its_database(self) -> None:
        album = await Album.objects.using(PRIMARY).get()
        assert (await album.artist).name == PRIMARY
        assert await where() == REPLICA

    async def test_objects_of_both_are_related(self) -> None:
        album = await Album.objects.using(PRIMARY).get()
        album.artist = await Artist.objects.using(REPLICA).get()
        genre = await Genre.objects.create(name="Jazz")
        from_replica = await Album.objects.using(REPLICA).get()
        await from_replica.genres.add(genre)
        assert await genre.albums.count() == 1

    async def test_delete(self) -> None:
        album = await Album.objects.get()
        await album.delete()
        assert await Album.objects.using(PRIMARY).count() == 0
        assert await Album.objects.using(REPLICA).count() == 1

    async def test_djangos_add_takes_objects_of_the_replica_with_bulk_false(
        self,
    ) -> None:
        artist, album = await Artist.objects.get(), await Album.objects.get()
        with pytest.raises(ValueError, match="bulk=False"):
            await artist.albums.add(album)
        await artist.albums.add(album, bulk=False)

    async def test_a_nested_block_does_not_wait_for_the_fetch_of_a_sibling(
        self,
    ) -> None:
        album = await Album.objects.get()
        assert album._state.db == REPLICA
        inside, waiting = asyncio.Event(), asyncio.Event()

        async def nested() -> str:
            async with transaction.atomic():
                inside.set()
                await waiting.wait()
                return (await album.artist).name

        async def sibling() -> str:
            await inside.wait()
            fetching = asyncio.ensure_future(fetch(album, "artist"))
            while not is_in_flight([album], "artist"):
                await asyncio.sleep(0)
            waiting.set()
            return (await fetching).name

        async with asyncio.timeout(30), transaction.atomic():
            found = await asyncio.gather(nested(), sibling())
        assert found == [PRIMARY, PRIMARY]


class TestStreams:
    async def test_stays_on_its_database(self) -> None:
        artist = await Artist.objects.using(REPLICA).create(name="second")
        found, beside = [], []
        with unit_of_work():
            async for each in Artist.objects.order_by("pk").iterator(chunk_size=1):
                found.append(each.name)
                beside.append(await where())
                await write()
        assert found == [REPLICA, artist.name]
        assert beside == [REPLICA, PRIMARY]

    async def test_in_a_transaction_it_is_the_primarys(self) -> None:
        async with transaction.atomic():
            streamed = [one.name async for one in Artist.objects.iterator()]
        assert streamed == [PRIMARY]


class TestUsing:
    async def test_wins(self, drive: Drive) -> None:
        def flow() -> Any:
            yield write, ()
            one = yield Artist.objects.using(REPLICA).get, ()
            with unit_of_work():
                other = yield Artist.objects.using(PRIMARY).get, ()
                here = yield where, ()
            return one.name, other.name, here

        assert await drive(flow) == (REPLICA, PRIMARY, REPLICA)


@only_postgresql
async def test_rows_are_locked_at_the_primary(queries: list[str]) -> None:
    async with transaction.atomic():
        artist = await Artist.objects.select_for_update().get()
    assert artist.name == PRIMARY
    assert any("FOR UPDATE" in sql for sql in queries)


class TestRouter:
    """The router by itself."""

    def test_one_replica_serves_a_unit_and_all_have_their_share(self) -> None:
        router = PrimaryReplicaRouter(replicas=["a", "b", "c"])
        picked: Counter[str | None] = Counter()
        for _ in range(300):
            with unit_of_work():
                [one] = {router.db_for_read(Artist) for _ in range(5)}
            picked[one] += 1
        assert set(picked) == {"a", "b", "c"}

    def test_each_primary_is_apart(self) -> None:
        one = PrimaryReplicaRouter(replicas=["a"])
        two = PrimaryReplicaRouter("other", ["b"])
        with unit_of_work():
            two.db_for_write(Artist)
            assert one.db_for_read(Artist) == "a"
            assert two.db_for_read(Artist) == "other"

    def test_without_replicas_the_primary_is_read(self) -> None:
        assert PrimaryReplicaRouter(replicas=[]).db_for_read(Artist) == PRIMARY

    def test_objects_of_other_databases_are_left_to_others(self) -> None:
        router = PrimaryReplicaRouter()
        here, elsewhere, new = Artist(), Artist(), Artist()
        here._state.db, elsewhere._state.db = REPLICA, "archive"
        assert router.db_for_read(Artist, instance=elsewhere) is None
        assert router.db_for_write(Artist, instance=elsewhere) is None
        assert router.db_for_read(Artist, instance=new) == REPLICA
        assert router.allow_relation(here, here) is True
        assert router.allow_relation(here, elsewhere) is None
        assert router.allow_relation(new, here) is None

    def test_a_replica_is_not_migrated(self) -> None:
        assert routing.allow_migrate(REPLICA, "records") is False
        assert routing.allow_migrate(PRIMARY, "records") is True

    @pytest.mark.parametrize("replicas", ["replica", {"replica": 1}, 3], ids=repr)
    def test_a_setting_that_is_not_a_list_is_refused(self, replicas: Any) -> None:
        with pytest.raises(
            ImproperlyConfigured, match="must be a list of database aliases"
        ):
            PrimaryReplicaRouter(replicas=replicas)

    def test_has_a_repr(self) -> None:
        assert repr(PrimaryReplicaRouter()) == (
            "<PrimaryReplicaRouter default, replicas: replica>"
        )
