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
import statistics
import sys
from collections import defaultdict
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

import httpx

from tests.benchmarks.http.database import Row, environment, fill
from tests.benchmarks.http.load import GENERATORS, Result, default_generator, load
from tests.benchmarks.http.pages import PAGES, Page
from tests.benchmarks.http.servers import (
    CONTESTANTS,
    EXTRA,
    Contestant,
    Server,
    serving,
)
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


def say(text: str = "") -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Times:
    """What was measured of one contestant on one page, round by round."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        # Microseconds of the server's processor for each request.
        self.cpu: list[float] = []

    def take(self, server: Server, page: Page, given: argparse.Namespace) -> None:
        before = server.cpu_seconds()
        result = load(
            given.load, server.port, page.paths, given.connections, given.seconds
        )
        after = server.cpu_seconds()
        self.results.append(result)
        if before is not None and after is not None:
            answers = result.rate * given.seconds
            self.cpu.append((after - before) / answers * 1e6)

    def median(self, name: str) -> float:
        return statistics.median(getattr(result, name) for result in self.results)

    def ratio(self, other: Times) -> float:
        """How many times *other*'s rate; of each round, since neighbours disturb."""
        pairs = zip(self.results, other.results, strict=True)
        return statistics.median(mine.rate / its.rate for mine, its in pairs)


def measure(
    servers: list[Server], given: argparse.Namespace
) -> dict[tuple[str, str], Times]:
    """The times by the keys of pages and the titles of contestants."""
    times: dict[tuple[str, str], Times] = defaultdict(Times)
    for number in range(given.rounds):
        # Another one is the first in each round.
        turn = number % len(servers)
        for key in given.pages:
            for server in servers[turn:] + servers[:turn]:
                title = server.contestant.title
                times[key, title].take(server, PAGES[key], given)
        sys.stderr.write(f"Round {number + 1} of {given.rounds} is done.\n")
    return times


def report(times: dict[tuple[str, str], Times], titles: list[str]) -> None:
    for key in dict.fromkeys(key for key, _ in times):
        say(f"\n### {PAGES[key].title}: `{PAGES[key].paths[0]}`\n")
        say(f"| | requests/s | times {titles[0]} | p50 ms | p99 ms | CPU µs |")
        say("|---|---:|---:|---:|---:|---:|")
        first = times[key, titles[0]]
        for title in sorted(
            titles, key=lambda title: -times[key, title].median("rate")
        ):
            it = times[key, title]
            cpu = f"{statistics.median(it.cpu):,.0f}" if it.cpu else ""
            say(
                f"| {title} | {it.median('rate'):,.0f} | {it.ratio(first):.2f} "
                f"| {it.median('p50'):.1f} | {it.median('p99'):.1f} | {cpu} |"
            )


def warm_up(server: Server, given: argparse.Namespace, rows: list[Row]) -> None:
    """See that every answer is right, then let caches fill."""
    with httpx.Client(base_url=server.url, trust_env=False, timeout=30) as client:
        for key in given.pages:
            PAGES[key].check(server.contestant.title, client, rows)
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
