"""A query that goes straight to the driver is observed like one through a cursor."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError, IntegrityError, connections
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.fix_observing import ANY, INSERT, LONG, Call, Log, Spans, execute
from tests.records.models import Artist
from vinyl.orm import run
from vinyl.orm.observe import events
from vinyl.orm.observe.events import QueryEvent, is_observed, needs_cursor, observe
from vinyl.orm.recording import recording

Send = Callable[..., Any]


def send_to_driver(sql: Any, params: Any = None, *, many: bool = False) -> None:
    """`cursor.execute()` as a plan does it, without Django's cursor."""
    connection = connections["default"]
    if needs_cursor(connection):
        execute(sql, params, many=many)
        return
    connection.ensure_connection()
    cursor = connection.create_cursor()

    def send() -> None:
        with connection.wrap_database_errors:
            if many:
                cursor.executemany(sql, params)
            elif params is None:
                cursor.execute(sql)
            else:
                cursor.execute(sql, params)

    try:
        if is_observed(connection):
            with events.begin(connection, sql, params, many=many):
                send()
        else:
            send()
    finally:
        cursor.close()


@pytest.fixture
def observed(exporter: InMemorySpanExporter) -> Iterator[None]:
    vinyl = {
        "SLOW_QUERIES": ANY,
        "SLOW_QUERIES_PARAMS": True,
        "OPENTELEMETRY": True,
    }
    with override_settings(VINYL=vinyl):
        yield


class Seen:
    """What all observers see of the queries that a function sends."""

    def __init__(
        self, exporter: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
    ) -> None:
        self.exporter = exporter
        self.caplog = caplog

    def of(self, call: Call, send: Send, queries: list[Any]) -> dict[str, Any]:
        Artist.objects.all().delete()
        self.exporter.clear()
        self.caplog.clear()
        errors: list[Any] = []

        def work() -> None:
            # So that no query of it is among those compared.
            connections["default"].ensure_connection()
            self.exporter.clear()
            self.caplog.clear()
            for sql, params, many in queries:
                try:
                    send(sql, params, many=many)
                except DatabaseError as error:
                    errors.append((type(error), type(error.__cause__)))

        call(work)
        return {
            "the slow log": self.slow_log(),
            "spans": self.spans(),
            "errors": errors,
        }

    def slow_log(self) -> list[Any]:
        found = []
        for one in Log(self.caplog).of():
            facts = vars(one)
            start, _, end = one.getMessage().partition(f" {facts['duration']:.3f} s: ")
            found.append((start, end, facts["alias"], facts["sql"], facts["outcome"]))
        return found

    def spans(self) -> list[Any]:
        return [
            (
                span.name,
                span.kind,
                dict(span.attributes or {}),
                span.status.status_code,
                span.status.description,
                [event.name for event in span.events],
            )
            for span in Spans(self.exporter).of("")
        ]


@pytest.fixture
def seen(
    db: str,
    observed: None,
    exporter: InMemorySpanExporter,
    caplog: pytest.LogCaptureFixture,
) -> Seen:
    return Seen(exporter, caplog)


QUERIES: dict[str, list[tuple[str, Any, bool]]] = {
    "no parameters": [("SELECT 1", None, False)],
    "parameters": [(INSERT, ["Nina"], False)],
    "named parameters": [("SELECT %(one)s + 1", {"one": 1}, False)],
    "many": [(INSERT, [["Nina"], ["Abbey"]], True)],
    "an error": [(INSERT, ["Nina"], False), (INSERT, ["Nina"], False)],
    "no such table": [("SELECT * FROM missing", None, False)],
}


@pytest.mark.parametrize("queries", QUERIES.values(), ids=QUERIES)
def test_the_same_is_seen(seen: Seen, call: Call, queries: list[Any]) -> None:
    expected = seen.of(call, execute, queries)
    assert seen.of(call, send_to_driver, queries) == expected
    for name in ("the slow log", "spans"):
        assert len(expected[name]) == len(queries), name


