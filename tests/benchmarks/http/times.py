"""What was measured, round by round, and the tables of it."""

from __future__ import annotations

import statistics
import sys
from argparse import Namespace
from collections.abc import Iterator

from tests.benchmarks.http.load import Result, load
from tests.benchmarks.http.servers import Server

__all__ = ["Times", "rounds", "say", "table"]


class Times:
    """What was measured of one contestant on one page, round by round."""

    def __init__(self) -> None:
        self.results: list[Result] = []
        # Microseconds of the server's processor for each request.
        self.cpu: list[float] = []

    def take(
        self, server: Server, paths: list[str], given: Namespace, *, cookie: str = ""
    ) -> None:
        """Measure once more, with the options `load`, `connections` and `seconds`."""
        before = server.cpu_seconds()
        result = load(
            given.load,
            server.port,
            paths,
            given.connections,
            given.seconds,
            cookie=cookie,
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


def rounds(servers: list[Server], count: int) -> Iterator[list[Server]]:
    """The servers in the order of each round: another one is the first in each."""
    for number in range(count):
        turn = number % len(servers)
        yield servers[turn:] + servers[:turn]
        sys.stderr.write(f"Round {number + 1} of {count} is done.\n")


def table(times: dict[str, Times], unit: str) -> str:
    """
    The medians in Markdown, by the title of each contestant, the fastest first.

    Args:
        unit: What the rate of the first contestant is called in the heading.
    """
    first = next(iter(times.values()))
    lines = [
        f"| | requests/s | times {unit} | p50 ms | p99 ms | CPU µs |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for title, it in sorted(times.items(), key=lambda item: -item[1].median("rate")):
        cpu = f"{statistics.median(it.cpu):,.0f}" if it.cpu else ""
        lines.append(
            f"| {title} | {it.median('rate'):,.0f} | {it.ratio(first):.2f} "
            f"| {it.median('p50'):.1f} | {it.median('p99'):.1f} | {cpu} |"
        )
    return "\n".join(lines)


def say(text: str = "") -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
