"""Fixtures about what is told of queries: the log of slow ones, and spans."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from vinyl.orm import connection, run

INSERT = "INSERT INTO records_artist (name) VALUES (%s)"
# Long enough to be cancelled half-way, on each database.
LONG = {
    "postgresql": "SELECT pg_sleep(60)",
    "sqlite": (
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t LIMIT 5000000)"
        " SELECT max(n) FROM t"
    ),
}
# Every query takes longer.
ANY = 1e-9

Call = Callable[[Callable[[], Any]], Any]


@pytest.fixture(params=["in sync mode", "on the loop"])
def call(request: pytest.FixtureRequest, db: str) -> Call:
    """Call a function that uses the ORM, in each mode."""
    if request.param == "in sync mode":
        return lambda fn: fn()
    return lambda fn: asyncio.run(run(fn))


def execute(sql: Any, params: Any = None, *, many: bool = False) -> None:
    with connections["default"].cursor() as cursor:
        if many:
            cursor.executemany(sql, params)
        else:
            cursor.execute(sql, params)


class Log:
    """The lines that the logger has written."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def of(self, text: str = "") -> list[logging.LogRecord]:
        """Those with *text* in their SQL."""
        records = [one for one in self._caplog.records if one.name == "vinyl.queries"]
        return [one for one in records if text in vars(one)["sql"]]

    def one(self, text: str = "") -> logging.LogRecord:
        [record] = self.of(text)
        return record


@pytest.fixture
def log(db: str, caplog: pytest.LogCaptureFixture) -> Iterator[Log]:
    """Each query is a slow one; get what is logged."""
    with override_settings(VINYL={"SLOW_QUERIES": ANY, "OPENTELEMETRY": False}):
        yield Log(caplog)


async def started(sql: str) -> asyncio.Task[None]:
    """A task that is waiting for the result of *sql*."""
    begun = asyncio.Event()

    def note(execute: Any, *args: Any) -> Any:
        begun.set()
        return execute(*args)

    async def wait() -> None:
        with connection.execute_wrapper(note):
            await run(execute, sql)

    task = asyncio.create_task(wait())
    await begun.wait()
    return task


@pytest.fixture(scope="session")
def exporter() -> InMemorySpanExporter:
    """What is exported by the process's provider, which can be set once only."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


class Spans:
    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def of(self, text: str) -> list[ReadableSpan]:
        """Those with *text* in their SQL, in the order of their ends."""
        finished = self._exporter.get_finished_spans()
        return [
            span
            for span in finished
            if text in str((span.attributes or {}).get("db.query.text", ""))
        ]

    def one(self, text: str) -> ReadableSpan:
        [span] = self.of(text)
        return span


@pytest.fixture
def spans(db: str, exporter: InMemorySpanExporter) -> Iterator[Spans]:
    """Queries make spans; get those that have ended."""
    with override_settings(VINYL={"OPENTELEMETRY": True}):
        exporter.clear()
        yield Spans(exporter)
