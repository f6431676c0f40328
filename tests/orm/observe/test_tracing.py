"""Queries make OpenTelemetry spans: on the loop, and without one."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, index, misc"

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from django.db import DatabaseError, connections
from django.test import override_settings
from opentelemetry import trace
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from tests.fix_db import only_postgresql
from tests.fix_observing import ANY, INSERT, LONG, Call, Log, Spans, execute, started
from tests.records.models import Album, Artist
from vinyl.orm import connection, run
from vinyl.orm.observe import events, tracing


class TestSpans:
    def test_a_query(self, db: str, call: Call, spans: Spans) -> None:
        call(lambda: list(Album.objects.select_related("artist").filter(year=1965)))
        span = spans.one("records_album")
        configured = connections["default"].settings_dict
        attributes = dict(span.attributes or {})
        text = str(attributes.pop("db.query.text"))
        assert "1965" not in text
        assert '"year" = %s' in text
        expected: dict[str, Any] = {
            "db.system.name": db,
            "db.namespace": str(configured["NAME"]),
            "db.operation.name": "SELECT",
            "db.query.summary": "SELECT records_album records_artist",
        }
        if db == "postgresql":
            expected["server.address"] = configured["HOST"]
            if configured["PORT"]:
                expected["server.port"] = int(configured["PORT"])
        assert attributes == expected
        assert span.name == "SELECT records_album records_artist"
        assert span.kind is SpanKind.CLIENT
        assert span.status.status_code is StatusCode.UNSET
        assert span.events == ()
        assert span.parent is None
        assert span.instrumentation_scope is not None
        assert span.instrumentation_scope.name == "vinyl"

    @only_postgresql
    def test_the_port_of_the_server(self, db: str, spans: Spans) -> None:
        configured = connections["default"].settings_dict
        with connections["default"].cursor() as cursor:
            before = configured["HOST"], configured["PORT"]
            # The connection is open, so only the span looks at them.
            configured["HOST"], configured["PORT"] = "db.example.com", "5433"
            try:
                cursor.execute("SELECT 1 AS ported")
            finally:
                configured["HOST"], configured["PORT"] = before
        attributes = spans.one("ported").attributes or {}
        assert attributes["server.address"] == "db.example.com"
        assert attributes["server.port"] == 5433

    def test_a_batch(self, call: Call, spans: Spans) -> None:
        call(lambda: execute(INSERT, [["Nina"], ["Abbey"]], many=True))
        span = spans.one("INSERT")
        attributes = span.attributes or {}
        assert span.name == "BATCH INSERT records_artist"
        assert attributes["db.operation.name"] == "BATCH INSERT"
        assert attributes["db.operation.batch.size"] == 2

    def test_a_batch_of_unknown_size(self, call: Call, spans: Spans) -> None:
        call(lambda: execute(INSERT, iter([["Nina"], ["Abbey"]]), many=True))
        assert spans.one("INSERT").name == "INSERT records_artist"
        assert Artist.objects.count() == 2

    def test_a_query_that_fails(self, db: str, call: Call, spans: Spans) -> None:
        with pytest.raises(DatabaseError):
            call(lambda: execute("SELECT * FROM missing"))
        span = spans.one("missing")
        attributes = span.attributes or {}
        assert span.status.status_code is StatusCode.ERROR
        if db == "postgresql":
            assert attributes["error.type"] == "42P01"
            assert attributes["db.response.status_code"] == "42P01"
            assert span.status.description == "psycopg.errors.UndefinedTable"
        else:
            assert attributes["error.type"] == "sqlite3.OperationalError"
            assert "db.response.status_code" not in attributes
        [event] = span.events
        assert event.name == "exception"
        assert "missing" in str((event.attributes or {})["exception.message"])

    @pytest.mark.anyio
    async def test_cancelling_ends_the_span(self, db: str, spans: Spans) -> None:
        task = await started(LONG[db])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        span = spans.one(LONG[db])
        assert span.end_time is not None
        assert span.status.status_code is StatusCode.ERROR
        assert (span.attributes or {})["error.type"] == (
            "asyncio.exceptions.CancelledError"
        )
        assert [event.name for event in span.events] == ["exception"]
        assert await Artist.objects.count() == 0

    def test_a_refusal_of_a_wrapper(self, call: Call, spans: Spans) -> None:
        def refuse(*args: Any) -> Any:
            raise LookupError("no queries here")

        def query() -> None:
            with connections["default"].execute_wrapper(refuse):
                execute("SELECT 1 AS refused")

        with pytest.raises(LookupError):
            call(query)
        assert (spans.one("refused").attributes or {})["error.type"] == "LookupError"

    def test_the_parent_is_the_callers_span(self, call: Call, spans: Spans) -> None:
        tracer = trace.get_tracer("tests")
        with tracer.start_as_current_span("outer") as outer:
            call(lambda: list(Artist.objects.all()))
            assert trace.get_current_span() is outer
        assert spans.one("records_artist").parent == outer.get_span_context()

    @pytest.mark.anyio
    async def test_each_tasks_span_has_its_own_queries(
        self, db: str, spans: Spans
    ) -> None:
        tracer = trace.get_tracer("tests")
        contexts = {}

        async def work(number: int) -> None:
            with tracer.start_as_current_span("work") as span:
                contexts[number] = span.get_span_context()
                await run(execute, f"SELECT {number} AS raw")
                await Artist.objects.filter(name=number).extra(
                    where=[f"{number} = {number}"]
                )
                await run(inside, number)

        def inside(number: int) -> None:
            with tracer.start_as_current_span("inside") as span:
                contexts[number, "inside"] = span.get_span_context()
                execute(f"SELECT {number} AS inside")

        await asyncio.gather(*(work(number) for number in range(20)))
        for number in range(20):
            for text in (f"SELECT {number} AS raw", f"({number} = {number})"):
                assert spans.one(text).parent == contexts[number]
            inner = spans.one(f"SELECT {number} AS inside")
            assert inner.parent == contexts[number, "inside"]

    @pytest.mark.anyio
    async def test_raw_cursors_on_the_loop(self, db: str, spans: Spans) -> None:
        with trace.get_tracer("tests").start_as_current_span("outer") as outer:
            async with connection.cursor() as cursor:
                await cursor.execute(INSERT, ["Nina"])
        assert spans.one("INSERT").parent == outer.get_span_context()

    def test_with_the_log(
        self,
        call: Call,
        exporter: InMemorySpanExporter,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        exporter.clear()
        with override_settings(VINYL={"OPENTELEMETRY": True, "SLOW_QUERIES": ANY}):
            call(lambda: execute("SELECT 1 AS both"))
            with pytest.raises(DatabaseError):
                call(lambda: execute("SELECT * FROM both_missing"))
        assert len(Spans(exporter).of("both")) == 2
        assert len(Log(caplog).of("both")) == 2

    def test_without_a_provider_there_is_nothing_to_do(
        self, call: Call, spans: Spans, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
        monkeypatch.delattr(tracing, "_description_of")
        # Asking for it reads the environment.
        monkeypatch.setattr(trace, "OTEL_PYTHON_TRACER_PROVIDER", None)
        call(lambda: execute("SELECT 1"))

    def test_without_a_provider_no_query_is_observed(
        self, spans: Spans, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert events.is_observed(connections["default"])
        monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
        assert not events.is_observed(connections["default"])
        # Nobody can have set one before the first import.
        monkeypatch.delitem(sys.modules, "opentelemetry.trace")
        assert not events.is_observed(connections["default"])
        # One that the environment names is made when it is asked for.
        monkeypatch.setenv("OTEL_PYTHON_TRACER_PROVIDER", "sdk_tracer_provider")
        assert not tracing.Tracing(trace.NoOpTracer()).is_idle()
