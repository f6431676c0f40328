"""
Operations per second of vinyl's ORM, beside other ORMs and drivers.

    scripts/bench orm --workloads get list100 --contestants vinyl psycopg tortoise

Each contestant does the same operations in the same database, in a process of its own;
they take turns within each round. The tables show medians over the rounds.
docs/howto/benchmark-orm.md says how to read them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from tests.benchmarks.orm.contestants import CONTESTANTS, RAW, Entrant
from tests.benchmarks.orm.database import DATABASES, Database
from tests.benchmarks.orm.processes import Failed, Process, agree, running
from tests.benchmarks.orm.report import Results, report, say
from tests.benchmarks.orm.workloads import WORKLOADS

# What is compared, and what it stands on.
PACKAGES = """
    django psycopg psycopg-pool asyncpg tortoise-orm sqlalchemy piccolo peewee oxyde
    django-async-backend aiosqlite uvloop
""".split()
# Operations of each workload whose results are compared before it is timed.
CHECKED = 3


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench orm",
        description="Operations per second, beside other ORMs and drivers.",
    )
    add = parser.add_argument
    add("--workloads", nargs="+", choices=WORKLOADS, default=list(WORKLOADS))
    add("--contestants", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    add("--database", choices=DATABASES, default="postgresql")
    add("--tasks", nargs="+", type=int, default=[8], help="that work at the same time")
    add("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    add("--rounds", type=int, default=3)
    add("--seconds", type=float, default=1, help="of load, in each round")
    add("--pool", type=int, default=10, help="connections of each contestant's pool")
    add("--json", type=Path, metavar="FILE", help="also write what was measured there")
    return parser.parse_args()


def versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def entrants(given: argparse.Namespace) -> dict[str, Entrant]:
    """Those of the chosen that have what they need; the others are reported."""
    found = {}
    for key in given.contestants:
        entrant = CONTESTANTS[key]
        if given.database not in entrant.databases:
            continue
        if entrant.missing:
            names = ", ".join(entrant.missing)
            say(f"Missing: {entrant.title}, because {names} is not installed.")
        else:
            found[key] = entrant
    return found


# Why there is no time of a workload and a contestant.
Failures = dict[tuple[str, str], str]


def compare(
    processes: dict[str, Process],
    reference: Process,
    database: Database,
    given: argparse.Namespace,
) -> Failures:
    """Those that do not return and write what *reference* does."""
    failures = {}
    for workload in given.workloads:
        for key, process in processes.items():
            try:
                agree(reference, process, database, workload, CHECKED)
            except Failed as error:
                failures[workload, key] = str(error)
    return failures


def measure(
    processes: dict[str, Process],
    database: Database,
    given: argparse.Namespace,
    failures: Failures,
) -> list[Results]:
    found = [Results(given.database, given.loop, tasks) for tasks in given.tasks]
    keys = list(processes)
    for number in range(given.rounds):
        # Another one is the first in each round.
        turn = number % len(keys)
        for results in found:
            for workload in given.workloads:
                for key in keys[turn:] + keys[:turn]:
                    if (workload, key) in failures:
                        continue
                    if WORKLOADS[workload].writes:
                        database.reset()
                    try:
                        measured = processes[key].load(
                            workload, results.tasks, given.seconds
                        )
                    except Failed as error:
                        failures[workload, key] = str(error)
                        results.rounds.pop((workload, key), None)
                    else:
                        results.rounds[workload, key].append(measured)
        sys.stderr.write(f"Round {number + 1} of {given.rounds} is done.\n")
    return found


def main() -> int:
    """The exit status: 1 if a contestant failed."""
    given = options()
    system = f"{platform.system()}, {os.cpu_count()} cores"
    say(f"Python {platform.python_version()}, {system}")
    installed = versions()
    say(", ".join(f"{name} {number}" for name, number in installed.items()))
    say(
        f"{given.database}, {given.loop}, pools of {given.pool}, "
        f"{given.rounds} rounds of {given.seconds:g} s"
    )
    raw = RAW[given.database]
    with ExitStack() as stack:
        database = stack.enter_context(DATABASES[given.database]())

        def run(entrant: Entrant) -> Process:
            return stack.enter_context(
                running(entrant, database, given.pool, given.loop)
            )

        processes = {key: run(entrant) for key, entrant in entrants(given).items()}
        # Its results are the right ones, whether or not it is timed.
        reference = processes.get(raw) or run(CONTESTANTS[raw])
        failures = compare(processes, reference, database, given)
        found = measure(processes, database, given, failures)
    for results in found:
        report(results, raw)
    if failures:
        say("\n### Failed\n")
    for (workload, key), reason in failures.items():
        say(f"- {CONTESTANTS[key].title}, {workload}: {reason}")
    if given.json:
        content = {
            "python": platform.python_version(),
            "system": system,
            "packages": installed,
            "options": {**vars(given), "json": str(given.json)},
            "results": [results.as_json() for results in found],
            "failures": [[*it, reason] for it, reason in failures.items()],
        }
        given.json.write_text(json.dumps(content, indent=2) + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
