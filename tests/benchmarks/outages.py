"""
The example shop while its sessions are killed, and while its server restarts: the share
of responses with a status of 5xx.

    scripts/bench outages
    scripts/bench outages --beside ../another-checkout

Clients ask for pages all the time, and write a review now and then. In the first run
half of all sessions are killed each second, chosen at random; in the second, PostgreSQL
is restarted once. Responses are counted for reads (GET) and writes (POST). The two
checkouts take turns, each with a process of its own, on one server.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.postgres import empty_database, own_server

ROOT = Path(__file__).parents[2]
# One request in this many writes.
WRITES = 8
# The longest response that is waited for, in seconds.
PATIENCE = 30.0

Disturb = Callable[[Any, str, float], Coroutine[Any, Any, None]]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench outages", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20, help="for each run")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--beside", type=Path, metavar="CHECKOUT", help="another checkout of vinyl"
    )
    return parser.parse_args()


async def kill_half(server: Any, url: str, seconds: float) -> None:
    """Kill half of the sessions of the database each second."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as session:
        for _ in range(int(seconds)):
            await session.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() "
                "ORDER BY random() LIMIT (SELECT (count(*) + 1) / 2 "
                "FROM pg_stat_activity WHERE datname = current_database())"
            )
            await asyncio.sleep(1)


async def restart(server: Any, url: str, seconds: float) -> None:
    """Restart the server once, in the middle."""
    await asyncio.sleep(seconds / 3)
    await asyncio.to_thread(server.stop)
    await asyncio.to_thread(server.start)
    await asyncio.sleep(seconds * 2 / 3)


RUNS: dict[str, Disturb] = {
    "half of all sessions killed each second": kill_half,
    "the server restarts": restart,
}


class Shop:
    """
    The example project, made with one checkout of vinyl.

    Args:
        checkout: The folder that holds the package.
        folder: Where to make the project.
        url: Of an empty database.
    """

    def __init__(self, checkout: Path, folder: Path, url: str) -> None:
        self.folder = folder / "shop"
        kept = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
        self.environment = {
            **kept,
            "PYTHONPATH": str(checkout.resolve()),
            "DATABASE_URL": url,
            "DEBUG": "0",
            "SECRET_KEY": "of the benchmark, and of at least fifty characters in all",
            "ALLOWED_HOSTS": "127.0.0.1",
        }
        self._vinyl("startproject", "shop", "--example", cwd=folder)
        self._vinyl("migrate")
        self._vinyl("loadsample")
        self._vinyl("collectstatic", "--noinput")
        with psycopg.connect(url) as session:
            slugs = session.execute("SELECT slug FROM records_album").fetchall()
            artists = session.execute("SELECT slug FROM records_artist").fetchall()
        self.albums = [f"/albums/{slug}/" for (slug,) in slugs]
        self.artists = [f"/artists/{slug}/" for (slug,) in artists]

    def _vinyl(self, *arguments: str, cwd: Path | None = None) -> None:
        subprocess.run(
            [sys.executable, "-m", "vinyl", *arguments],
            cwd=cwd or self.folder,
            env=self.environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve the shop; give its address."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "uvicorn", "shop.asgi:application"]
        command += ["--port", str(port), "--no-access-log", "--log-level", "critical"]
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()

    def request(self) -> tuple[str, str, dict[str, str] | None]:
        """Return a method, a path and a form, drawn at random."""
        if random.randrange(WRITES) == 0:
            form = {"author": "Leo", "rating": "4", "text": "A scratch"}
            return "POST", random.choice(self.albums), form
        pages = (
            "/",
            f"/albums/?page={random.randrange(1, 20)}",
            random.choice(self.albums),
            random.choice(self.artists),
            f"/api/albums/{random.randrange(1, 400)}/",
        )
        return "GET", random.choice(pages), None


@asynccontextmanager
async def clients_of(address: str, number: int) -> AsyncIterator[httpx.AsyncClient]:
    limits = httpx.Limits(max_connections=number)
    async with httpx.AsyncClient(
        base_url=address, limits=limits, timeout=PATIENCE, trust_env=False
    ) as http:
        while True:
            with suppress(httpx.TransportError):
                (await http.get("/")).raise_for_status()
                break
            await asyncio.sleep(0.1)
        yield http


async def measure(
    shop: Shop, server: Any, url: str, disturb: Disturb, chosen: argparse.Namespace
) -> Counter[str]:
    """
    Return the number of requests and of errors, as `GET`, `GET 5xx`, `POST` and
    `POST 5xx`, and the slowest response as `slowest_ms`.
    """
    found: Counter[str] = Counter()
    ended = asyncio.Event()

    async def ask(http: httpx.AsyncClient) -> None:
        while not ended.is_set():
            method, path, form = shop.request()
            begun = time.monotonic()
            try:
                response = await http.request(method, path, data=form)
                failed = response.status_code >= 500
            except httpx.TransportError:
                failed = True
            found[method] += 1
            found[f"{method} 5xx"] += failed
            taken = round((time.monotonic() - begun) * 1000)
            found["slowest_ms"] = max(found["slowest_ms"], taken)

    with shop.serving() as address:
        async with (
            clients_of(address, chosen.clients) as http,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(chosen.clients):
                group.create_task(ask(http))
            await disturb(server, url, chosen.seconds)
            ended.set()
    return found


def share(found: Counter[str], method: str) -> str:
    number, failed = found[method], found[f"{method} 5xx"]
    return f"{failed:>5} of {number:>6} {failed / max(number, 1):>8.2%}"


def main() -> None:
    chosen = options()
    checkouts = {"this checkout": ROOT}
    if chosen.beside is not None:
        checkouts = {f"{chosen.beside.resolve().name}": chosen.beside, **checkouts}
    totals: dict[tuple[str, str], Counter[str]] = {}
    with own_server() as server, tempfile.TemporaryDirectory() as folder:
        for title, checkout in checkouts.items():
            place = Path(folder, title.replace(" ", "-"))
            place.mkdir()
            with empty_database(server.get_uri()) as url:
                shop = Shop(checkout, place, url)
                for name, disturb in RUNS.items():
                    for _ in range(chosen.rounds):
                        found = asyncio.run(measure(shop, server, url, disturb, chosen))
                        total = totals.setdefault((name, title), Counter())
                        slowest = max(total["slowest_ms"], found["slowest_ms"])
                        total += found
                        total["slowest_ms"] = slowest
    for (name, title), found in sorted(totals.items()):
        sys.stdout.write(
            f"{name}, {title}:\n"
            f"    GET  5xx {share(found, 'GET')}\n"
            f"    POST 5xx {share(found, 'POST')}\n"
            f"    slowest  {found['slowest_ms']} ms\n"
        )


if __name__ == "__main__":
    main()
