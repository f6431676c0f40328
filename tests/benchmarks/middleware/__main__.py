"""
Requests per second of a Django project with six middlewares, as it is and on vinyl.

    scripts/bench middleware
    scripts/bench middleware --ways stock bridged --rounds 5

One process each serves a page of a few rows for a user who has logged in, by a sync
and by an async view, from the same PostgreSQL; they take turns within each round. The
tables show medians over the rounds. docs/howto/existing-django-project.md has the
latest.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

import httpx

from tests.benchmarks.http.load import GENERATORS, default_generator, load
from tests.benchmarks.http.servers import Server, free_port, server_of
from tests.benchmarks.http.times import Times, rounds, say, table
from tests.benchmarks.middleware.ways import WAYS, command_of, ways
from tests.postgres import empty_database, postgres_server

ROOT = Path(__file__).parents[3]
PAGES = {"/plain/": "A sync view", "/async/": "An async view"}
PACKAGES = ["django", "psycopg", "uvicorn", "uvloop", "httptools"]


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench middleware", description=__doc__
    )
    parser.add_argument(
        "--ways", nargs="+", choices=WAYS, default=WAYS, help="the first is the unit"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=5, help="of the page")
    parser.add_argument(
        "--seconds", type=float, default=5, help="of load, on each page in each round"
    )
    parser.add_argument(
        "--connections", type=int, default=8, help="of the load, and of each pool"
    )
    parser.add_argument(
        "--load", choices=GENERATORS, default=default_generator(), help="what sends it"
    )
    return parser.parse_args()


def environment_of(way: str, url: str, connections: int) -> dict[str, str]:
    return {
        "BENCH_WAY": way,
        "BENCH_URL": url,
        "BENCH_CONNECTIONS": str(connections),
    }


def prepare(url: str, rows: int) -> str:
    """Make the tables and albums at *url*; return the Cookie header of a user."""
    code = (
        "from tests.benchmarks.middleware import serve\n"
        "from django.core.management import call_command\n"
        "call_command('migrate', run_syncdb=True, verbosity=0)\n"
        "from tests.benchmarks.middleware.site import fill\n"
        f"print(fill({rows}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment_of("stock", url, 1)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@contextmanager
def serving_in(
    names: list[str], connections: int, rows: int
) -> Iterator[tuple[list[Server], str]]:
    """A server for each way, and the Cookie header of a user who has logged in."""
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server())
        url = stack.enter_context(empty_database(postgres))
        cookie = prepare(url, rows)
        servers = []
        for name in names:
            way, port = ways(connections)[name], free_port()
            server = server_of(
                way.title,
                command_of(way, port),
                port,
                environment_of(name, url, connections),
                ready="/plain/",
            )
            servers.append(stack.enter_context(server))
        yield servers, cookie


def agree(servers: list[Server], cookie: str) -> None:
    """
    Raises:
        RuntimeError: A server's page is not the first one's, or not for the user.
    """
    for path in PAGES:
        found = {server.title: ask(server, path, cookie) for server in servers}
        wanted = found[servers[0].title]
        for title, answer in found.items():
            if (
                answer != wanted
                or "albums for nina" not in answer
                or "Songs" not in answer
            ):
                raise RuntimeError(f"{title} answers {path} with {answer}")


def ask(server: Server, path: str, cookie: str) -> str:
    headers = {"Cookie": cookie, "X-Region": "asia"}
    answer = httpx.get(f"{server.url}{path}", headers=headers, trust_env=False)
    told = [answer.headers.get(name) for name in ("X-Region", "Content-Language")]
    return f"{answer.status_code} {told} {answer.text}"


def main() -> None:
    given = options()
    system = f"{platform.system()}, {os.cpu_count()} cores"
    say(f"Python {platform.python_version()}, {system}")
    say(", ".join(f"{name} {version(name)}" for name in PACKAGES))
    say(
        f"A page of {given.rows} rows, {given.connections} connections of "
        f"{given.load}, {given.rounds} rounds of {given.seconds:g} s"
    )
    times: dict[str, dict[str, Times]] = defaultdict(lambda: defaultdict(Times))
    with serving_in(given.ways, given.connections, given.rows) as (servers, cookie):
        agree(servers, cookie)
        for server in servers:
            for path in PAGES:
                # Until caches are full.
                load(
                    given.load, server.port, [path], given.connections, 1, cookie=cookie
                )
        for turn in rounds(servers, given.rounds):
            for path in PAGES:
                for server in turn:
                    times[path][server.title].take(server, [path], given, cookie=cookie)
    for path, title in PAGES.items():
        say(f"\n### {title}\n")
        say(
            table(
                {server.title: times[path][server.title] for server in servers},
                "the first",
            )
        )


if __name__ == "__main__":
    main()
