"""Killed backends, a server that is full, a network that is cut or silent."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, call-overload, misc"

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, suppress
from contextvars import Context

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError, OperationalError, connections

from tests.fix_db import default_at, only_postgresql
from tests.fix_kills import kill
from tests.proxy import Proxy, proxy
from tests.records.models import Artist
from vinyl.bridge.cancellation import Shield
from vinyl.orm import connection, run, transaction
from vinyl.orm.backends import psycopg_waiting
from vinyl.orm.pools import pool
from vinyl.orm.pools.registry import close_pools, pool_for

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.usefixtures("db"),
    only_postgresql,
]


@pytest.fixture(autouse=True)
def nothing_left(admin: psycopg.Connection, db: str) -> Iterator[None]:
    """Ends what the server goes on with where it cannot know that nobody listens."""
    yield
    connections["default"].close()
    admin.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'"
    )


async def names() -> list[str]:
    return await Artist.objects.order_by("pk").values_list("name", flat=True)


async def session_id() -> int:
    """Of the session in which this block's queries run."""
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT pg_backend_pid()")
        return (await cursor.fetchone())[0]


async def sleep(seconds: float) -> None:
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT pg_sleep(%s)", [seconds])


def sound(lost: int | None = None) -> None:
    """
    Check that nothing is on loan, that what rests is sound, and that *lost* connections
    have been thrown away.
    """
    found = pool_for("default")
    assert found.in_use == {}
    assert all(p.wrapper.is_reusable() and p.wrapper.is_alive() for p in found.idle)
    assert lost is None or found.stats()["discarded"] == lost


class TestAKilledBackend:
    async def test_in_a_query(self, admin: psycopg.Connection) -> None:
        async def sleeper() -> int:
            async with connection.pinned():
                started.set_result(await session_id())
                await sleep(60)
            return 0

        started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(sleeper())
        pid = await started
        kill(admin, pid)
        with pytest.raises(OperationalError, match="terminat|closed"):
            await task
        assert await names() == []
        sound(lost=1)

    async def test_in_a_transaction(self, admin: psycopg.Connection) -> None:
        with pytest.raises(OperationalError, match="terminat|closed"):
            async with transaction.atomic():
                await Artist.objects.create(name="lost")
                kill(admin, await session_id())
                await Artist.objects.create(name="never")
        assert await names() == []
        async with transaction.atomic():
            await Artist.objects.create(name="kept")
        assert await names() == ["kept"]
        sound()

    async def test_before_the_commit(self, admin: psycopg.Connection) -> None:
        """A commit that did not happen is not taken for one."""
        called: list[int] = []
        with pytest.raises(OperationalError, match="terminat|closed"):
            async with transaction.atomic():
                await Artist.objects.create(name="lost")
                transaction.on_commit(lambda: called.append(1))
                kill(admin, await session_id())
        assert await names() == []
        assert called == []
        sound()

    async def test_where_the_error_is_caught_inside(
        self, admin: psycopg.Connection
    ) -> None:
        """What follows is refused; it does not run in another session."""
        with pytest.raises(DatabaseError):
            async with transaction.atomic():
                kill(admin, await session_id())
                with suppress(DatabaseError):
                    await Artist.objects.create(name="lost")
                with pytest.raises(transaction.TransactionManagementError):
                    await Artist.objects.create(name="never")
                raise DatabaseError
        assert await names() == []
        sound()

    async def test_in_a_nested_block(self, admin: psycopg.Connection) -> None:
        with pytest.raises(OperationalError):
            async with transaction.atomic():
                await Artist.objects.create(name="lost")
                async with transaction.atomic():
                    kill(admin, await session_id())
                    await Artist.objects.create(name="never")
        assert await names() == []
        sound()

    async def test_in_a_stream(self, admin: psycopg.Connection) -> None:
        await Artist.objects.bulk_create(Artist(name=f"{n:03}") for n in range(300))
        seen = 0
        with pytest.raises(OperationalError):
            async for _ in Artist.objects.iterator(chunk_size=10):
                if seen == 0:
                    [pooled] = pool_for("default").in_use.values()
                    info = pooled.wrapper.connection.info
                    kill(admin, info.backend_pid)
                seen += 1
        assert seen < 300
        assert len(await names()) == 300
        sound(lost=1)

    async def test_in_sync_code_in_the_bridge(self, admin: psycopg.Connection) -> None:
        def work() -> None:
            with transaction.atomic():
                Artist.objects.create(name="lost")
                kill(admin, connection.connection.info.backend_pid)
                Artist.objects.create(name="never")

        with pytest.raises(OperationalError):
            await run(work)
        assert await names() == []
        sound()


