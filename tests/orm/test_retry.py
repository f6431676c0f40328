"""retry_on_conflict: real conflicts in every mode, and what is not tried again."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

import psycopg.errors
import pytest
from asgiref.sync import iscoroutinefunction
from django.db import IntegrityError, OperationalError

from tests.fix_db import default_database, only_postgresql, only_sqlite
from tests.records.models import Artist
from tests.settings import SQLITE_URL, database
from vinyl.bridge.flows import drive_async, use_driver
from vinyl.exceptions import PoolTimeout
from vinyl.orm import connection, in_bridge, retry, run, transaction

pytestmark = [pytest.mark.anyio]

Flow = Callable[..., Generator[Any, Any, Any]]


def serialization_failure() -> OperationalError:
    """An error as Django raises it when PostgreSQL tells of a conflict."""
    error = OperationalError("could not serialize access")
    error.__cause__ = psycopg.errors.SerializationFailure()
    return error


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The longest that each pause may have been, in seconds; none is waited for."""
    limits: list[float] = []

    def uniform(low: float, high: float) -> float:
        limits.append(high)
        return low

    monkeypatch.setattr(retry.random, "uniform", uniform)
    return limits


class Mode:
    """How a test calls what is decorated."""

    def __init__(self, name: str) -> None:
        self.name = name

    def decorated(self, flow: Flow, **arguments: Any) -> Callable[..., Any]:
        """*flow* as a function of the mode's kind, with both decorators."""
        retry = transaction.retry_on_conflict(**arguments)
        if self.name != "async def":
            return retry(transaction.atomic(use_driver(flow)))

        @retry
        @transaction.atomic
        async def native(*args: Any) -> Any:
            return await drive_async(flow(*args))

        return native

    async def call(self, fn: Callable[..., Any], *args: Any) -> Any:
        if self.name == "thread":
            return await asyncio.to_thread(_closing_connection, fn, *args)
        if self.name == "bridge":
            return await run(fn, *args)
        return await fn(*args)

    def meeting(self) -> Callable[..., Any]:
        """A function that two callers call, and that returns when both have."""
        if self.name == "thread":
            return threading.Barrier(2, timeout=60).wait
        return asyncio.Barrier(2).wait


def _closing_connection(fn: Callable[..., Any], *args: Any) -> Any:
    try:
        return fn(*args)
    finally:
        connection.close()


@pytest.fixture(params=["async def", "plain", "bridge", "thread"])
def mode(request: pytest.FixtureRequest) -> Mode:
    return Mode(request.param)


@use_driver
def execute(sql: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql)


async def names() -> list[str]:
    return await Artist.objects.values_list("name", flat=True)


@pytest.fixture
def serializable(postgres_url: str, db: str) -> Iterator[None]:
    """PostgreSQL as default database, with SERIALIZABLE in its OPTIONS."""
    settings: Any = database(postgres_url)
    settings["OPTIONS"] |= {"isolation_level": psycopg.IsolationLevel.SERIALIZABLE}
    with default_database(settings):
        yield


