"""A read that loses its session is run again, once, where that is safe."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, call-overload, misc"

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connections
from django.db.models import Count, Func, Value

from tests.fix_db import only_postgresql
from tests.fix_kills import Killer, kill
from tests.records.models import Album, Artist
from vinyl.orm import connection, prefetch_related_objects, run, transaction
from vinyl.orm.pools.registry import pool_for
from vinyl.orm.recording import recording

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db"), only_postgresql]

LOST = "terminat|closed"


@pytest.fixture(autouse=True)
def nina(db: str) -> None:
    nina = Artist.objects.create(name="Nina")
    Album.objects.create(title="Pastel Blues", artist=nina)
    connections["default"].close()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the pool has logged."""
    return [each.message for each in caplog.records if each.name == "vinyl.pool"]


async def related() -> int:
    albums = await Album.objects.all()
    await prefetch_related_objects(albums, "artist")
    return len(albums)


async def lazy() -> int:
    album = await Album.objects.get()
    return len([await album.artist])


async def refreshed() -> int:
    [artist] = await Artist.objects.defer("name")
    await artist.refresh_from_db()
    return len([artist])


async def streamed() -> int:
    return len([row async for row in Artist.objects.iterator()])


async def iterated() -> int:
    return len([row async for row in Artist.objects.all()])


async def ids() -> int:
    return len(await Artist.objects.values_list("pk", flat=True))


async def in_bulk() -> int:
    return len(await Artist.objects.in_bulk())


async def aggregate() -> int:
    return (await Artist.objects.aggregate(n=Count("pk")))["n"]


async def from_a_run() -> int:
    return await run(lambda: len(list(Artist.objects.all())))


async def existing() -> int:
    return int(await Artist.objects.filter(name="Nina").exists())


async def first() -> int:
    return len([await Artist.objects.first()])


async def got() -> int:
    return len([await Artist.objects.get(name="Nina")])


