"""SIGTERM under load: requests in flight are answered, the rest is ended in order."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.postgres import empty_database
from tests.project.terminal import server, vinyl, wait_for

VIEWS = """
import asyncio, os
from contextlib import asynccontextmanager
from django.contrib.auth.models import Group
from vinyl.orm import connection
from vinyl.web import EventSourceResponse, PlainTextResponse


def note(text):
    print(text, flush=True)


@asynccontextmanager
async def lifespan(app):
    note(f"process {os.getpid()}")
    yield
    note(f"shutdown with {await Group.objects.count()} groups")


async def home(request):
    if "stream" in request.query_params:
        return EventSourceResponse(stream())
    # The test holds this lock for as long as it likes.
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT pg_advisory_lock_shared(1)")
    await Group.objects.create(name="request")
    note("answered")
    return PlainTextResponse("done")


async def stream():
    try:
        yield "begun"
        await asyncio.Event().wait()
    finally:
        await Group.objects.create(name="stream")
        note("stream ended")
"""
SETTINGS = """
VINYL = {"LIFESPAN": "mysite.views.lifespan"}
"""


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    with empty_database(postgres_url) as url:
        yield url


@pytest.fixture
def project(tmp_path: Path, database_url: str) -> Path:
    vinyl("startproject", "mysite", cwd=tmp_path)
    project = tmp_path / "mysite"
    (project / "mysite" / "views.py").write_text(VIEWS)
    with (project / "mysite" / "settings.py").open("a") as settings:
        settings.write(SETTINGS)
    vinyl("migrate", cwd=project, database_url=database_url)
    return project


COMMAND = ["uvicorn", "mysite.asgi:application", "--port", "{port}"]


def in_order(text: str, *parts: str) -> bool:
    places = [text.find(part) for part in parts]
    return -1 not in places and places == sorted(places)


def test_a_request_in_flight_is_answered_and_no_other_is_taken(
    project: Path, database_url: str
) -> None:
    with (
        psycopg.connect(database_url, autocommit=True) as own,
        ThreadPoolExecutor() as threads,
        server(*COMMAND, cwd=project, database_url=database_url) as (url, log),
    ):
        own.execute("SELECT pg_advisory_lock(1)")
        slow = threads.submit(httpx.get, url, timeout=30)

        def waits() -> bool:
            query = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            return own.execute(query).fetchone() is not None

        wait_for(waits, log)
        process = int(log.read_text().partition("process ")[2].split()[0])
        os.kill(process, signal.SIGTERM)

        def refuses() -> bool:
            try:
                httpx.get(url, timeout=0.5)
            except httpx.ConnectError:
                return True
            except httpx.TransportError:
                pass
            return False

        wait_for(refuses, log)
        assert not slow.done()
        own.execute("SELECT pg_advisory_unlock(1)")
        assert slow.result().text == "done"
    told = log.read_text()
    assert in_order(told, "answered", "shutdown with 1 groups", "Finished server"), told
    assert "Traceback" not in told


@pytest.mark.parametrize("command", ["uvicorn", "runserver"])
def test_a_stream_is_cut_after_the_timeout(
    project: Path, database_url: str, command: str
) -> None:
    if command == "uvicorn":
        args = [*COMMAND, "--timeout-graceful-shutdown", "1"]
    else:
        args = ["vinyl", "runserver", "{port}", "--noreload"]
    with (
        server(*args, cwd=project, database_url=database_url, stop=signal.SIGTERM) as (
            url,
            log,
        ),
        httpx.stream("GET", url, params={"stream": "1"}, timeout=30) as response,
    ):
        assert next(response.iter_lines()) == "data: begun"
        process = int(log.read_text().partition("process ")[2].split()[0])
        os.kill(process, signal.SIGTERM)
        # What is left of the stream is its end.
        try:
            assert set(response.iter_lines()) <= {""}
        except httpx.StreamConsumed:
            pass
        except httpx.RemoteProtocolError:
            pass
    told = log.read_text()
    assert in_order(told, "stream ended", "shutdown with 1 groups"), told