@only_postgresql
class TestPostgreSQL:
    async def test_a_serialization_failure_at_the_commit(
        self, db: str, mode: Mode, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "vinyl.orm")
        meet, tried, written = mode.meeting(), [], []

        def count_and_create(name: str) -> Generator[Any, Any, int]:
            yield execute, ("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE",)
            number = yield Artist.objects.count, ()
            tried.append(name)
            if tried.count(name) == 1:
                yield meet, ()
            yield Artist.objects.create, (), {"name": f"number {number}"[:8] + name}
            written.append(f"{name} as {number}")
            if tried.count(name) == 1:
                yield meet, ()
            return number

        fn = mode.decorated(count_and_create)
        numbers = await asyncio.gather(mode.call(fn, "a"), mode.call(fn, "b"))
        assert sorted(numbers) == [0, 1]
        # Both wrote before either's commit, which is where the one failed. That of the
        # other may still be under way when the next attempt begins, and fails.
        assert sorted(written[:2]) == ["a as 0", "b as 0"]
        assert len(tried) >= 3
        assert written[-1].endswith("as 1")
        records = [one for one in caplog.records if one.name == "vinyl.orm"]
        assert len(records) == len(tried) - 2
        assert records[0].levelno == logging.INFO
        assert "Attempt 1 of 3 at" in records[0].getMessage()

    async def test_a_deadlock(self, db: str, mode: Mode) -> None:
        await Artist.objects.bulk_create([Artist(name="a"), Artist(name="b")])
        meet, tried = mode.meeting(), []

        def rename_both(first: str, second: str) -> Generator[Any, Any, None]:
            tried.append(first)
            yield execute, ("SET LOCAL deadlock_timeout = '20ms'",)
            rows = Artist.objects.filter(name__startswith=first)
            yield rows.update, (), {"name": f"{first}{first}{len(tried)}"}
            if tried.count(first) == 1:
                yield meet, ()
            rows = Artist.objects.filter(name__startswith=second)
            yield rows.update, (), {"name": f"{second}{first}{len(tried)}"}

        fn = mode.decorated(rename_both)
        await asyncio.gather(mode.call(fn, "a", "b"), mode.call(fn, "b", "a"))
        assert len(tried) == 3
        # Both names are of the one that came second: whole, after the other.
        assert {name[1] for name in await names()} == {tried[-1]}

    async def test_with_the_isolation_level_of_the_options(
        self, serializable: None
    ) -> None:
        tried: list[str] = []
        barrier = asyncio.Barrier(2)

        @transaction.retry_on_conflict
        @transaction.atomic
        async def count_and_create(name: str) -> None:
            number = await Artist.objects.count()
            tried.append(name)
            if tried.count(name) == 1:
                await barrier.wait()
            await Artist.objects.create(name=str(number))

        await asyncio.gather(count_and_create("a"), count_and_create("b"))
        assert await names() == ["0", "1"]
        assert len(tried) == 3

    async def test_many_at_once_lose_nothing(self, db: str) -> None:
        await Artist.objects.create(name="0")

        @transaction.retry_on_conflict(attempts=100)
        @transaction.atomic
        async def increment() -> None:
            await execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            artist = await Artist.objects.get()
            artist.name = str(int(artist.name) + 1)
            await artist.save()

        await asyncio.gather(*(increment() for _ in range(8)))
        assert await names() == ["8"]


@pytest.fixture
def other(db: str) -> Iterator[sqlite3.Connection]:
    """Another program's connection to the SQLite file, in autocommit."""
    path = database(SQLITE_URL)["NAME"]
    opened = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with closing(opened):
        yield opened


@pytest.fixture
def impatient(request: pytest.FixtureRequest, other: Any) -> Iterator[None]:
    """SQLite as default database that does not wait for locks."""
    settings: Any = database(SQLITE_URL)
    settings["OPTIONS"] |= {"timeout": 0, "transaction_mode": request.param}
    with default_database(settings):
        yield