@pytest.mark.anyio
async def test_the_same_is_seen_of_a_query_that_is_cancelled(
    db: str, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cancelled(send: Send) -> Any:
        began = asyncio.Event()

        def begin(self: QueryEvent, *args: Any) -> None:
            init(self, *args)
            began.set()

        def work() -> None:
            connections["default"].ensure_connection()
            seen.exporter.clear()
            seen.caplog.clear()
            with monkeypatch.context() as patches:
                patches.setattr(QueryEvent, "__init__", begin)
                send(LONG[db])

        init = QueryEvent.__init__
        task = asyncio.create_task(run(work))
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return seen.slow_log(), seen.spans()

    expected = await cancelled(execute)
    assert await cancelled(send_to_driver) == expected
    slow_log, spans = expected
    assert [outcome for *_, outcome in slow_log] == ["cancelled"]
    assert len(spans) == 1


class TestEvents:
    @pytest.mark.anyio
    async def test_events_of_coroutines_may_overlap(
        self, db: str, observed: None, spans: Spans
    ) -> None:
        """As in a pipeline: all begin, then all end, in another task."""
        connection = connections["default"]
        with recording(full=True) as record:
            queries = [
                events.begin(connection, f"SELECT {number} AS piped")
                for number in range(3)
            ]

            async def end() -> None:
                for query in reversed(queries):
                    query.end()

            await asyncio.create_task(end())
        ended = [f"SELECT {number} AS piped" for number in (2, 1, 0)]
        assert [query.sql for query in record.queries] == ended
        attributes = [dict(span.attributes or {}) for span in spans.of("piped")]
        assert [each["db.query.text"] for each in attributes] == ended

    @pytest.mark.anyio
    async def test_a_coroutine_that_is_cancelled(self, db: str) -> None:
        async def query() -> None:
            with events.begin(connections["default"], "SELECT 1"):
                await asyncio.sleep(60)

        with recording(full=True) as record:
            task = asyncio.create_task(query())
            await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        assert [one.outcome for one in record.queries] == ["cancelled"]

    def test_facts_of_a_query(self, db: str) -> None:
        facts: list[Any] = []

        class Observer:
            def begin(self, query: QueryEvent) -> None:
                facts.append((query.sql, query.params, query.many, query.seconds))

            def end(self, query: QueryEvent) -> None:
                assert query.connection is connections["default"]
                assert query.seconds > 0
                facts.append((type(query.error), query.outcome))

        with observe(Observer()):
            with pytest.raises(IntegrityError):
                execute(INSERT, [["Nina"], ["Nina"]], many=True)
        driver = connections["default"].Database
        name = {"sqlite": "IntegrityError", "postgresql": "errors.UniqueViolation"}[db]
        assert facts == [
            (INSERT, [["Nina"], ["Nina"]], True, 0.0),
            (IntegrityError, f"failed with {driver.__name__.split('.')[0]}.{name}"),
        ]

    def test_an_error_of_an_observer_is_raised_in_place_of_the_query(
        self, db: str
    ) -> None:
        class Observer:
            def begin(self, query: QueryEvent) -> None:
                raise LookupError("no queries here")

            def end(self, query: QueryEvent) -> None:
                raise AssertionError("It has not run.")

        with observe(Observer()):
            for send in (execute, send_to_driver):
                with pytest.raises(LookupError, match="no queries here"):
                    send(INSERT, ["Nina"])
        assert not Artist.objects.exists()


class TestWhetherAQueryIsObserved:
    @pytest.fixture(autouse=True)
    def nobody_observes(self, db: str) -> Iterator[None]:
        with override_settings(VINYL={"OPENTELEMETRY": False}):
            yield

    def test_nobody_observes(self) -> None:
        assert not is_observed(connections["default"])
        send_to_driver("SELECT 1")

    def test_a_recording(self) -> None:
        with recording():
            assert is_observed(connections["default"])
        assert not is_observed(connections["default"])

    def test_the_slow_log(self) -> None:
        with override_settings(VINYL={"SLOW_QUERIES": 600, "OPENTELEMETRY": False}):
            assert is_observed(connections["default"])

    def test_a_wrapper(self) -> None:
        connection = connections["default"]
        with connection.execute_wrapper(lambda execute, *args: execute(*args)):
            assert is_observed(connection)
        assert not is_observed(connection)

    def test_connection_queries(self) -> None:
        with CaptureQueriesContext(connections["default"]):
            assert is_observed(connections["default"])
        assert not is_observed(connections["default"])

    def test_debug_mode(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with override_settings(DEBUG=True):
            assert is_observed(connections["default"])
        assert not is_observed(connections["default"])
        # As Django's test runner sets it.
        monkeypatch.setattr(settings, "DEBUG", True)
        assert is_observed(connections["default"])
        settings.DEBUG = False
        assert not is_observed(connections["default"])
