"""Through a real PgBouncer in transaction mode, as docs/howto/pgbouncer.md says."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, ProgrammingError, connections
from psycopg.errors import InvalidCursorName

from tests.fix_db import default_database
from tests.pgbouncer import PATIENCE, PgBouncer, pgbouncer
from tests.records.models import Album, Artist
from vinyl.orm import connection, run, transaction
from vinyl.orm.pools.registry import pool_for

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("db", "through"),
    pytest.mark.parametrize("db", ["postgresql"], indirect=True),
]


@pytest.fixture(scope="module")
def bouncer(postgres_url: str) -> Iterator[PgBouncer]:
    """A PgBouncer with two connections to the server."""
    with pgbouncer(postgres_url, size=2) as bouncer:
        yield bouncer


@pytest.fixture
def through(db: str, bouncer: PgBouncer) -> Iterator[None]:
    """Makes the default database the one that PgBouncer offers."""
    with default_database(bouncer.settings()):
        yield


def configure(**options: Any) -> None:
    """Set *options* of the database, before its first use in a test."""
    connections.settings["default"]["OPTIONS"].update(options)


class Server:
    """The server seen past PgBouncer: its connections to the test's database."""

    def __init__(self, url: str) -> None:
        self.connection = psycopg.connect(url, autocommit=True)

    def ask(self, query: Any, *args: Any) -> list[Any]:
        rows = self.connection.execute(query, args or None).fetchall()
        return [row[0] for row in rows]

    def pids(self, where: str = "true") -> set[int]:
        return set(
            self.ask(
                "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
                f"AND pid <> pg_backend_pid() AND {where}"
            )
        )

    async def reaches(self, condition: Callable[[], Any]) -> Any:
        """What *condition* gives as soon as that is true."""
        deadline = time.monotonic() + PATIENCE
        while not (found := condition()):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        return found


@pytest.fixture
def server(postgres_url: str) -> Iterator[Server]:
    server = Server(postgres_url)
    yield server
    server.connection.close()


def ask(query: str, *args: Any) -> Any:
    """In the bridge: the one value that *query* gives."""
    with connections["default"].cursor() as cursor:
        cursor.execute(query, args)
        return cursor.fetchone()[0]


def pid() -> int:
    """In the bridge: the server process that answers."""
    return ask("SELECT pg_backend_pid()")


async def on_both(query: str) -> dict[int, Any]:
    """What *query* gives on the two server connections, by process."""
    both = asyncio.Barrier(2)

    async def on_one() -> tuple[int, Any]:
        async with transaction.atomic():
            mine = await run(pid)
            await both.wait()
            return mine, await run(ask, query)

    return dict(await asyncio.gather(on_one(), on_one()))


@contextmanager
def client(bouncer: PgBouncer, **kwargs: Any) -> Iterator[Any]:
    """Another program's connection through the same PgBouncer."""
    options = {"autocommit": True, "prepare_threshold": None, **kwargs}
    with psycopg.connect(bouncer.url, **options) as other:
        yield other