@only_sqlite
class TestSQLite:
    @pytest.mark.parametrize("impatient", ["IMMEDIATE"], indirect=True)
    async def test_a_locked_database(
        self,
        impatient: None,
        other: sqlite3.Connection,
        mode: Mode,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def unlocked(low: float, high: float) -> float:
            other.execute("ROLLBACK")
            return 0

        monkeypatch.setattr(retry.random, "uniform", unlocked)

        def create(name: str) -> Generator[Any, Any, None]:
            yield Artist.objects.create, (), {"name": name}

        other.execute("BEGIN IMMEDIATE")
        await mode.call(mode.decorated(create, attempts=2), "Nina")
        assert await names() == ["Nina"]

    @pytest.mark.parametrize("impatient", ["DEFERRED"], indirect=True)
    async def test_a_snapshot_that_is_out_of_date(
        self, impatient: None, other: sqlite3.Connection, mode: Mode
    ) -> None:
        tried = []

        def create(name: str) -> Generator[Any, Any, None]:
            number = yield Artist.objects.count, ()
            tried.append(number)
            if number == 0:
                other.execute("INSERT INTO records_artist (name) VALUES ('other')")
            yield Artist.objects.create, (), {"name": name}

        await mode.call(mode.decorated(create), "Nina")
        assert await names() == ["Nina", "other"]
        assert tried == [0, 1]

    @pytest.mark.parametrize("impatient", ["IMMEDIATE"], indirect=True)
    async def test_the_last_error_is_raised_as_it_is(
        self, impatient: None, other: sqlite3.Connection, mode: Mode, pauses: list[Any]
    ) -> None:
        def create() -> Generator[Any, Any, None]:
            yield Artist.objects.create, (), {"name": "Nina"}

        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="database is locked") as caught:
            await mode.call(mode.decorated(create, attempts=4), *())
        assert caught.value.__notes__ == ["retry_on_conflict() made 4 attempts."]
        assert pauses == [0.01, 0.02, 0.04]
        other.execute("ROLLBACK")
        assert await names() == []


@pytest.mark.usefixtures("db")
class TestAroundIt:
    """A transaction that is open around the call: one attempt, and a note."""

    async def test_async_with(self, mode: Mode, pauses: list[Any]) -> None:
        tried = []

        def conflicting() -> Generator[Any, Any, None]:
            tried.append(1)
            yield Artist.objects.count, ()
            raise serialization_failure()

        fn = mode.decorated(conflicting)

        if mode.name == "thread":

            def around() -> None:
                with transaction.atomic():
                    fn()

            call = mode.call(around)
        else:

            async def native() -> None:
                async with transaction.atomic():
                    await mode.call(fn)

            call = native()
        with pytest.raises(OperationalError) as caught:
            await call
        assert len(tried) == 1
        [note] = caught.value.__notes__
        assert "did not try again: a transaction on database 'default'" in note
        assert pauses == []

    async def test_with_in_the_bridge(self) -> None:
        tried = []

        @transaction.retry_on_conflict
        def conflicting() -> None:
            tried.append(in_bridge())
            raise serialization_failure()

        def around() -> None:
            with transaction.atomic():
                conflicting()

        with pytest.raises(OperationalError, match="could not serialize"):
            await run(around)
        assert tried == [True]

    async def test_the_decorators_in_the_wrong_order(self) -> None:
        tried = []

        @transaction.atomic
        @transaction.retry_on_conflict
        async def wrong() -> None:
            tried.append(1)
            raise serialization_failure()

        with pytest.raises(OperationalError) as caught:
            await wrong()
        assert len(tried) == 1
        assert "with retry_on_conflict above atomic" in caught.value.__notes__[0]

    async def test_in_a_child_task_of_the_block(self) -> None:
        tried = []

        @transaction.retry_on_conflict
        async def conflicting() -> None:
            tried.append(1)
            raise serialization_failure()

        async with transaction.atomic():
            results = await asyncio.gather(conflicting(), return_exceptions=True)
        assert isinstance(results[0], OperationalError)
        assert len(tried) == 1

    async def test_a_transaction_by_hand(self, pauses: list[Any]) -> None:
        tried = []

        @transaction.retry_on_conflict
        def conflicting() -> None:
            tried.append(1)
            raise serialization_failure()

        async with connection.pinned():
            await connection.set_autocommit(False)
            with pytest.raises(OperationalError):
                await conflicting()
            await connection.rollback()
            await connection.set_autocommit(True)
            assert len(tried) == 1
            # A connection that is held without a transaction is in nobody's way.
            with pytest.raises(OperationalError):
                await conflicting()
        assert len(tried) == 4

    async def test_one_of_another_database_does_not_count(
        self, pauses: list[Any]
    ) -> None:
        tried = []

        @transaction.retry_on_conflict(using="elsewhere")
        async def conflicting() -> None:
            tried.append(1)
            raise serialization_failure()

        async with transaction.atomic():
            with pytest.raises(OperationalError):
                await conflicting()
        assert len(tried) == 3


