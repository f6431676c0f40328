"""
Requests per second on one server process, beside peers.

    scripts/bench http --pages one twenty --contestants vinyl django

Each contestant serves the same pages from the same PostgreSQL; they take turns within
each round. The tables show medians over the rounds. docs/howto/benchmark-http.md says
how to read them.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections import defaultdict
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

import httpx

from tests.benchmarks.http.database import Row, environment, fill
from tests.benchmarks.http.load import GENERATORS, default_generator, load
from tests.benchmarks.http.pages import PAGES
from tests.benchmarks.http.servers import (
    CONTESTANTS,
    EXTRA,
    Contestant,
    Server,
    serving,
)
from tests.benchmarks.http.times import Times, rounds, say, table
from tests.postgres import empty_database, postgres_server

# What is compared, and what it stands on.
PACKAGES = """
    django psycopg psycopg-pool fastapi sqlalchemy litestar piccolo starlette
    tortoise-orm asyncpg jinja2 uvicorn uvloop httptools
""".split()


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench http",
        description="Requests per second on one server process, beside peers.",
    )
    parser.add_argument("--pages", nargs="+", choices=PAGES, default=list(PAGES))
    parser.add_argument(
        "--contestants",
        nargs="+",
        choices=[*CONTESTANTS, *EXTRA],
        default=list(CONTESTANTS),
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="CHECKOUT",
        help="also take part: vinyl as it is in another checkout of this repository",
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--seconds", type=float, default=5, help="of load, on each page in each round"
    )
    parser.add_argument("--connections", type=int, default=32, help="of the load")
    parser.add_argument(
        "--pool", type=int, default=10, help="connections of each server's pool"
    )
    parser.add_argument(
        "--load", choices=GENERATORS, default=default_generator(), help="what sends it"
    )
    return parser.parse_args()


def measure(
    servers: list[Server], given: argparse.Namespace
) -> dict[tuple[str, str], Times]:
    """The times by the keys of pages and the titles of contestants."""
    times: dict[tuple[str, str], Times] = defaultdict(Times)
    for turn in rounds(servers, given.rounds):
        for key in given.pages:
            for server in turn:
                times[key, server.title].take(server, PAGES[key].paths, given)
    return times


def report(times: dict[tuple[str, str], Times], titles: list[str]) -> None:
    for key in dict.fromkeys(key for key, _ in times):
        say(f"\n### {PAGES[key].title}: `{PAGES[key].paths[0]}`\n")
        say(table({title: times[key, title] for title in titles}, "vinyl"))


def warm_up(server: Server, given: argparse.Namespace, rows: list[Row]) -> None:
    """See that every answer is right, then let caches fill."""
    with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client:
        for key in given.pages:
            PAGES[key].check(server.title, client, rows)
    for key in given.pages:
        paths = PAGES[key].paths
        load(given.load, server.port, paths, given.connections, given.seconds)


def main() -> None:
    given = options()
    contestants = [(CONTESTANTS | EXTRA)[name] for name in given.contestants]
    if given.against:
        it = CONTESTANTS["vinyl"]
        title = f"vinyl of {given.against.name}"
        contestants.append(Contestant(title, it.app, root=given.against.resolve()))
    system = f"{platform.system()}, {os.cpu_count()} cores"
    say(f"Python {platform.python_version()}, {system}")
    say(", ".join(f"{name} {version(name)}" for name in PACKAGES))
    say(
        f"{given.connections} connections of {given.load}, pools of {given.pool}, "
        f"{given.rounds} rounds of {given.seconds:g} s"
    )
    with ExitStack() as stack:
        postgres = stack.enter_context(postgres_server())
        url = stack.enter_context(empty_database(postgres))
        rows = fill(url)
        servers = [
            stack.enter_context(serving(contestant, environment(url), given.pool))
            for contestant in contestants
        ]
        for server in servers:
            warm_up(server, given, rows)
        times = measure(servers, given)
    report(times, [contestant.title for contestant in contestants])


if __name__ == "__main__":
    main()