READS: list[Callable[[], Awaitable[int]]] = [
    aggregate,
    existing,
    first,
    from_a_run,
    got,
    ids,
    in_bulk,
    iterated,
    lazy,
    refreshed,
    related,
    streamed,
]


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("runs_before", [0, 1, 2], ids=["first", "second", "planned"])
async def test_a_read_is_run_again(
    read: Callable[[], Awaitable[int]],
    runs_before: int,
    killer: Killer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for _ in range(runs_before):
        assert await read() == 1
    async with killer.killing():
        assert await read() == 1
    assert killer.kills == 1
    [message] = warnings(caplog)
    assert "'default' was lost in a query, which is run again" in message
    # Without the lines in which the server quotes the query.
    assert "\n" not in message
    pool = pool_for("default")
    assert pool.in_use == {}
    assert pool.stats()["discarded"] == 1


async def test_it_is_two_queries(killer: Killer) -> None:
    with recording(full=True) as record:
        async with killer.killing():
            assert await Artist.objects.count() == 1
    assert record.count == 2
    assert len({query.sql for query in record.queries}) == 1


async def test_execute_wrappers_see_both(killer: Killer) -> None:
    seen: list[str] = []

    def wrapper(execute: Any, sql: str, *args: Any) -> Any:
        seen.append(sql)
        return execute(sql, *args)

    with connection.execute_wrapper(wrapper):
        async with killer.killing():
            assert await Artist.objects.count() == 1
    assert len(seen) == 2


async def test_the_second_loss_is_an_error(killer: Killer) -> None:
    with pytest.raises(OperationalError, match=LOST):
        async with killer.killing(times=2):
            await Artist.objects.count()
    assert killer.kills == 2
    assert await Artist.objects.count() == 1


async def test_many_tasks(killer: Killer) -> None:
    async with killer.killing(times=5):
        assert (
            await asyncio.gather(*(Artist.objects.count() for _ in range(30)))
            == [1] * 30
        )
    assert pool_for("default").in_use == {}


async def test_a_timeout_ends_the_second_attempt(killer: Killer) -> None:
    started = asyncio.Event()

    async def read() -> None:
        with suppress(asyncio.CancelledError):
            await Artist.objects.count()
            raise AssertionError
        started.set()

    with psycopg.connect(killer.url) as locking:
        locking.execute("LOCK TABLE records_artist")
        task = asyncio.create_task(read())
        kill(killer.admin, await killer.waiting())
        await killer.waiting()
        task.cancel()
        await task
    assert started.is_set()
    pool = pool_for("default")
    assert pool.in_use == {}
    # The second session was cancelled in the server, and is as good as before.
    assert pool.stats()["idle"] == 1


async def in_a_transaction() -> None:
    async with transaction.atomic():
        await Artist.objects.count()


async def pinned() -> None:
    async with connection.pinned():
        await Artist.objects.count()


async def in_a_cursors_block() -> None:
    async with connection.cursor():
        await Artist.objects.count()


async def a_cursor() -> None:
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT count(*) FROM records_artist")


async def raw() -> None:
    await Artist.objects.raw("SELECT * FROM records_artist")


async def a_function_of_others() -> None:
    now = Func(Value("epoch"), function="age")
    await Artist.objects.annotate(age=now).values_list("age")


async def an_update() -> None:
    await Artist.objects.update(name="Simone")


async def an_insert() -> None:
    await Artist.objects.create(name="Abbey")


def after_raw_sql() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET search_path = public")
    list(Artist.objects.all())


def while_pinned() -> None:
    with connection.pinned():
        list(Artist.objects.all())


def in_a_sync_transaction() -> None:
    with transaction.atomic():
        list(Artist.objects.all())


def without_autocommit() -> None:
    transaction.set_autocommit(False)
    list(Artist.objects.all())


REFUSED: list[Any] = [
    a_cursor,
    a_function_of_others,
    after_raw_sql,
    an_insert,
    an_update,
    in_a_cursors_block,
    in_a_sync_transaction,
    in_a_transaction,
    pinned,
    raw,
    while_pinned,
    without_autocommit,
]


@pytest.mark.parametrize("use", REFUSED)
async def test_what_is_not_run_again(
    use: Any, killer: Killer, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(OperationalError, match=LOST):
        async with killer.killing():
            await (use() if asyncio.iscoroutinefunction(use) else run(use))
    assert not warnings(caplog)
    assert await Artist.objects.values_list("name", flat=True) == ["Nina"]
    assert pool_for("default").in_use == {}


async def test_raw_sql_of_an_earlier_run_does_not_count(killer: Killer) -> None:
    await a_cursor()
    async with killer.killing():
        assert await Artist.objects.count() == 1


async def test_never_after_the_first_row(admin: psycopg.Connection) -> None:
    await Artist.objects.bulk_create(Artist(name=f"{n:03}") for n in range(300))
    seen: list[int] = []
    with pytest.raises(OperationalError):
        async for artist in Artist.objects.iterator(chunk_size=10):
            if not seen:
                [pooled] = pool_for("default").in_use.values()
                kill(admin, pooled.wrapper.connection.info.backend_pid)
            seen.append(artist.pk)
    assert 0 < len(seen) < 300


async def test_a_short_stream_has_no_second_part(admin: psycopg.Connection) -> None:
    """Its only rows are there; no session is needed to find that there are no more."""

    def work() -> list[str]:
        rows = Artist.objects.values_list("name", flat=True).iterator()
        first = next(rows)
        kill(admin, connection.connection.info.backend_pid)
        return [first, *rows]

    assert await run(work) == ["Nina"]


@pytest.mark.parametrize("number", [0, 1, 9, 10, 11, 20, 21])
async def test_streams_of_any_length(number: int) -> None:
    await Artist.objects.bulk_create(Artist(name=f"{n:03}") for n in range(number))
    artists = Artist.objects.exclude(name="Nina")
    streamed = [row.pk async for row in artists.iterator(chunk_size=10)]
    assert streamed == await artists.values_list("pk", flat=True)
    assert len(streamed) == number


def use_again(admin: psycopg.Connection, use: Callable[[], Any]) -> Any:
    """In a run: have the session end while nothing uses it, and use it."""
    list(Artist.objects.all())
    kill(admin, connection.connection.info.backend_pid)
    return use()


def read_again() -> list[str]:
    return list(Artist.objects.values_list("name", flat=True))


def write_again() -> list[str]:
    Artist.objects.create(name="Abbey")
    return read_again()


def begin_again() -> list[str]:
    with transaction.atomic():
        Artist.objects.create(name="Abbey")
        with transaction.atomic():
            Artist.objects.filter(name="Nina").delete()
    return read_again()


@pytest.mark.parametrize(
    ("use", "names"),
    [
        (read_again, ["Nina"]),
        (write_again, ["Abbey", "Nina"]),
        (begin_again, ["Abbey"]),
    ],
)
async def test_a_session_that_ends_at_rest(
    use: Any,
    names: list[str],
    admin: psycopg.Connection,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is noticed before anything is sent, so that a write is safe as well."""
    with recording() as record:
        assert await run(use_again, admin, use) == names
    assert not warnings(caplog)
    assert record.count > 1
    assert pool_for("default").stats()["discarded"] == 1


@pytest.mark.parametrize("use", [read_again, write_again, begin_again])
async def test_a_pinned_session_that_ends_at_rest(
    use: Any, admin: psycopg.Connection
) -> None:
    def work() -> None:
        with connection.pinned():
            use_again(admin, use)

    with pytest.raises(OperationalError, match=LOST):
        await run(work)
    assert await Artist.objects.values_list("name", flat=True) == ["Nina"]


async def test_an_idle_session_that_gets_a_message_is_kept(
    admin: psycopg.Connection,
) -> None:
    """A message is not the end of the session."""

    def work() -> bool:
        list(Artist.objects.all())
        session = connection.connection
        session.execute("LISTEN albums")
        admin.execute("NOTIFY albums")
        while not session.has_input():
            pass
        list(Artist.objects.all())
        return connection.connection is session

    assert await run(work)


def test_a_thread_keeps_its_connection_as_in_django(admin: psycopg.Connection) -> None:
    list(Artist.objects.all())
    kill(admin, connections["default"].connection.info.backend_pid)
    try:
        with pytest.raises(OperationalError, match=LOST):
            list(Artist.objects.all())
    finally:
        connections["default"].close()