class TestTimeoutsOfTheServer:
    @pytest.fixture(autouse=True)
    def with_timeout(self, db: str, request: pytest.FixtureRequest) -> Iterator[None]:
        [mark] = request.node.iter_markers("server_options")
        with default_at(OPTIONS={"options": mark.args[0]}):
            yield

    @pytest.mark.server_options("-c statement_timeout=50")
    async def test_of_a_statement(self) -> None:
        with pytest.raises(OperationalError, match="statement timeout"):
            await sleep(60)
        assert await names() == []
        # The session is as good as before.
        sound(lost=0)

    @pytest.mark.server_options("-c statement_timeout=50")
    async def test_of_a_statement_in_a_transaction(self) -> None:
        async with transaction.atomic():
            await Artist.objects.create(name="kept")
            with pytest.raises(OperationalError):
                async with transaction.atomic():
                    await sleep(60)
        assert await names() == ["kept"]
        sound(lost=0)

    @pytest.mark.server_options("-c lock_timeout=50")
    async def test_of_a_lock(self) -> None:
        await Artist.objects.create(name="Nina")
        async with transaction.atomic():
            await Artist.objects.select_for_update().get()

            async def update() -> int:
                return await Artist.objects.update(name="Abbey")

            # In a context of its own, so in nobody's transaction.
            task = asyncio.get_running_loop().create_task(update(), context=Context())
            with pytest.raises(OperationalError, match="lock timeout"):
                await task
        assert await names() == ["Nina"]
        sound(lost=0)

    @pytest.mark.server_options("-c idle_in_transaction_session_timeout=50")
    async def test_of_a_transaction_that_idles(self, admin: psycopg.Connection) -> None:
        with pytest.raises(OperationalError, match="idle-in-transaction|closed"):
            async with transaction.atomic():
                await Artist.objects.create(name="lost")
                pid = await session_id()
                gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = %s)"
                while admin.execute(gone, [pid]).fetchone() != (True,):
                    await asyncio.sleep(0.01)
                await Artist.objects.create(name="never")
        assert await names() == []
        sound()


class TestAFullServer:
    @pytest.fixture
    def limited(self, admin: psycopg.Connection) -> Iterator[None]:
        """The default database, as a role that may have two sessions."""
        admin.execute("CREATE ROLE limited LOGIN CONNECTION LIMIT 2")
        admin.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO limited")
        try:
            with default_at(USER="limited", PASSWORD=""):
                yield
        finally:
            admin.execute("DROP OWNED BY limited")
            admin.execute("DROP ROLE limited")

    async def test_refuses_at_once_with_its_own_words(self, limited: None) -> None:
        done = asyncio.Event()

        async def hold() -> None:
            async with transaction.atomic():
                await Artist.objects.count()
                await done.wait()

        holders = [asyncio.create_task(hold()) for _ in range(2)]
        while (
            sum(p.wrapper.has_connected for p in pool_for("default").in_use.values())
            < 2
        ):
            await asyncio.sleep(0.01)
        with pytest.raises(OperationalError, match="too many connections") as caught:
            await Artist.objects.count()
        assert isinstance(caught.value.__cause__, psycopg.OperationalError)
        done.set()
        await asyncio.gather(*holders)
        assert await names() == []
        sound(lost=0)
        await close_pools()


