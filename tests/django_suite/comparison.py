"""What a run of Django's tests has to do: whatever stock Django does."""

from __future__ import annotations

import tomllib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Exceptions", "Run", "Verdict", "compare"]

# Outcomes of a test, as suite.py notes them, that count as success.
GOOD = {"passed", "expected failure"}


@dataclass
class Run:
    """The outcomes of one mode on one database."""

    mode: str
    database: str
    # By the test's id: its outcome, and what there is to say about it.
    tests: dict[str, tuple[str, str]] = field(default_factory=dict)
    # The ids of those that are written with `async def`.
    async_tests: set[str] = field(default_factory=set)
    # Labels whose tests could not be run at all, and why.
    broken: dict[str, str] = field(default_factory=dict)
    # How many queries had a plan, and why others had none, if they were counted.
    plans: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, part: Run) -> None:
        """Take in the outcomes of *part*, other labels in the same mode."""
        self.tests |= part.tests
        self.async_tests |= part.async_tests
        self.broken |= part.broken
        self.plans += part.plans
        self.seconds += part.seconds

    def count(self, *outcomes: str) -> int:
        return sum(outcome in outcomes for outcome, _ in self.tests.values())


class Exceptions:
    """
    The tests that need not pass in some mode, each with its reason.

    The file has tables `[[exception]]` with `tests` (ids), `reason`, and optionally
    `modes`, `databases` and `django` (versions such as "5.2"); what is left out stands
    for all. `unsteady = true` is for tests that pass in some runs and fail in others.
    """

    def __init__(self, path: Path, django: str) -> None:
        self.entries: list[dict[str, Any]] = []
        for entry in tomllib.loads(path.read_text())["exception"]:
            if not entry.get("reason", "").strip():
                raise ValueError(f"An exception of {path} has no reason: {entry}")
            if django in entry.get("django", [django]):
                self.entries.append(entry)

    def listed(self, mode: str, database: str) -> dict[str, bool]:
        """
        The ids of the tests that are excepted in *mode* on *database*, and whether
        each is unsteady.
        """
        return {
            test: entry.get("unsteady", False)
            for entry in self.entries
            if mode in entry.get("modes", [mode])
            and database in entry.get("databases", [database])
            for test in entry["tests"]
        }


@dataclass
class Verdict:
    """What is wrong with a run, by test id."""

    # Stock passes it, this run did not, and no exception is listed.
    failed: dict[str, str] = field(default_factory=dict)
    # An exception is listed and the test passed.
    needless: list[str] = field(default_factory=list)
    excepted: int = 0

    @property
    def good(self) -> bool:
        return not self.failed and not self.needless


def compare(run: Run, stock: Run, listed: dict[str, bool]) -> Verdict:
    """
    Compare *run* with *stock*, the same tests on the same database without vinyl.

    Args:
        listed: Ids of the tests that are excepted, and whether they are unsteady.
    """
    verdict = Verdict()
    for label, problem in run.broken.items():
        if label not in stock.broken:
            verdict.failed[label] = f"broken: {problem}"
    for test, (expected, _) in stock.tests.items():
        if run.mode == "async" and test not in stock.async_tests:
            continue
        outcome, detail = run.tests.get(test, ("missing", "It did not run."))
        if expected not in GOOD or outcome == expected:
            if outcome in GOOD and not listed.get(test, True):
                verdict.needless.append(test)
        elif test in listed:
            verdict.excepted += 1
        else:
            verdict.failed[test] = f"{outcome}: {detail}"
    return verdict
