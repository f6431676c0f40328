"""Slow queries are logged, on the loop and without one; and what is in the settings."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
import threading
import time
from typing import Any

import pytest
from django.core import checks
from django.db import DatabaseError, IntegrityError, connections
from django.db.backends.utils import CursorWrapper
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from tests.fix_db import default_database, only_postgresql
from tests.fix_observing import ANY, INSERT, LONG, Call, Log, execute, started
from tests.records.models import Artist
from vinyl.bridge.greenlets import suspend
from vinyl.orm import connection, run, transaction
from vinyl.orm.observe.tracing import Tracing
from vinyl.orm.pools.registry import pool_for


class TestSlowQueries:
    def test_the_line(self, call: Call, log: Log) -> None:
        call(lambda: list(Artist.objects.filter(name="Nina")))
        record = log.one("records_artist")
        fields = vars(record)
        assert record.levelno == logging.WARNING
        assert 0 < fields["duration"] < 60
        assert fields["alias"] == "default"
        assert fields["outcome"] == "done"
        assert fields["sql"].startswith('SELECT "records_artist"."id"')
        assert record.getMessage() == (
            f"Slow query on 'default', done after {fields['duration']:.3f} s: "
            f"{fields['sql']} (1 parameter, not shown)"
        )

    def test_a_quick_query_is_not_logged(
        self, call: Call, caplog: pytest.LogCaptureFixture
    ) -> None:
        with override_settings(VINYL={"SLOW_QUERIES": 600}):
            call(lambda: list(Artist.objects.all()))
        assert Log(caplog).of() == []

    @only_postgresql
    def test_the_time_is_the_querys(
        self, call: Call, caplog: pytest.LogCaptureFixture
    ) -> None:
        with override_settings(VINYL={"SLOW_QUERIES": 0.2}):
            call(lambda: execute("SELECT pg_sleep(0.2)"))
        assert vars(Log(caplog).one())["duration"] >= 0.2

    def test_values_are_shown_if_asked_for(
        self, call: Call, caplog: pytest.LogCaptureFixture
    ) -> None:
        options = {"SLOW_QUERIES": ANY, "SLOW_QUERIES_PARAMS": True}
        with override_settings(VINYL=options):
            call(lambda: execute(INSERT, ["Nina"]))
            call(lambda: execute(INSERT, [["Abbey"]], many=True))
        one, many = (record.getMessage() for record in Log(caplog).of("INSERT"))
        assert one.endswith("(parameters: ['Nina'])")
        assert many.endswith("(parameters: [['Abbey']])")

    def test_values_that_are_shown_are_few(
        self, call: Call, caplog: pytest.LogCaptureFixture
    ) -> None:
        options = {"SLOW_QUERIES": ANY, "SLOW_QUERIES_PARAMS": True}
        with override_settings(VINYL=options):
            call(lambda: list(Artist.objects.filter(pk__in=range(1, 500))))
            call(lambda: list(Artist.objects.filter(name="N" * 5000)))
        long, wide = (one.getMessage() for one in Log(caplog).of("records_artist"))
        assert "19, 20, ...)" in long
        assert "N...N" in wide
        assert len(wide) < 1000

    def test_parameters_are_counted(self, call: Call, log: Log) -> None:
        def queries() -> None:
            execute("SELECT 1")
            execute("SELECT 2 + %(one)s + %(two)s", {"one": 1, "two": 2})
            execute("INSERT INTO records_label (name) VALUES (%s)", [["x"]], many=True)
            execute(INSERT, [["Nina"], ["Abbey"]], many=True)

        call(queries)
        ends = [one.getMessage().rpartition(" (")[2] for one in log.of()]
        assert [end for end in ends if end != "no parameters)"] == [
            "2 parameters, not shown)",
            "1 parameter set, not shown)",
            "2 parameter sets, not shown)",
        ]
        assert log.one("SELECT 1").getMessage().endswith("(no parameters)")
        assert not [one for one in log.of() if "Nina" in one.getMessage()]

    def test_an_iterator_of_parameters_is_left_to_the_driver(
        self, call: Call, log: Log
    ) -> None:
        call(lambda: execute(INSERT, iter([["Nina"], ["Abbey"]]), many=True))
        assert "(parameters from an iterator)" in log.one("INSERT").getMessage()
        assert Artist.objects.count() == 2

    def test_a_query_that_fails(self, call: Call, log: Log) -> None:
        def insert_twice() -> None:
            execute(INSERT, ["Nina"])
            execute(INSERT, ["Nina"])

        with pytest.raises(IntegrityError):
            call(insert_twice)
        _, record = log.of("INSERT")
        errors = ("psycopg.errors.UniqueViolation", "sqlite3.IntegrityError")
        assert vars(record)["outcome"] in [f"failed with {name}" for name in errors]
        # PostgreSQL quotes the value in its message.
        assert "Nina" not in record.getMessage()

    @only_postgresql
    def test_a_query_that_the_server_ends(self, call: Call, log: Log) -> None:
        def query() -> None:
            with transaction.atomic():
                execute("SET LOCAL statement_timeout = '10ms'")
                execute("SELECT pg_sleep(60)")

        with pytest.raises(DatabaseError, match="statement timeout"):
            call(query)
        outcome = vars(log.one("pg_sleep"))["outcome"]
        assert outcome == "failed with psycopg.errors.QueryCanceled"

    @pytest.mark.anyio
    async def test_a_query_that_is_cancelled(self, db: str, log: Log) -> None:
        task = await started(LONG[db])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert vars(log.one(LONG[db]))["outcome"] == "cancelled"
        assert await Artist.objects.count() == 0

    @pytest.mark.anyio
    async def test_a_query_that_times_out(self, db: str, log: Log) -> None:
        # Connects first, so that the time is that of the query.
        await run(execute, "SELECT 1")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await run(execute, LONG[db])
        assert vars(log.one(LONG[db]))["outcome"] == "cancelled"

    @only_postgresql
    @pytest.mark.anyio
    async def test_a_query_that_is_abandoned(self, db: str, log: Log) -> None:
        def wait(*args: Any) -> Any:
            return suspend(asyncio.get_running_loop().create_future())

        def query() -> None:
            with connections["default"].execute_wrapper(wait):
                execute("SELECT 1 AS abandoned")

        # Here the connection is open, so that the first wait is the one above.
        async with connection.pinned():
            running = run(query)
            running.send(None)
            running.close()
        assert vars(log.one("abandoned"))["outcome"] == "abandoned"

    @pytest.mark.anyio
    async def test_concurrent_queries_have_a_line_each(self, db: str, log: Log) -> None:
        texts = [f"SELECT {number} AS concurrent" for number in range(20)]
        await asyncio.gather(*(run(execute, text) for text in texts))
        logged = [vars(one)["sql"] for one in log.of("concurrent")]
        assert sorted(logged) == sorted(texts)

    def test_waiting_for_the_pool_does_not_count(self, db: str, log: Log) -> None:
        async def main() -> float:
            around = contextvars.copy_context()
            async with connection.pinned():
                task = asyncio.create_task(run(Artist.objects.count), context=around)
                while not pool_for("default").waiters:
                    await asyncio.sleep(0)
                # What it waits here would show in its time.
                await asyncio.sleep(0.1)
            released = time.perf_counter()
            await task
            return time.perf_counter() - released

        of_one = dict(connections.settings["default"])
        of_one["OPTIONS"] = {**of_one["OPTIONS"], "pool": {"max_size": 1}}
        with default_database(of_one):
            took = asyncio.run(main())
        assert vars(log.one("COUNT"))["duration"] <= took

    @pytest.mark.anyio
    async def test_raw_cursors_on_the_loop(self, db: str, log: Log) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute(INSERT, ["Nina"])
            await cursor.executemany(INSERT, [["Abbey"], ["Odetta"]])
        one, many = log.of("INSERT")
        assert "(1 parameter, not shown)" in one.getMessage()
        assert "(2 parameter sets, not shown)" in many.getMessage()

    @pytest.mark.anyio
    async def test_streams(self, db: str, log: Log) -> None:
        await Artist.objects.bulk_create([Artist(name=name) for name in "abc"])
        async for _ in Artist.objects.iterator(chunk_size=1):
            pass
        assert len(log.of('FROM "records_artist"')) == 1

    def test_threads(self, db: str, log: Log) -> None:
        def work() -> None:
            list(Artist.objects.all())
            connections["default"].close()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert len(log.of('FROM "records_artist"')) == 1

    def test_wrappers_and_the_query_log_stay(self, call: Call, log: Log) -> None:
        def comment(run_it: Any, sql: str, *args: Any) -> Any:
            return run_it(f"/* a comment */ {sql}", *args)

        def queries() -> list[dict[str, str]]:
            there = connections["default"]
            with there.execute_wrapper(comment), CaptureQueriesContext(there) as seen:
                list(Artist.objects.all())
            assert there.execute_wrappers == []
            return seen.captured_queries

        [query] = call(queries)
        assert "a comment" not in vars(log.one("records_artist"))["sql"]
        assert "records_artist" in query["sql"]

    def test_a_logger_that_is_off(self, call: Call, log: Log) -> None:
        logger = logging.getLogger("vinyl.queries")
        logger.setLevel(logging.ERROR)
        try:
            call(lambda: list(Artist.objects.all()))
        finally:
            logger.setLevel(logging.NOTSET)
        assert log.of() == []


class TestSettings:
    def test_when_off_the_method_is_djangos(self) -> None:
        with override_settings(VINYL={"OPENTELEMETRY": False}):
            method = CursorWrapper.__dict__["_execute_with_wrappers"]
            assert method.__module__ == "django.db.backends.utils"

    def test_they_are_reread(self, db: str, caplog: pytest.LogCaptureFixture) -> None:
        with connections["default"].cursor() as cursor:
            for number, limit in enumerate([None, ANY, 600, ANY, None]):
                with override_settings(VINYL={"SLOW_QUERIES": limit}):
                    cursor.execute(f"SELECT {number}")
            cursor.execute("SELECT 5")
        logged = [vars(one)["sql"] for one in Log(caplog).of()]
        assert logged == ["SELECT 1", "SELECT 3"]

    def test_another_tools_method_is_left_alone(
        self, db: str, caplog: pytest.LogCaptureFixture, monkeypatch: Any
    ) -> None:
        method = CursorWrapper.__dict__["_execute_with_wrappers"]
        seen = []

        def others(self: Any, sql: str, *args: Any, **kwargs: Any) -> Any:
            seen.append(sql)
            return method(self, sql, *args, **kwargs)

        monkeypatch.setattr(CursorWrapper, "_execute_with_wrappers", others)
        with override_settings(VINYL={"SLOW_QUERIES": ANY, "OPENTELEMETRY": False}):
            execute("SELECT 1")
        execute("SELECT 2")
        assert seen == ["SELECT 1", "SELECT 2"]
        assert CursorWrapper.__dict__["_execute_with_wrappers"] is others
        assert len(Log(caplog).of()) == 1

    @pytest.mark.parametrize("options", [{}, {"OPENTELEMETRY": "auto"}])
    def test_spans_are_made_where_the_package_is(
        self, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with override_settings(VINYL=options):
            assert Tracing.from_settings() is not None
            monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
            assert Tracing.from_settings() is None

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("SLOW_QUERIES", "0.5"),
            ("SLOW_QUERIES_PARAMS", "False"),
            ("OPENTELEMETRY", "on"),
        ],
    )
    def test_a_wrong_value_counts_as_off(self, key: str, value: Any) -> None:
        with override_settings(VINYL={"OPENTELEMETRY": False, key: value}):
            method = CursorWrapper.__dict__["_execute_with_wrappers"]
            assert method.__module__ == "django.db.backends.utils"

    def test_spans_without_the_package(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "opentelemetry.trace", None)
        with override_settings(VINYL={"OPENTELEMETRY": True}):
            [told] = checks.run_checks(tags=["vinyl"])
        assert told.id == "vinyl.E004"
        assert "opentelemetry cannot be imported" in told.msg
