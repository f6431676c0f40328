"""SIGTERM under load: requests in flight are answered, the rest is ended in order."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.postgres import empty_database
from tests.project.terminal import new_project, server, vinyl, wait_for

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
    note(f"serving as {os.getpid()}")
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
    new_project(tmp_path)
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
        process = int(log.read_text().partition("serving as ")[2].split()[0])
        os.kill(process, signal.SIGTERM)

        address = httpx.URL(url)

        def refuses() -> bool:
            # Asking would be one more request in flight, where it is too early.
            with socket.socket() as attempt:
                return attempt.connect_ex((address.host, address.port)) != 0

        wait_for(refuses, log)
        assert not slow.done()
        own.execute("SELECT pg_advisory_unlock(1)")
        assert slow.result().text == "done"
        # A second signal would end it at once.
        wait_for(lambda: "Finished server" in log.read_text(), log)
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
    with httpx.Client(timeout=30) as client:
        with server(
            *args, cwd=project, database_url=database_url, stop=signal.SIGTERM
        ) as (url, log):
            request = client.build_request("GET", url, params={"stream": "1"})
            lines = client.send(request, stream=True).iter_lines()
            assert next(lines) == "data: begun"
            assert "stream ended" not in log.read_text()
        # The server has gone, before its client.
        with contextlib.suppress(httpx.RemoteProtocolError, httpx.ReadError):
            assert set(lines) <= {""}
    told = log.read_text()
    assert in_order(told, "stream ended", "shutdown with 1 groups"), told
    assert "Traceback" not in told
