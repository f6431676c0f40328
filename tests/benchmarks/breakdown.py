"""
Where the time of an operation goes: vinyl's rooms, psycopg, the event loop, PostgreSQL.

    scripts/bench breakdown
    scripts/bench breakdown --workloads get list100 --contestant psycopg

One contestant of `scripts/bench orm`, with its workloads. While they run, a timer that
counts processor time asks which module Python is in. Work in C is that of the module
that calls it: what libpq takes is the driver's in `vinyl.orm.backends`, and the system
calls that wait for the network are in `selectors`. The time of PostgreSQL is that of
its sessions' processes, on this machine.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import import_module
from types import FrameType
from typing import Any

import psycopg

from tests.benchmarks.orm.contestants import CONTESTANTS, PACKAGE
from tests.benchmarks.orm.database import DATABASES
from tests.benchmarks.orm.workloads import WORKLOADS

# Of processor time, in seconds. The kernel's own clock may be coarser.
INTERVAL = 0.001
CHOICES = [
    key
    for key, entrant in CONTESTANTS.items()
    if "postgresql" in entrant.databases and not key.endswith("sync")
]
ROOM_DEPTH = {"vinyl": 3, "tests": 2}


def room_of(frame: FrameType | None) -> str:
    """The package that *frame* is in, or a room of vinyl."""
    name = "" if frame is None else frame.f_globals.get("__name__", "")
    if not name or name.startswith("namedtuple_"):
        # Such as a loader of rows.
        return "generated code"
    parts = name.split(".")
    return ".".join(parts[: ROOM_DEPTH.get(parts[0], 1)])


@contextmanager
def sampling(samples: Counter[str]) -> Iterator[None]:
    def sample(signum: int, frame: FrameType | None) -> None:
        samples[room_of(frame)] += 1

    before = signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL, INTERVAL)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


class Server:
    """The sessions of the contestant in PostgreSQL, which the environment names."""

    def __init__(self) -> None:
        self.connection = psycopg.connect(autocommit=True)

    def close(self) -> None:
        self.connection.close()

    def seconds(self) -> dict[int, float]:
        """The processor time of each session's process, by its number."""
        pids = self.connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchall()
        return {pid: _seconds_of(pid) for (pid,) in pids}


def _seconds_of(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:
        # The name of the command, in parentheses, may have spaces.
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(contestant: Any, server: Server, given: argparse.Namespace) -> None:
    from tests.benchmarks.orm.worker import AsyncWorker

    worker = AsyncWorker(contestant)
    await worker.open()
    for name in given.workloads:
        workload = WORKLOADS[name]
        await worker.load(workload, given.tasks, given.seconds / 10)
        samples: Counter[str] = Counter()
        before = server.seconds()
        with sampling(samples):
            done = await worker.load(workload, given.tasks, given.seconds)
        after = server.seconds()
        served = sum(after[pid] - before.get(pid, 0.0) for pid in after)
        report(name, samples, done, served)
    await worker.close()


def report(
    name: str, samples: Counter[str], done: dict[str, Any], served: float
) -> None:
    operations, total = done["operations"], sum(samples.values())
    cpu = done["cpu"] / operations * 1e6
    lines = [f"\n{name}: {cpu:,.0f} µs of the client's processor an operation"]
    for room, count in samples.most_common():
        if count * 100 >= total:
            lines.append(f"    {room:<28}{count / total * cpu:>9.1f} µs")
    lines.append(
        f"    {'(PostgreSQL, beside it)':<28}{served / operations * 1e6:>9.1f} µs"
    )
    sys.stdout.write("\n".join(lines) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="scripts/bench breakdown", description="Where an operation's time goes."
    )
    add = parser.add_argument
    add("--workloads", nargs="+", choices=WORKLOADS, default=["get", "list100"])
    add("--contestant", choices=CHOICES, default="vinyl")
    add("--tasks", type=int, default=8)
    add("--seconds", type=float, default=10)
    add("--pool", type=int, default=10)
    given = parser.parse_args()
    entrant = CONTESTANTS[given.contestant]
    with DATABASES["postgresql"]() as database:
        os.environ.update(database.environment)
        os.environ.update(entrant.environment, BENCH_POOL_SIZE=str(given.pool))
        if "DJANGO_SETTINGS_MODULE" in os.environ:
            import django

            django.setup()
        contestant = import_module(f"{PACKAGE}.{entrant.module}")
        with closing(Server()) as server:
            asyncio.run(measure(contestant, server, given))


if __name__ == "__main__":
    main()