def test_the_page_has_the_settings_that_are_tried_here(bouncer: PgBouncer) -> None:
    page = Path(__file__).parents[3] / "docs" / "howto" / "pgbouncer.md"
    found: dict[str, Any] = {}
    exec("\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.S)), found)
    shown = found["DATABASES"]["default"]
    tried = bouncer.settings()
    assert shown.keys() == tried.keys() - {"USER"}
    for key in ("ENGINE", "DISABLE_SERVER_SIDE_CURSORS"):
        assert shown[key] == tried[key]


class TestQueries:
    async def test_fifty_tasks_over_two_server_connections(self) -> None:
        seen = set()

        async def work(number: int) -> None:
            artist = await Artist.objects.create(name=f"Artist {number}")
            async with transaction.atomic():
                album = await artist.albums.create(title="First")
                seen.add(await run(pid))
                album.title = "Second"
                await album.save()
            assert await artist.albums.filter(title="Second").count() == 1

        configure(pool={"max_size": 50})
        await asyncio.gather(*(work(number) for number in range(50)))
        assert await Album.objects.filter(title="Second").count() == 50
        assert len(pool_for("default").idle) == 50
        assert len(seen) == 2

    async def test_savepoints(self) -> None:
        async with transaction.atomic():
            first = await run(pid)
            await Artist.objects.create(name="kept")
            with pytest.raises(LookupError):
                async with transaction.atomic():
                    await Artist.objects.create(name="undone")
                    async with transaction.atomic():
                        await Artist.objects.create(name="undone, too")
                    raise LookupError
            async with transaction.atomic():
                await Artist.objects.create(name="kept, too")
            assert await run(pid) == first
        names = [artist.name for artist in await Artist.objects.all()]
        assert names == ["kept", "kept, too"]

    async def test_gathering_in_a_transaction_stays_in_it(self) -> None:
        async def add(name: str) -> int:
            await Artist.objects.create(name=name)
            return await run(pid)

        with pytest.raises(LookupError):
            async with transaction.atomic():
                pids = await asyncio.gather(*(add(f"Artist {n}") for n in range(10)))
                assert len(set(pids)) == 1
                raise LookupError
        assert await Artist.objects.count() == 0

    async def test_rows_are_locked(self, bouncer: PgBouncer) -> None:
        artist = await Artist.objects.create(name="Nina")
        album = await artist.albums.create(title="First", year=1900)

        async def increment() -> None:
            async with transaction.atomic():
                locked = await Album.objects.select_for_update().get(pk=album.pk)
                locked.year += 1
                await locked.save()

        await asyncio.gather(*(increment() for _ in range(8)))
        await album.refresh_from_db()
        assert album.year == 1908
        async with transaction.atomic():
            await Album.objects.select_for_update().get(pk=album.pk)
            with client(bouncer) as other:
                free = "SELECT id FROM records_album FOR UPDATE SKIP LOCKED"
                assert other.execute(free).fetchall() == []

    @pytest.mark.parametrize("binding", [False, True], ids=["client", "server"])
    async def test_nothing_is_prepared(self, binding: bool) -> None:
        async def repeat() -> None:
            for _ in range(15):
                assert not await Artist.objects.filter(name="Nobody").exists()

        configure(server_side_binding=binding)
        await asyncio.gather(*(repeat() for _ in range(4)))
        found = await on_both("SELECT count(*) FROM pg_prepared_statements")
        assert list(found.values()) == [0, 0]


class TestStreams:
    async def make_albums(self) -> None:
        artist = await Artist.objects.create(name="Nina")
        await Album.objects.bulk_create(
            Album(artist=artist, title=f"Album {n:03}") for n in range(300)
        )

    async def test_outside_a_transaction(self) -> None:
        await self.make_albums()

        async def read() -> int:
            titles = set()
            async for album in Album.objects.iterator(chunk_size=50):
                titles.add(album.title)
                await Artist.objects.count()
            return len(titles)

        assert await asyncio.gather(*(read() for _ in range(4))) == [300] * 4

    # The cursor that is lost to the client, too.
    @pytest.mark.filterwarnings("ignore:.*still open:ResourceWarning")
    async def test_server_side_cursors_are_lost_between_two_chunks(
        self, bouncer: PgBouncer, server: Server
    ) -> None:
        """Without the setting; the reason why the page asks for it."""
        connections.settings["default"]["DISABLE_SERVER_SIDE_CURSORS"] = False
        await self.make_albums()
        stream = aiter(Album.objects.iterator(chunk_size=100))
        await anext(stream)
        # The transaction takes the server connection that has the cursor.
        # From the close() in Django's own clean-up, which does not translate it.
        with pytest.raises(InvalidCursorName, match=r"cursor .* does not exist"):
            with client(bouncer, autocommit=False) as other:
                other.execute("SELECT 1")
                async for _ in stream:
                    pass
        # What was lost is held in the server for the next cursor of that name.
        for process in server.pids():
            server.ask("SELECT pg_terminate_backend(%s, 5000)", process)

    async def test_server_side_cursors_work_in_a_transaction(self) -> None:
        connections.settings["default"]["DISABLE_SERVER_SIDE_CURSORS"] = False
        await self.make_albums()
        async with transaction.atomic():
            rows = [row async for row in Album.objects.iterator(chunk_size=50)]
        assert len(rows) == 300


class TestSessions:
    async def test_only_what_pgbouncer_follows_is_set(self) -> None:
        """The set-up that Django makes at connect, and all that comes after."""
        await asyncio.gather(*(Artist.objects.count() for _ in range(10)))
        found = await on_both(
            "SELECT array_agg(name) FROM pg_settings WHERE source = 'session'"
        )
        followed = {
            "application_name",
            "client_encoding",
            "DateStyle",
            "standard_conforming_strings",
            "TimeZone",
        }
        for names in found.values():
            assert set(names) <= followed

    async def test_each_client_has_its_time_zone_and_name(
        self, bouncer: PgBouncer
    ) -> None:
        def session() -> tuple[str, str]:
            return ask("SHOW timezone"), ask("SHOW application_name")

        configure(application_name="shop")
        with client(bouncer, application_name="other") as other:
            other.execute("SET timezone = 'Asia/Tokyo'")
            for _ in range(5):
                mine = await asyncio.gather(*(run(session) for _ in range(4)))
                assert set(mine) == {("UTC", "shop")}
                assert other.execute("SHOW timezone").fetchone() == ("Asia/Tokyo",)
                assert other.execute("SHOW application_name").fetchone() == ("other",)

    async def test_the_isolation_level_is_that_of_each_transaction(
        self, bouncer: PgBouncer
    ) -> None:
        level = "SHOW transaction_isolation"
        configure(isolation_level=psycopg.IsolationLevel.SERIALIZABLE)
        with client(bouncer) as other:
            async with transaction.atomic():
                assert await run(ask, level) == "serializable"
            for _ in range(4):
                assert other.execute(level).fetchone() == ("read committed",)

    async def test_set_local_ends_with_the_transaction(self) -> None:
        before = await run(ask, "SHOW search_path")
        async with transaction.atomic():
            async with connection.cursor() as cursor:
                await cursor.execute("SET LOCAL search_path = pg_catalog")
            with pytest.raises(ProgrammingError):
                async with transaction.atomic():
                    await Artist.objects.count()
        found = await asyncio.gather(*(run(ask, "SHOW search_path") for _ in range(6)))
        assert set(found) == {before}

    async def test_pinned_holds_no_session(
        self, bouncer: PgBouncer, server: Server
    ) -> None:
        """What the page warns of: a SET, and a lock, stay behind in the server."""
        async with connection.pinned():
            first = await run(pid)
            await run(ask, "SELECT set_config('vinyl.mark', 'left behind', false)")
            await run(ask, "SELECT pg_advisory_lock(42)::text")
            with client(bouncer, autocommit=False) as other:
                other.execute("SELECT 1")
                # The next query of the block is answered by another process.
                assert await run(pid) != first
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        assert server.ask(held) == [1]
        seen = await on_both("SELECT current_setting('vinyl.mark', true)")
        assert seen[first] == "left behind"
        server.ask("SELECT pg_terminate_backend(%s)", first)
        await server.reaches(lambda: server.ask(held) == [0])


async def sleep() -> None:
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT pg_sleep(60)")


ASLEEP = "state = 'active' AND query LIKE '%pg_sleep%'"


class TestCancellation:
    async def test_reaches_the_server(self, server: Server) -> None:
        await Artist.objects.count()
        (before,) = pool_for("default").idle
        task = asyncio.create_task(sleep())
        await server.reaches(lambda: server.pids(ASLEEP))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.reaches(lambda: not server.pids(ASLEEP))
        assert await Artist.objects.count() == 0
        (after,) = pool_for("default").idle
        assert after.wrapper is before.wrapper

    async def test_rolls_a_transaction_back(self, server: Server) -> None:
        async def work() -> None:
            async with transaction.atomic():
                await Artist.objects.create(name="Nobody")
                await sleep()

        task = asyncio.create_task(work())
        await server.reaches(lambda: server.pids(ASLEEP))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await server.reaches(
            lambda: not server.pids("state <> 'idle'") and not server.pids(ASLEEP)
        )
        assert await Artist.objects.count() == 0

    async def test_many_timeouts_hit_the_right_queries(self, server: Server) -> None:
        """A late cancel must not hit the next client of the server connection."""

        async def work(number: int) -> None:
            for step in range(4):
                if number % 2:
                    assert await run(ask, "SELECT pg_sleep(0.005)::text") == ""
                else:
                    try:
                        async with asyncio.timeout(0.002 * step + 0.001):
                            await run(ask, "SELECT pg_sleep(0.006)::text")
                    except TimeoutError:
                        pass

        await asyncio.gather(*(work(number) for number in range(10)))
        assert pool_for("default").in_use == {}


class TestFailures:
    async def test_an_idle_server_connection_is_replaced_unseen(
        self, server: Server
    ) -> None:
        await Artist.objects.count()
        server.ask("SELECT pg_terminate_backend(%s, 5000)", await run(pid))
        assert await Artist.objects.count() == 0

    async def test_a_killed_query_is_an_operational_error(self, server: Server) -> None:
        task = asyncio.create_task(sleep())
        (victim,) = await server.reaches(lambda: server.pids(ASLEEP))
        server.ask("SELECT pg_terminate_backend(%s)", victim)
        with pytest.raises(OperationalError):
            await task
        assert await Artist.objects.count() == 0

    async def test_a_killed_transaction_is_rolled_back(self, server: Server) -> None:
        with pytest.raises(OperationalError):
            async with transaction.atomic():
                await Artist.objects.create(name="Nobody")
                server.ask("SELECT pg_terminate_backend(%s, 5000)", await run(pid))
                await Artist.objects.create(name="Nobody else")
        assert await Artist.objects.count() == 0

    async def test_the_pool_recovers_from_a_restart(self, bouncer: PgBouncer) -> None:
        counts = [Artist.objects.count() for _ in range(10)]
        assert await asyncio.gather(*counts) == [0] * 10
        bouncer.stop()
        with pytest.raises(OperationalError):
            await Artist.objects.count()
        bouncer.start()
        # None of the nine that lay in the pool meanwhile is lent again.
        for _ in range(10):
            assert await Artist.objects.count() == 0