class TestTheNetwork:
    @pytest.fixture
    async def network(
        self, postgres_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[Proxy]:
        monkeypatch.setattr(psycopg_waiting, "CANCEL_TIMEOUT", 0.2)
        monkeypatch.setattr(pool, "CHECK_TIMEOUT", 0.2)
        async with proxy(postgres_url) as network:
            with default_at(HOST="127.0.0.1", PORT=str(network.port)):
                yield network
                network.thaw()
                await close_pools()

    async def test_serves(self, network: Proxy) -> None:
        await asyncio.gather(*(Artist.objects.create(name=f"{n}") for n in range(20)))
        assert len(await names()) == 20

    async def test_cut_in_a_query(
        self, network: Proxy, admin: psycopg.Connection
    ) -> None:
        tasks = [asyncio.create_task(sleep(60)) for _ in range(3)]
        asleep = (
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'"
        )
        while admin.execute(asleep).fetchone() != (3,):
            await asyncio.sleep(0.01)
        network.cut()
        for task in tasks:
            with pytest.raises(OperationalError):
                await task
        assert await names() == []
        sound(lost=3)

    async def test_cut_at_rest(self, network: Proxy) -> None:
        await asyncio.gather(*(sleep(0.05) for _ in range(3)))
        network.cut()
        while any(p.wrapper.is_alive() for p in pool_for("default").idle):
            await asyncio.sleep(0.01)
        assert await names() == []
        sound(lost=3)

    async def test_cut_in_a_transaction(self, network: Proxy) -> None:
        with pytest.raises(OperationalError):
            async with transaction.atomic():
                await Artist.objects.create(name="lost")
                network.cut()
                await Artist.objects.create(name="never")
        assert await names() == []
        sound()

    async def test_frozen_in_a_query_a_timeout_still_ends_it(
        self, network: Proxy
    ) -> None:
        await names()
        network.freeze()
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await names()
        assert time.monotonic() - start < 30
        # In an unknown state, so it was thrown away.
        sound(lost=1)
        network.thaw()
        assert await names() == []

    async def test_frozen_in_a_commit_a_timeout_still_ends_it(
        self, network: Proxy
    ) -> None:
        start = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                async with transaction.atomic():
                    await Artist.objects.create(name="perhaps")
                    network.freeze()
        assert time.monotonic() - start < 30
        sound(lost=1)
        network.thaw()

    @pytest.mark.parametrize("place", ["loop", "nested", "bridge", "thread"])
    async def test_frozen_in_a_block_a_timeout_still_ends_it(
        self, network: Proxy, place: str
    ) -> None:
        """The block does not wait for another connection to end with."""

        def count() -> int:
            Artist.objects.count()
            network.freeze()
            return Artist.objects.count()

        def in_sync_block() -> int:
            with transaction.atomic():
                return count()

        async def in_block() -> None:
            if place == "bridge":
                await run(in_sync_block)
            elif place == "thread":
                async with connection.pinned():
                    await sync_to_async(in_sync_block)()
            else:
                async with transaction.atomic():
                    await run(in_sync_block if place == "nested" else count)

        start = time.monotonic()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await in_block()
        assert time.monotonic() - start < 30
        sound()
        network.thaw()
        assert await names() == []

    @pytest.mark.parametrize("savepoint", [True, False], ids=["savepoint", "whole"])
    async def test_a_rollback_is_not_cancelled_in_the_server(
        self, network: Proxy, savepoint: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """
        A ROLLBACK that the server cancels leaves the transaction open, which costs the
        connection, or the transaction around a savepoint.
        """
        monkeypatch.setattr(psycopg_waiting, "CANCEL_TIMEOUT", 30)
        undoing, began = Shield.undoing, asyncio.Event()

        def begin(self: Shield) -> AbstractContextManager[None]:
            began.set()
            return undoing(self)

        monkeypatch.setattr(Shield, "undoing", begin)

        async def undo() -> None:
            async with transaction.atomic():
                await Artist.objects.create(name="undone")
                network.freeze()
                raise LookupError

        async def work() -> None:
            if not savepoint:
                await undo()
            async with transaction.atomic():
                await Artist.objects.create(name="before")
                with suppress(asyncio.CancelledError):
                    await undo()
                await Artist.objects.create(name="after")

        task = asyncio.create_task(work())
        await began.wait()
        sessions = len(network.writers)
        task.cancel()
        # A cancel request would be a session of its own.
        for _ in range(200):
            await asyncio.sleep(0)
        assert len(network.writers) == sessions
        network.thaw()
        [outcome] = await asyncio.gather(task, return_exceptions=True)
        assert savepoint == (outcome is None)
        assert await names() == (["before", "after"] if savepoint else [])
        sound(lost=0)

    async def test_frozen_at_rest_is_found_out_once(
        self, network: Proxy, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        connections.settings["default"]["OPTIONS"]["pool"] = {"check_idle": 0}
        connections.settings["default"]["OPTIONS"]["connect_timeout"] = 2
        await asyncio.gather(*(sleep(0.05) for _ in range(3)))
        assert pool_for("default").stats()["idle"] == 3
        network.freeze()
        task = asyncio.create_task(names())
        while pool_for("default").stats()["discarded"] < 3:
            await asyncio.sleep(0.01)
        network.thaw()
        assert await task == []

    async def test_frozen_while_connecting(self, network: Proxy) -> None:
        connections.settings["default"]["OPTIONS"]["connect_timeout"] = 2
        network.freeze()
        with pytest.raises(OperationalError, match="timeout"):
            await names()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await names()
        network.thaw()
        assert await names() == []
        sound(lost=0)
