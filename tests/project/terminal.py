"""
What a user does in a terminal: runs a command, starts a server, asks it for pages.

Each command is a process of its own. The folder, the settings and the server are real;
only the port is found, not given.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

# Seconds for one command, and for a server to answer; generous for a busy machine.
PATIENCE = 90.0


# asyncio's debug mode prints each step of a loop that a slow machine takes long for.
OF_THE_TEST_RUN = (
    "DATABASE_URL",
    "DJANGO_",
    "PYTEST_",
    "PYTHONASYNCIODEBUG",
    "PYTHONUNBUFFERED",
    "VINYL_",
)


def environment(database_url: str | None = None) -> dict[str, str]:
    """The environment of a user's terminal: nothing of this test run's settings."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(OF_THE_TEST_RUN)
    }
    # Tests of a project are run by anyio's plugin; pytest-asyncio would warn of it.
    kept["PYTEST_ADDOPTS"] = "-p no:asyncio"
    return kept | ({"DATABASE_URL": database_url} if database_url else {})


def vinyl(
    *args: str, cwd: Path, database_url: str | None = None, fails: bool = False
) -> str:
    """Run the command in *cwd*; return what it printed, errors included."""
    return run("vinyl", *args, cwd=cwd, database_url=database_url, fails=fails)


def run(
    module: str,
    *args: str,
    cwd: Path,
    database_url: str | None = None,
    fails: bool = False,
) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *args],
        cwd=cwd,
        env=environment(database_url),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == (1 if fails else 0), done.stdout
    return done.stdout


def new_project(folder: Path) -> Path:
    """The folder of a new project "mysite" in *folder*, a copy of one made before."""
    return shutil.copytree(_made_project(), folder / "mysite")


@functools.cache
def _made_project() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="vinyl-project-")
    atexit.register(folder.cleanup)
    vinyl("startproject", "mysite", cwd=Path(folder.name))
    return Path(folder.name) / "mysite"


@contextmanager
def serving(
    project: Path,
    database_url: str | None = None,
    *,
    reload: bool = False,
    options: Iterable[str] = (),
) -> Iterator[httpx.Client]:
    """Serve *project* on a free port; give a client that knows the address."""
    command = ["vinyl", "runserver", "{port}", *options]
    command += [] if reload else ["--noreload"]
    with server(*command, cwd=project, database_url=database_url) as (url, log):
        with httpx.Client(base_url=url, timeout=30) as client:
            yield client
    assert reload or "Traceback" not in log.read_text()


@contextmanager
def server(
    module: str,
    *args: str,
    cwd: Path,
    database_url: str | None = None,
    stop: signal.Signals = signal.SIGINT,
) -> Iterator[tuple[str, Path]]:
    """
    Run a server in *cwd* while the block lasts; give its address and its log.

    Args:
        args: What is passed to *module*, with `{port}` where the port belongs.
        stop: What ends it: Ctrl-C, or what a service manager sends.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = cwd / "server.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *(arg.format(port=port) for arg in args)],
            cwd=cwd,
            env=environment(database_url),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        wait_for_port(port, process, log)
        yield f"http://127.0.0.1:{port}", log
        process.send_signal(stop)
        process.wait(PATIENCE)
        wait_for(lambda: not is_running(process.pid), log)
    finally:
        # Where the test failed; the processes that the server started, too.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def is_running(group: int) -> bool:
    """Whether a process is left of *group*: a server, and what it has started."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_port(port: int, process: subprocess.Popen[Any], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"Nothing answers on port {port}: {log.read_text()}")


def wait_for(condition: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