@pytest.mark.usefixtures("db")
class TestAfterTheCommit:
    """A conflict in a hook of on_commit(): nothing is done twice."""

    async def test_the_function_is_not_called_again(
        self, mode: Mode, pauses: list[Any]
    ) -> None:
        def conflicting() -> None:
            raise serialization_failure()

        def create() -> Generator[Any, Any, None]:
            yield Artist.objects.create, (), {"name": "Nina"}
            transaction.on_commit(conflicting)

        with pytest.raises(OperationalError) as caught:
            await mode.call(mode.decorated(create))
        assert await names() == ["Nina"]
        assert "after the commit" in caught.value.__notes__[0]
        assert pauses == []

    async def test_the_hook_may_be_called_again(
        self, mode: Mode, pauses: list[Any]
    ) -> None:
        called = []

        @transaction.retry_on_conflict
        def conflicting_once() -> None:
            called.append(1)
            if len(called) == 1:
                raise serialization_failure()

        def create() -> Generator[Any, Any, None]:
            yield Artist.objects.create, (), {"name": "Nina"}
            transaction.on_commit(conflicting_once)

        await mode.call(mode.decorated(create))
        assert len(called) == 2
        assert await names() == ["Nina"]


class TestWhatIsTriedAgain:
    @pytest.mark.parametrize(
        ("cause", "is_one"),
        [
            (psycopg.errors.SerializationFailure(), True),
            (psycopg.errors.DeadlockDetected(), True),
            (psycopg.errors.LockNotAvailable(), False),
            (psycopg.errors.AdminShutdown(), False),
            (sqlite3.SQLITE_BUSY, True),
            (sqlite3.SQLITE_BUSY_SNAPSHOT, True),
            (sqlite3.SQLITE_BUSY_RECOVERY, True),
            (sqlite3.SQLITE_LOCKED, False),
            (sqlite3.SQLITE_IOERR, False),
            (None, False),
        ],
        ids=repr,
    )
    def test_is_told_by_the_drivers_code(self, cause: Any, is_one: bool) -> None:
        error = OperationalError("database is locked")
        if isinstance(cause, int):
            error.__cause__ = sqlite3.OperationalError("database is locked")
            error.__cause__.sqlite_errorcode = cause
        else:
            error.__cause__ = cause
        assert retry.is_conflict(error) is is_one

    def test_only_errors_of_django(self) -> None:
        error = ValueError()
        error.__cause__ = serialization_failure()
        assert not retry.is_conflict(error)
        assert not retry.is_conflict(psycopg.errors.SerializationFailure())

    @pytest.mark.parametrize(
        "error",
        [IntegrityError(), ValueError(), PoolTimeout("default", 1, 1, 0)],
        ids=repr,
    )
    async def test_other_errors_leave_at_once(
        self, error: Exception, pauses: list[Any]
    ) -> None:
        tried = []

        @transaction.retry_on_conflict
        async def failing() -> None:
            tried.append(1)
            raise error

        with pytest.raises(type(error)) as caught:
            await failing()
        assert caught.value is error
        assert not hasattr(error, "__notes__")
        assert len(tried) == 1

    @pytest.mark.parametrize("kind", ["async", "plain"])
    async def test_a_cancelled_pause_is_the_end(
        self, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pausing, tried = asyncio.Event(), []

        def an_hour(low: float, high: float) -> float:
            pausing.set()
            return 3600.0

        monkeypatch.setattr(retry.random, "uniform", an_hour)

        def conflicting() -> None:
            tried.append(1)
            raise serialization_failure()

        async def native() -> None:
            conflicting()

        fn: Any = native if kind == "async" else conflicting
        task = asyncio.create_task(transaction.retry_on_conflict(fn)())
        await pausing.wait()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(tried) == 1

    async def test_a_cancelled_attempt_is_the_end(self) -> None:
        started, tried = asyncio.Event(), []

        @transaction.retry_on_conflict
        async def waiting() -> None:
            tried.append(1)
            started.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(waiting())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(tried) == 1

    def test_the_pauses_double_up_to_a_second(
        self, pauses: list[Any], monkeypatch: Any
    ) -> None:
        slept: list[float] = []
        monkeypatch.setattr(retry.time, "sleep", slept.append)

        @transaction.retry_on_conflict(attempts=2000)
        def conflicting() -> None:
            raise serialization_failure()

        with pytest.raises(OperationalError) as caught:
            conflicting()
        assert pauses[:4] == [0.01, 0.02, 0.04, 0.08]
        assert pauses[7:] == [1.0] * 1992
        assert len(slept) == 1999
        assert caught.value.__notes__ == ["retry_on_conflict() made 2000 attempts."]


class TestDecorating:
    def conflicts_once(self) -> Callable[[], int]:
        """A function that returns its number of calls, and fails at the first."""
        calls: list[int] = []

        def attempt() -> int:
            calls.append(1)
            if len(calls) == 1:
                raise serialization_failure()
            return len(calls)

        return attempt

    async def test_keeps_what_a_function_is(self) -> None:
        @transaction.retry_on_conflict
        async def native() -> None:
            """Does."""

        @transaction.retry_on_conflict()
        def plain() -> None: ...

        assert iscoroutinefunction(native)
        assert not iscoroutinefunction(plain)
        assert native.__name__ == "native"
        assert native.__doc__ == "Does."

    async def test_a_method_with_arguments(self, pauses: list[Any]) -> None:
        attempt = self.conflicts_once()

        class Account:
            @transaction.retry_on_conflict
            async def add(self, amount: int, *, to: str) -> tuple[Any, ...]:
                return attempt(), self, amount, to

        account = Account()
        assert await account.add(3, to="x") == (2, account, 3, "x")

    async def test_a_plain_function_that_returns_a_coroutine(
        self, pauses: list[Any]
    ) -> None:
        attempt = self.conflicts_once()

        async def native() -> int:
            return attempt()

        assert await transaction.retry_on_conflict(lambda: native())() == 2
        assert len(pauses) == 1

    def test_a_plain_function_in_sync_mode(self, pauses: list[Any]) -> None:
        assert transaction.retry_on_conflict(self.conflicts_once())() == 2

    async def test_one_attempt_is_none_more(self) -> None:
        fn = transaction.retry_on_conflict(attempts=1)(self.conflicts_once())
        with pytest.raises(OperationalError) as caught:
            await fn()
        assert caught.value.__notes__ == ["retry_on_conflict() made 1 attempt."]

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"attempts": 0}, ValueError, "attempts=0, so the function would never"),
            ({"attempts": -1}, ValueError, "Give 1 or more"),
            ({"attempts": 2.0}, TypeError, "attempts=2.0, which is no number of calls"),
            ({"attempts": True}, TypeError, "attempts=True"),
            ({"attempts": None}, TypeError, "attempts=None"),
            ({"using": 3}, TypeError, "using=3, which is no alias"),
        ],
        ids=str,
    )
    def test_wrong_arguments(
        self, arguments: dict[Any, Any], error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            transaction.retry_on_conflict(**arguments)

    def test_a_positional_argument_that_is_no_function(self) -> None:
        with pytest.raises(TypeError, match="Name its arguments"):
            transaction.retry_on_conflict(5)  # type: ignore[call-overload]

    def test_generators_are_refused(self) -> None:
        def rows() -> Iterator[int]:
            yield 1

        async def native() -> Any:
            yield 1

        for fn in (rows, native):
            with pytest.raises(TypeError, match="a generator, which has handed"):
                transaction.retry_on_conflict(fn)
