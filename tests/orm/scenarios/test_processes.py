"""Processes end quietly, and a child leaves the connections of its parent alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from tests.fix_db import only_postgresql
from tests.records.models import Artist

ROOT = Path(__file__).parents[3]
# Seconds for one process; generous for a busy machine.
PATIENCE = 60.0

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def start(db: str, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a script in a process of its own, where each warning is an error."""
    started: list[subprocess.Popen[str]] = []

    def start(source: str, *flags: str) -> subprocess.Popen[str]:
        script = tmp_path / "script.py"
        script.write_text(f"from tests.alone import *\n{source}")
        settings = connections.settings["default"]
        entry = {key: settings[key] for key in settings if key != "TEST"}
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "TEST_DATABASE": json.dumps(entry, default=str),
        }
        environment.pop("DJANGO_SETTINGS_MODULE")
        process = subprocess.Popen(
            [sys.executable, "-X", "dev", "-W", "error", *flags, str(script)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.fixture
def script(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., str]:
    """Runs a script, which has to end with nothing on stderr; gives what it prints."""

    def script(source: str, *flags: str, code: int = 0) -> str:
        process = start(source, *flags)
        printed, errors = process.communicate(timeout=PATIENCE)
        assert (process.returncode, errors) == (code, ""), printed + errors
        return printed

    return script


USE = """
import asyncio, sys, threading
from vinyl.orm import transaction

async def use():
    await asyncio.gather(*(Artist.objects.count() for _ in range(5)))
    async with transaction.atomic():
        await Artist.objects.create(name="Nina")
        transaction.set_rollback(True)

async def hold(entered=None):
    async with transaction.atomic():
        await Artist.objects.create(name="Nobody")
        entered and entered.set()
        await asyncio.sleep(60)

async def leave_a_task():
    entered = asyncio.Event()
    task = asyncio.create_task(hold(entered))
    await entered.wait()

async def leave_a_thread():
    entered = threading.Event()
    work = lambda: asyncio.run(hold(entered))
    threading.Thread(target=work, daemon=True).start()
    await asyncio.to_thread(entered.wait)

async def leave_a_stream():
    await Artist.objects.create(name="Nobody")
    async for artist in Artist.objects.iterator():
        await artist.delete()
        sys.exit(3)

async def exit_in_a_block():
    async with transaction.atomic():
        await Artist.objects.create(name="Nobody")
        sys.exit(3)
"""

ENDS = {
    "after asyncio.run": ("asyncio.run(use())", 0),
    "loop closed without clean-up": (
        "loop = asyncio.new_event_loop()\nloop.run_until_complete(use())\nloop.close()",
        0,
    ),
    "loop never closed": (
        "loop = asyncio.new_event_loop()\nloop.run_until_complete(use())",
        0,
    ),
    "a task left in a block": ("asyncio.run(leave_a_task())", 0),
    "sys.exit in a block": ("asyncio.run(exit_in_a_block())", 3),
    "sys.exit in a stream": ("asyncio.run(leave_a_stream())", 3),
    "a daemon thread with a loop": (
        "asyncio.run(leave_a_thread())",
        0,
    ),
    "both modes": ("Artist.objects.count()\nasyncio.run(use())", 0),
}


@pytest.mark.parametrize(("end", "code"), ENDS.values(), ids=ENDS)
def test_the_interpreter_ends_quietly(
    script: Callable[..., str], end: str, code: int
) -> None:
    script(f"{USE}\n{end}", code=code)
    assert not Artist.objects.exists()


def test_an_exception_in_a_block_is_the_only_output(
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    process = start(
        f"{USE}\n"
        "async def fail():\n"
        "    async with transaction.atomic():\n"
        "        await Artist.objects.create(name='Nobody')\n"
        "        raise LookupError('of the test')\n"
        "asyncio.run(fail())"
    )
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert errors.endswith("LookupError: of the test\n")
    assert errors.count("Traceback") == 1
    assert not Artist.objects.exists()


INTERRUPTED = {
    "in a query": "await sleep()",
    "in a transaction": (
        "async with transaction.atomic():\n"
        "        await Artist.objects.create(name='Nobody')\n"
        "        await sleep()"
    ),
    "in the bridge": "await run(sleep_in_bridge)",
}


@only_postgresql
@pytest.mark.parametrize("place", INTERRUPTED.values(), ids=INTERRUPTED)
def test_ctrl_c_rolls_back_and_ends(
    start: Callable[..., subprocess.Popen[str]], place: str
) -> None:
    process = start(
        f"{USE}\n"
        "import signal\n"
        "from vinyl.orm import connection, run\n"
        # What runs in the background inherits that it is ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "async def sleep():\n"
        "    async with connection.cursor() as cursor:\n"
        "        await cursor.execute('SELECT pg_sleep(60)')\n"
        "def sleep_in_bridge():\n"
        "    with transaction.atomic(), connection.cursor() as cursor:\n"
        "        Artist.objects.create(name='Nobody')\n"
        "        cursor.execute('SELECT pg_sleep(60)')\n"
        "async def main():\n"
        f"    {place}\n"
        "asyncio.run(main())"
    )
    asleep = "state = 'active' AND query = 'SELECT pg_sleep(60)'"
    wait_until(lambda: activity(asleep) == 1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)

    assert process.returncode == -signal.SIGINT
    assert errors.endswith("KeyboardInterrupt\n"), errors
    assert "never" not in errors
    # A query that goes on would have a process of the server; so would a leak.
    wait_until(lambda: activity("true") == 0)
    assert not Artist.objects.exists()


def activity(where: str) -> int:
    """How many connections of other processes to this database match."""
    with connections["default"].cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
            f"AND pid <> pg_backend_pid() AND {where}"
        )
        return cursor.fetchone()[0]


def wait_until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# What the parent does with *child*, which does its part and ends.
FORKS = {
    "os.fork, ends by itself": """
    if os.fork() == 0:
        child()
        sys.exit(0)
    assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
""",
    "os.fork in a transaction": """
    async with transaction.atomic():
        await Artist.objects.count()
        if os.fork() == 0:
            child()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
        assert await Artist.objects.count() == 1
""",
    "multiprocessing": """
    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert process.exitcode == 0
""",
    "multiprocessing in the bridge": """
    def work():
        assert Artist.objects.count() == 1
        process = multiprocessing.get_context("fork").Process(target=child)
        process.start()
        process.join()
        assert process.exitcode == 0
        assert Artist.objects.count() == 1
    await run(work)
""",
    "a pool of processes": """
    context = multiprocessing.get_context("fork")
    loop = asyncio.get_running_loop()
    with concurrent.futures.ProcessPoolExecutor(2, context) as executor:
        calls = [loop.run_in_executor(executor, child) for _ in range(4)]
        await asyncio.gather(*calls)
""",
}

FORKING = """
import asyncio, concurrent.futures, multiprocessing, os, sys
from vinyl.orm import run, transaction

def child():
    assert count_twice() == (1, 1)
    # SQLite's are objects, which another process may have at the same address.
    if "sqlite" not in os.environ["TEST_DATABASE"]:
        assert not set(asyncio.run(connection_ids())) & set(before)

async def main():
    global before
    before = await connection_ids()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("fork", FORKS.values(), ids=FORKS)
def test_a_forked_child_uses_connections_of_its_own(
    db: str, script: Callable[..., str], fork: str
) -> None:
    if db == "sqlite" and "sys.exit" in fork:
        pytest.skip(
            "asyncio's own clean-up in such a child takes wake-ups from threads away "
            "from the parent's loop"
        )
    Artist.objects.create(name="Nina")
    connections["default"].close()
    script(
        f"{FORKING}{fork}\n    assert await connection_ids() == before\n"
        "    await Artist.objects.create(name='Odetta')\n"
        "asyncio.run(main())",
        # From Python 3.12 on it tells of threads, such as SQLite's.
        "-W",
        "ignore::DeprecationWarning",
    )
    # The child has neither closed nor locked what the parent wrote with.
    assert [artist.name for artist in Artist.objects.all()] == ["Nina", "Odetta"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_child_forked_between_two_uses_of_a_loop(script: Callable[..., str]) -> None:
    Artist.objects.create(name="Nina")
    connections["default"].close()
    script(
        f"{FORKING}\n"
        "closed = asyncio.new_event_loop()\n"
        "closed.run_until_complete(main())\n"
        "closed.close()\n"
        "loop = asyncio.new_event_loop()\n"
        "loop.run_until_complete(main())\n"
        "if os.fork() == 0:\n"
        "    child()\n"
        "    sys.exit(0)\n"
        "assert os.waitstatus_to_exitcode(os.wait()[1]) == 0\n"
        "assert loop.run_until_complete(connection_ids()) == before\n",
        "-W",
        "ignore::DeprecationWarning",
    )


@only_postgresql
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_leaves_a_session_that_listens_alone(
    script: Callable[..., str],
) -> None:
    script(
        "import asyncio, os, sys\n"
        "from vinyl.orm import connection\n"
        "async def main():\n"
        "    async with connection.listen('orders') as notifications:\n"
        "        if os.fork() == 0:\n"
        "            sys.exit(0)\n"
        "        assert os.waitstatus_to_exitcode(os.wait()[1]) == 0\n"
        "        async with connection.cursor() as cursor:\n"
        "            await cursor.execute('NOTIFY orders')\n"
        "        assert (await anext(notifications)).channel == 'orders'\n"
        "asyncio.run(main())",
        "-W",
        "ignore::DeprecationWarning",
    )


# How the connection that sync code has left in the thread is closed before a fork.
RECIPES = {
    "close_all": "connections.close_all()",
    "close_all in the bridge": "await run(connections.close_all)",
    "close_old_connections": "close_old_connections()",
    "close": "connection.close()",
    "close, awaited": "await connection.close()",
}

FORKING_OPEN = """
import asyncio, os
from django.db import close_old_connections, connection, connections
from asgiref.sync import sync_to_async
from vinyl.orm import run, transaction

def fork():
    if (child := os.fork()) == 0:
        code = 1
        try:
            assert count_twice() == (1, 1)
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_the_connection_of_the_thread_is_closed_before_a_fork(
    script: Callable[..., str], recipe: str
) -> None:
    Artist.objects.create(name="Nina")
    connections["default"].close()
    script(
        f"{FORKING_OPEN}\n"
        "assert Artist.objects.count() == 1\n"
        "of_thread = connections['default']\n"
        "assert of_thread.connection is not None\n"
        "async def main():\n"
        "    before = await connection_ids()\n"
        f"    {recipe}\n"
        "    assert of_thread.connection is None\n"
        "    fork()\n"
        # The pool's go on, but for one that the recipe closed in a run.
        "    assert len(set(await connection_ids()) & set(before)) >= 2\n"
        "    await Artist.objects.create(name='Odetta')\n"
        "asyncio.run(main())\n"
        "assert Artist.objects.count() == 2",
        "-W",
        "ignore::DeprecationWarning",
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_in_a_thread_that_a_block_has_lent_to(
    script: Callable[..., str],
) -> None:
    Artist.objects.create(name="Nina")
    connections["default"].close()
    script(
        f"{FORKING_OPEN}\n"
        "def work():\n"
        "    assert Artist.objects.count() == 2\n"
        "    fork()\n"
        "    Artist.objects.create(name='Abbey')\n"
        "async def main():\n"
        "    async with transaction.atomic():\n"
        "        await Artist.objects.create(name='Odetta')\n"
        "        await sync_to_async(work)()\n"
        "    assert await Artist.objects.count() == 3\n"
        "asyncio.run(main())",
        "-W",
        "ignore::DeprecationWarning",
    )
    assert Artist.objects.count() == 3


def test_spawned_processes(script: Callable[..., str]) -> None:
    Artist.objects.create(name="Nina")
    connections["default"].close()
    printed = script(
        "import asyncio, concurrent.futures, multiprocessing\n"
        "async def main():\n"
        "    before = await connection_ids()\n"
        "    context = multiprocessing.get_context('spawn')\n"
        "    loop = asyncio.get_running_loop()\n"
        "    with concurrent.futures.ProcessPoolExecutor(2, context) as executor:\n"
        "        calls = [loop.run_in_executor(executor, count_twice)] * 2\n"
        "        print(await asyncio.gather(*calls))\n"
        "    assert await connection_ids() == before\n"
        "if __name__ == '__main__':\n"
        "    asyncio.run(main())"
    )
    assert printed == "[(1, 1), (1, 1)]\n"
