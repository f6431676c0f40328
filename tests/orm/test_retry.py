"""retry_on_conflict: what is tried again, and what is decorated."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Generator, Iterator
from typing import Any

import psycopg.errors
import pytest
from asgiref.sync import iscoroutinefunction
from django.db import IntegrityError, OperationalError

from tests.fix_retry import Mode, serialization_failure
from tests.records.models import Artist
from vinyl.exceptions import PoolTimeout
from vinyl.orm import connection, in_bridge, retry, run, transaction

pytestmark = [pytest.mark.anyio]


async def names() -> list[str]:
    return await Artist.objects.values_list("name", flat=True)


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

    async def test_a_transaction_without_autocommit(self, pauses: list[Any]) -> None:
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
    def test_is_recognized_by_the_drivers_code(self, cause: Any, is_one: bool) -> None:
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
        notes = [*getattr(error, "__notes__", ())]

        @transaction.retry_on_conflict
        async def failing() -> None:
            tried.append(1)
            raise error

        with pytest.raises(type(error)) as caught:
            await failing()
        assert caught.value is error
        assert [*getattr(error, "__notes__", ())] == notes
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

    async def test_keeps_the_name_and_the_kind_of_the_function(self) -> None:
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

    async def test_one_attempt_does_not_retry(self) -> None:
        fn = transaction.retry_on_conflict(attempts=1)(self.conflicts_once())
        with pytest.raises(OperationalError) as caught:
            await fn()
        assert caught.value.__notes__ == ["retry_on_conflict() made 1 attempt."]

    @pytest.mark.parametrize(
        ("arguments", "error", "message"),
        [
            ({"attempts": 0}, ValueError, "attempts=0, so the function would never"),
            ({"attempts": -1}, ValueError, "Pass 1 or more"),
            ({"attempts": 2.0}, TypeError, "attempts=2.0, which must be a positive"),
            ({"attempts": True}, TypeError, "attempts=True"),
            ({"attempts": None}, TypeError, "attempts=None"),
            ({"using": 3}, TypeError, "using=3, which must be a database alias"),
        ],
        ids=str,
    )
    def test_wrong_arguments(
        self, arguments: dict[Any, Any], error: type[Exception], message: str
    ) -> None:
        with pytest.raises(error, match=message):
            transaction.retry_on_conflict(**arguments)

    def test_a_positional_argument_that_is_no_function(self) -> None:
        with pytest.raises(TypeError, match="Pass its arguments by name"):
            transaction.retry_on_conflict(5)  # type: ignore[call-overload]

    def test_generators_are_refused(self) -> None:
        def rows() -> Iterator[int]:
            yield 1

        async def native() -> Any:
            yield 1

        for fn in (rows, native):
            with pytest.raises(TypeError, match="a generator, which may have yielded"):
                transaction.retry_on_conflict(fn)
