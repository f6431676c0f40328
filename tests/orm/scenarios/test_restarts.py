"""A server that restarts or is away: reads go on, and connects wait for it."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import OperationalError, connections
from django.db.backends.signals import connection_created

from tests.fix_db import default_at, only_postgresql
from tests.postgres import own_server
from tests.proxy import Proxy
from tests.records.models import Artist
from tests.settings import database
from vinyl.exceptions import PoolTimeout
from vinyl.orm import run, transaction
from vinyl.orm.pools.registry import close_pools, pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db"), only_postgresql]


@pytest.fixture(scope="module")
def running() -> Iterator[Any]:
    """A PostgreSQL that this module may stop and start."""
    with own_server() as server:
        yield server


@pytest.fixture
async def server(db: str, running: Any) -> AsyncIterator[Any]:
    """That server as the default database, empty and running."""
    running.start()
    with default_at(**database(running.get_uri())):
        await asyncio.to_thread(migrate)
        await Artist.objects.all().delete()
        await close_pools()
        yield running
        await close_pools()


def migrate() -> None:
    call_command("migrate", verbosity=0)
    connections["default"].close()


@pytest.fixture
def options(server: Any) -> dict[str, Any]:
    """The options of the pool, to be set before its first use."""
    found: dict[str, Any] = {}
    connections.settings["default"]["OPTIONS"]["pool"] = found
    return found


def process_of(server: Any) -> int:
    return int(Path(server.pgdata, "postmaster.pid").read_text().split()[0])


async def count() -> int:
    found: int = await Artist.objects.count()
    return found


async def until_a_connect_waits(task: asyncio.Task[Any]) -> None:
    """Wait until *task* does; if it has ended, its error is raised."""
    while pool_for("default").outage.latest == -math.inf:
        if task.done():
            pytest.fail(f"It gave {task.result()} without a connect.")
        await asyncio.sleep(0.005)


async def test_transactions_fail_and_nothing_acknowledged_is_lost(server: Any) -> None:
    acknowledged: list[str] = []
    errors: list[Exception] = []
    begun, ended, restarted = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        """A transaction that is open when the server stops, whatever the others do."""
        try:
            async with transaction.atomic():
                await Artist.objects.create(name="held")
                begun.set()
                await restarted.wait()
            acknowledged.append("held")
        except Exception as error:
            errors.append(error)

    async def work(worker: int) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            name = f"{worker} {number}"
            try:
                async with transaction.atomic():
                    await Artist.objects.create(name=name)
                    await Artist.objects.filter(name=name).aupdate(name=name)
                acknowledged.append(name)
            except Exception as error:
                errors.append(error)
                await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        group.create_task(hold())
        await begun.wait()
        for worker in range(20):
            group.create_task(work(worker))
        while len(acknowledged) < 100:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.start)
        restarted.set()
        before = len(acknowledged)
        while len(acknowledged) < before + 100:
            await asyncio.sleep(0.01)
        ended.set()

    assert "held" not in acknowledged
    assert {type(error) for error in errors} == {OperationalError}
    assert set(acknowledged) <= set(await Artist.objects.values_list("name", flat=True))
    assert pool_for("default").in_use == {}


async def test_reads_go_on_without_an_error(server: Any) -> None:
    await Artist.objects.create(name="Nina")
    done = 0
    ended = asyncio.Event()

    async def read() -> None:
        nonlocal done
        while not ended.is_set():
            assert await count() == 1
            assert await run(lambda: [list(Artist.objects.all()) for _ in range(3)])
            done += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(read())
        for _ in range(2):
            before = done
            while done < before + 100:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
        before = done
        while done < before + 100:
            await asyncio.sleep(0.01)
        ended.set()
    assert pool_for("default").in_use == {}


async def test_when_the_time_is_over_all_fail_at_once(
    server: Any, options: dict[str, Any]
) -> None:
    options["reconnect_timeout"] = 0.3
    await asyncio.to_thread(server.stop)
    outcomes = await asyncio.gather(
        *(count() for _ in range(30)), return_exceptions=True
    )
    assert {type(outcome) for outcome in outcomes} == {OperationalError}
    outage = pool_for("default").outage
    assert outage.time_left() <= 0
    began = outage.began
    with pytest.raises(OperationalError, match="connection to server"):
        await count()
    # It did not wait for another 0.3 s.
    assert outage.began == began
    await asyncio.to_thread(server.start)
    assert await count() == 0
    assert outage.began == -math.inf


async def test_zero_does_not_wait(server: Any, options: dict[str, Any]) -> None:
    options["reconnect_timeout"] = 0
    await asyncio.to_thread(server.stop)
    with pytest.raises(OperationalError, match="connection to server"):
        await count()


async def test_a_cancelled_task_stops_waiting(server: Any) -> None:
    await asyncio.to_thread(server.stop)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await count()
    assert pool_for("default").in_use == {}
    await asyncio.to_thread(server.start)
    assert await count() == 0


async def test_tasks_that_wait_for_the_pool_get_its_timeout(
    server: Any, options: dict[str, Any]
) -> None:
    options |= {"max_size": 1, "timeout": 0.5}
    await count()
    with closing(psycopg.connect(server.get_uri())) as locking:
        locking.execute("LOCK TABLE records_artist")
        reading = asyncio.create_task(count())
        await asyncio.sleep(0)
        # Ends both sessions at once; otherwise the read could get the lock in between.
        os.kill(process_of(server), signal.SIGQUIT)
        await asyncio.to_thread(server.stop)
    # It has its connection, and connects again.
    await until_a_connect_waits(reading)
    with pytest.raises(PoolTimeout):
        await count()
    await asyncio.to_thread(server.start)
    assert await reading == 0


async def test_a_connect_waits_no_longer_than_the_pool_may(
    server: Any, options: dict[str, Any]
) -> None:
    options |= {"timeout": 0.2, "reconnect_timeout": 300}
    await asyncio.to_thread(server.stop)
    with pytest.raises(OperationalError, match="connection to server"):
        await count()


async def test_a_server_that_is_shutting_down(server: Any) -> None:
    """It refuses new sessions with `cannot_connect_now`, and ends after the last."""
    pid = process_of(server)
    with psycopg.connect(server.get_uri()) as last:
        os.kill(pid, signal.SIGTERM)
        while True:
            try:
                psycopg.connect(server.get_uri()).close()
            except psycopg.OperationalError as error:
                assert "the database system is shutting down" in str(error)
                break
        reading = asyncio.create_task(count())
        await until_a_connect_waits(reading)
        last.close()
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    assert await reading == 0


@pytest.mark.parametrize("family", ["tcp", "unix"])
async def test_a_server_that_does_not_listen_yet(
    family: str, postgres_url: str, tmp_path: Path
) -> None:
    network = Proxy(postgres_url)
    if family == "unix":
        settings = {"HOST": str(tmp_path), "PORT": "5432"}
    else:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            settings = {"HOST": "127.0.0.1", "PORT": str(free.getsockname()[1])}
    with default_at(**settings):
        reading = asyncio.create_task(count())
        await until_a_connect_waits(reading)
        listening = await (
            asyncio.start_unix_server(network.serve, tmp_path / ".s.PGSQL.5432")
            if family == "unix"
            else asyncio.start_server(network.serve, *settings.values())
        )
        assert await reading == 0
        await close_pools()
        listening.close()
        while network.writers:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"NAME": "nothing"}, "does not exist"),
        ({"USER": "nobody", "PASSWORD": "x"}, "does not exist"),
        ({"HOST": "/nowhere/at/all", "OPTIONS": {"sslmode": "x"}}, "sslmode"),
    ],
    ids=["database", "user", "options"],
)
async def test_permanent_errors_fail_at_once(
    changed: dict[str, Any], message: str
) -> None:
    with default_at(**changed):
        with pytest.raises(OperationalError, match=message):
            await count()
        assert pool_for("default").outage.latest == -math.inf
        await close_pools()


async def test_a_session_that_is_killed_while_it_connects(
    admin: psycopg.Connection,
) -> None:
    """What Django sends for a new session finds it gone; another one is opened."""
    killed: list[int] = []

    def kill(connection: Any, **kwargs: Any) -> None:
        if not killed:
            killed.append(pid := connection.connection.info.backend_pid)
            admin.execute("SELECT pg_terminate_backend(%s, 10000)", [pid])
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")

    connection_created.connect(kill)
    try:
        assert await count() == 0
    finally:
        connection_created.disconnect(kill)
    assert len(killed) == 1
