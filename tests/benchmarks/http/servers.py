"""One process of uvicorn for each contestant, all with the same options."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

__all__ = [
    "CONTESTANTS",
    "EXTRA",
    "Contestant",
    "Server",
    "free_port",
    "server_of",
    "serving",
]

ROOT = Path(__file__).parents[3]
PACKAGE = "tests.benchmarks.http.contestants"


@dataclass(frozen=True)
class Contestant:
    title: str
    app: str
    environment: dict[str, str] = field(default_factory=dict)
    # The checkout that it is taken from.
    root: Path = ROOT


CONTESTANTS = {
    "vinyl": Contestant("vinyl", "vinyl.asgi:application"),
    "django": Contestant("Django", "django.asgi:application"),
    "fastapi": Contestant("FastAPI, SQLAlchemy", "fastapi_sqlalchemy:app"),
    "litestar": Contestant("Litestar, Piccolo", "litestar_piccolo:app"),
    "starlette": Contestant("Starlette, Tortoise", "starlette_tortoise:app"),
    "psycopg": Contestant("Starlette, psycopg", "starlette_psycopg:app"),
}
# Those two once more, with the middleware that their startproject lists.
MIDDLEWARE = {"BENCH_MIDDLEWARE": "1"}
EXTRA = {
    "vinyl-startproject": Contestant(
        "vinyl, as startproject", "vinyl.asgi:application", MIDDLEWARE
    ),
    "django-startproject": Contestant(
        "Django, as startproject", "django.asgi:application", MIDDLEWARE
    ),
}


@dataclass(frozen=True)
class Server:
    """A contestant that serves."""

    title: str
    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cpu_seconds(self) -> float | None:
        """
        What the process and its children have computed so far; None where no /proc
        tells.
        """
        main = self.process.pid
        try:
            children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
            return sum(map(cpu_seconds_of, [str(main), *children]))
        except OSError:
            return None


def cpu_seconds_of(pid: str) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text()
    # Counted from behind the command's name, which may contain anything.
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def serving(
    contestant: Contestant, database: dict[str, str], pool_size: int
) -> Iterator[Server]:
    """
    *contestant*, ready for requests.

    Raises:
        RuntimeError: It ended instead.
    """
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", f"{PACKAGE}.{contestant.app}"]
    command += ["--port", str(port), "--loop", "uvloop", "--http", "httptools"]
    command += ["--ws", "none", "--no-access-log", "--log-level", "warning"]
    environment = {"BENCH_POOL_SIZE": str(pool_size), **database}
    environment |= contestant.environment
    root, ready = contestant.root, "/text"
    with server_of(
        contestant.title, command, port, environment, ready=ready, root=root
    ) as it:
        yield it


@contextmanager
def server_of(
    title: str,
    command: list[str],
    port: int,
    environment: dict[str, str],
    *,
    ready: str,
    root: Path = ROOT,
) -> Iterator[Server]:
    """
    The server that *command* starts in the folder *root*, ready for requests.

    Args:
        title: For the tables.
        port: Where it listens.
        environment: Variables beside those of this process.
        ready: A path that it answers.

    Raises:
        RuntimeError: It ended instead.
    """
    process = subprocess.Popen(command, cwd=root, env={**os.environ, **environment})
    server = Server(title, process, port)
    try:
        wait_for(server, ready)
        yield server
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def wait_for(server: Server, path: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            httpx.get(f"{server.url}{path}", trust_env=False)
            return
        except httpx.TransportError as error:
            if server.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"{server.title} does not serve; its output above tells why."
                ) from error
        time.sleep(0.1)
