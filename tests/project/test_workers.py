"""A project under several worker processes, as docs/topics/web.md starts it."""

from __future__ import annotations

import signal
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
from django.contrib.auth.models import Group
from vinyl.orm import connection, run, transaction
from vinyl.web import JSONResponse


def backend():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid() FROM pg_sleep(0.01)")
        return cursor.fetchone()[0]


async def home(request):
    name = request.query_params["name"]
    async with transaction.atomic():
        group = await Group.objects.create(name=name)
        await group.permissions.clear()
    found = await asyncio.gather(run(backend), run(backend))
    return JSONResponse({"worker": os.getpid(), "backends": found})
"""


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    """An empty database; only a server has processes that can be counted."""
    with empty_database(postgres_url) as url:
        yield url


def test_workers_serve_side_by_side_and_leave_nothing(
    tmp_path: Path, database_url: str
) -> None:
    new_project(tmp_path)
    project = tmp_path / "mysite"
    (project / "mysite" / "views.py").write_text(VIEWS)
    vinyl("migrate", cwd=project, database_url=database_url)
    command = ["uvicorn", "mysite.asgi:application", "--port", "{port}"]
    backends: dict[int, set[int]] = {}
    names = iter(range(1_000_000))

    with server(
        *command,
        "--workers",
        "2",
        cwd=project,
        database_url=database_url,
        stop=signal.SIGTERM,
    ) as (url, log):

        def ask(number: int) -> None:
            # Each request on a connection of its own, which either worker may take.
            answer = httpx.get(url, params={"name": str(number)}, timeout=30)
            assert answer.status_code == 200, log.read_text()
            found = answer.json()
            backends.setdefault(found["worker"], set()).update(found["backends"])

        def both_have_answered() -> bool:
            with ThreadPoolExecutor(8) as threads:
                list(threads.map(ask, [next(names) for _ in range(16)]))
            return len(backends) == 2

        wait_for(both_have_answered, log)
        first, second = backends.values()
        assert not first & second
        # Each worker has a pool of the default size.
        assert max(len(first), len(second)) <= 10
        with psycopg.connect(database_url) as connection:
            committed = connection.execute("SELECT count(*) FROM auth_group").fetchone()
        assert committed == (next(names),)

    def connections() -> int:
        with psycopg.connect(database_url) as connection:
            found = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = "
                "current_database() AND pid <> pg_backend_pid()"
            ).fetchone()
            assert found is not None
            return found[0]

    wait_for(lambda: connections() == 0, log)
    told = log.read_text()
    assert "Traceback" not in told
    assert told.count("Finished server process") == 2, told
