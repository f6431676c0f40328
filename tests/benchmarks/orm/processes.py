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

__all__ = ["Failed", "Measured", "Process", "agree", "running"]

ROOT = Path(__file__).parents[3]


class Failed(Exception):
    """A contestant raised an error, or its results are not those of the others."""


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
        self._answer()

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
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"])
        return answer


@contextmanager
def running(
    entrant: Entrant, database: Database, pool_size: int, loop: str
) -> Iterator[Process]:
    """*entrant*, connected, in a process of its own that ends with the block."""
    command = [sys.executable, "-m", "tests.benchmarks.orm.worker"]
    command += [f"{PACKAGE}.{entrant.module}", loop]
    told = {
        **database.environment,
        **entrant.environment,
        "BENCH_POOL_SIZE": str(pool_size),
    }
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **told},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as popen:
        try:
            yield Process(entrant, popen)
            # The end of its input, at which it closes its connections.
            popen.communicate(timeout=30)
        finally:
            popen.kill()


def outcome(
    process: Process, database: Database, workload: str, operations: int
) -> tuple[dict[str, Any], list[tuple[Any, ...]]]:
    """What *process* returns in these operations, and the rows that it wrote."""
    if not WORKLOADS[workload].writes:
        return process.check(workload, operations), []
    database.reset()
    return process.check(workload, operations), database.written()


def agree(
    reference: Process,
    process: Process,
    database: Database,
    workload: str,
    operations: int,
) -> None:
    """
    Raises:
        Failed: *process* does not return or write what *reference* does.
    """
    expected, rows = outcome(reference, database, workload, operations)
    found, written = outcome(process, database, workload, operations)
    if found["digest"] != expected["digest"]:
        raise Failed(f"returned {found['text']} instead of {expected['text']}")
    if written != rows:
        raise Failed("wrote other rows")
