"""The thread of a connection: one hop a query, interrupted, ended with it."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload"
# mypy: disable-error-code="func-returns-value, misc"

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import InterfaceError

from tests.fix_db import only_sqlite
from tests.orm.backends.querying import query
from tests.project.terminal import environment
from tests.records.models import Artist
from vinyl.orm import connection, run
from vinyl.orm.backends.worker import Worker
from vinyl.orm.pools.registry import close_pools, pool_for

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db"), only_sqlite]


async def test_a_query_takes_one_hop(monkeypatch: pytest.MonkeyPatch) -> None:
    await Artist.objects.count()
    hops: list[str] = []
    call = Worker.call_on_loop

    async def counted(self: Worker, fn: Any, *args: Any) -> Any:
        hops.append(repr(fn))
        return await call(self, fn, *args)

    monkeypatch.setattr(Worker, "call_on_loop", counted)
    await Artist.objects.filter(name="x")
    assert len(hops) == 1


async def test_a_cursor_that_outlives_its_connection_is_refused() -> None:
    """It must not wait for a thread that has ended."""

    def outlive() -> None:
        cursor = connection.cursor()
        connection.drop_connection()
        connection.connection = None
        with pytest.raises(InterfaceError, match="has been closed"):
            cursor.execute("SELECT 1")
        cursor.close()

    async with asyncio.timeout(5):
        await run(outlive)


async def test_cancelling_the_task_interrupts_the_query() -> None:
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        "SELECT count(*) FROM n"
    )
    await Artist.objects.count()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await run(query, endless)
    assert pool_for("default").in_use == {}
    assert await Artist.objects.count() == 0


async def test_the_thread_ends_with_the_connection() -> None:
    await Artist.objects.count()
    (thread,) = [t for t in threading.enumerate() if t.name.startswith("vinyl-default")]
    pool_for("default").close()
    await asyncio.to_thread(thread.join, 5)
    assert not thread.is_alive()


async def test_threads_and_files_do_not_grow() -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    async def use() -> None:
        await asyncio.gather(*(Artist.objects.count() for _ in range(3)))
        await close_pools()

    async def settled() -> tuple[int, int]:
        while any(t.name.startswith("vinyl-") for t in threading.enumerate()):
            await asyncio.sleep(0.001)
        return threading.active_count(), open_files()

    await use()
    before = await settled()
    for _ in range(40):
        await use()
    assert await settled() == before


EXIT = """
import asyncio, sqlite3, sys
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["vinyl.orm"],
    DATABASES={{
        "default": {{
            "ENGINE": "vinyl.orm.backends.sqlite3",
            "NAME": sys.argv[1],
            "OPTIONS": {{"timeout": 600}},
        }}
    }},
)
import django
django.setup()
from vinyl.orm import connection, run

def execute(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)

loop = asyncio.new_event_loop()
# A busy machine is not what this is about.
loop.slow_callback_duration = 60
loop.run_until_complete(run(execute, "CREATE TABLE t (a)"))
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute("BEGIN IMMEDIATE")
sql = {sql!r}
if sql:
    task = loop.create_task(run(execute, sql))
    loop.run_until_complete(asyncio.sleep(0.1))
loop.close()
if sql:
    # That it was pending is not what this is about.
    task._log_destroy_pending = False
print("the end")
"""
ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
    "SELECT count(*) FROM n"
)


@pytest.mark.parametrize(
    "sql",
    ["", "INSERT INTO t VALUES (1)", ENDLESS],
    ids=["idle", "waiting", "endless"],
)
async def test_the_interpreter_ends_although_the_loop_cleaned_nothing_up(
    sql: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", EXIT.format(sql=sql), str(tmp_path / "exit.db")]
    ended = await asyncio.to_thread(
        subprocess.run,
        command,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "the end\n", "")
