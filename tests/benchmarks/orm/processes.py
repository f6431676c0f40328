"""One process for each contestant, which waits for commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.orm.contestants import PACKAGE, Entrant
from tests.benchmarks.orm.database import Database
from tests.benchmarks.orm.workloads import WORKLOADS

__all__ = ["Measured", "Process", "agree", "running"]

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Measured:
    """
    One contestant's load, of one workload.

    rate: operations per second of wall time.
    cpu: the processor time of the contestant's process for each, in microseconds.
    """

    rate: float
    cpu: float


class Process:
    """A contestant that is connected to the database."""

    def __init__(self, entrant: Entrant, popen: subprocess.Popen[str]) -> None:
        self.entrant = entrant
        self.popen = popen
        self.workloads: list[str] = self._answer()["workloads"]

    def check(self, workload: str, operations: int) -> dict[str, Any]:
        return self._ask(workload=workload, operations=operations)

    def load(self, workload: str, tasks: int, seconds: float) -> Measured:
        found = self._ask(workload=workload, tasks=tasks, seconds=seconds)
        count = found["operations"]
        return Measured(count / found["seconds"], found["cpu"] / count * 1e6)

    def _ask(self, **command: Any) -> dict[str, Any]:
        assert self.popen.stdin is not None
        self.popen.stdin.write(json.dumps(command) + "\n")
        self.popen.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        if not line:
            raise RuntimeError(
                f"{self.entrant.title} ended instead of answering. Its output above "
                f"says why."
            )
        return json.loads(line)


@contextmanager
def running(
    entrant: Entrant, database: Database, pool_size: int, loop: str
) -> Iterator[Process]:
    """*entrant*, connected, in a process of its own that ends with the block."""
    popen = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.benchmarks.orm.worker",
            f"{PACKAGE}.{entrant.module}",
            loop,
        ],
        cwd=ROOT,
        env={
            **os.environ,
            **database.environment,
            **entrant.environment,
            "BENCH_POOL_SIZE": str(pool_size),
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Process(entrant, popen)
        popen.communicate(timeout=30)
    finally:
        popen.kill()
        popen.wait()


def agree(
    processes: list[Process], database: Database, workload: str, operations: int
) -> None:
    """
    See that all return and write the same as the first one.

    Raises:
        AssertionError: One does not; names it, and what both have.
    """
    expected = None
    for process in processes:
        if workload not in process.workloads:
            continue
        database.reset()
        found = process.check(workload, operations), database.written()
        if expected is None:
            expected, first = found, process.entrant.title
        title = process.entrant.title
        assert found[0]["digest"] == expected[0]["digest"], (
            f"{workload}: {title} returned {found[0]['text']}, but {first} "
            f"{expected[0]['text']}"
        )
        assert found[1] == expected[1], f"{workload}: {title} wrote other rows"
    function = WORKLOADS[workload].function
    assert expected is not None, f"No contestant has {function}()"
