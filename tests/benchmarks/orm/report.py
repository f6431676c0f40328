"""The tables, with the goals beside them."""

from __future__ import annotations

import statistics
import sys
from collections import defaultdict
from collections.abc import Callable
from functools import partial

from tests.benchmarks.orm.contestants import CONTESTANTS
from tests.benchmarks.orm.processes import Measured

__all__ = ["GOALS", "Results", "report", "say"]

# With 8 tasks on PostgreSQL, vinyl's rate has to be at least so many times that of the
# best rival ORM, and of psycopg's AsyncConnection.
GOALS = {
    "get": (2.5, 1.0),
    "exists": (2.5, 1.0),
    "related": (2.0, 0.9),
    "list100": (2.3, 0.7),
    "select_related100": (2.4, 0.6),
    "filter_chain": (1.4, 0.65),
    "prefetch100": (1.9, 0.5),
    "prefetch100_read": (1.0, 0.2),
    "values100": (1.8, 0.85),
    "insert": (2.0, 0.8),
    "update": (1.9, 0.9),
    "txn": (1.6, 1.0),
    "bulk_insert1000": (1.5, 0.6),
    "gather20": (2.5, 1.2),
    "stream20k": (2.0, 0.5),
}
GOALS_TASKS = 8
NONE = "–"


class Results:
    """What was measured with one number of tasks, round by round."""

    def __init__(self, database: str, loop: str, tasks: int) -> None:
        self.database = database
        self.loop = loop
        self.tasks = tasks
        # By workload and the key of the contestant.
        self.rounds: dict[tuple[str, str], list[Measured]] = defaultdict(list)

    def contestants(self) -> list[str]:
        taking_part = {key for _, key in self.rounds}
        return [key for key in CONTESTANTS if key in taking_part]

    def workloads(self) -> list[str]:
        return list(dict.fromkeys(workload for workload, _ in self.rounds))

    def rate(self, workload: str, key: str) -> float:
        return statistics.median(it.rate for it in self.rounds[workload, key])

    def cpu(self, workload: str, key: str) -> float:
        return statistics.median(it.cpu for it in self.rounds[workload, key])

    def ratio(self, workload: str, key: str, other: str) -> float | None:
        """How many times *other*'s rate; of each round, since neighbours disturb."""
        return self._median(workload, key, other, lambda a, b: a.rate / b.rate)

    def cheaper(self, workload: str, key: str, other: str) -> float | None:
        """How many times as much of the processor *other* takes; of each round."""
        return self._median(workload, key, other, lambda a, b: b.cpu / a.cpu)

    def _median(
        self,
        workload: str,
        key: str,
        other: str,
        compare: Callable[[Measured, Measured], float],
    ) -> float | None:
        mine, its = self.rounds.get((workload, key)), self.rounds.get((workload, other))
        if not mine or not its:
            return None
        return statistics.median(map(compare, mine, its))

    def rivals(self, workload: str) -> list[str]:
        """The ORMs other than vinyl."""
        return [
            key
            for key in self.contestants()
            if CONTESTANTS[key].is_rival and (workload, key) in self.rounds
        ]

    def fastest_rival(self, workload: str) -> str | None:
        rivals = self.rivals(workload)
        return max(rivals, key=lambda key: self.rate(workload, key), default=None)

    def cheapest_rival(self, workload: str) -> str | None:
        rivals = self.rivals(workload)
        return min(rivals, key=lambda key: self.cpu(workload, key), default=None)

    def as_json(self) -> dict[str, object]:
        found: dict[str, dict[str, object]] = defaultdict(dict)
        for (workload, key), rounds in self.rounds.items():
            found[workload][key] = {
                "rate": self.rate(workload, key),
                "cpu_us": self.cpu(workload, key),
                "rounds": [vars(it) for it in rounds],
            }
        return {
            "database": self.database,
            "loop": self.loop,
            "tasks": self.tasks,
            "workloads": found,
        }


def say(text: str = "") -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def line(cells: list[str]) -> None:
    say(f"| {' | '.join(cells)} |")


def header(titles: list[str]) -> None:
    line(titles)
    say("|---|" + "---:|" * (len(titles) - 1))


def number(value: float | None, form: str) -> str:
    return NONE if value is None else format(value, form)


def with_goal(value: float | None, goal: float | None) -> list[str]:
    if value is not None and goal is not None and value >= goal:
        return [f"**{value:.2f}**", f"{goal:g}"]
    return [number(value, ".2f"), number(goal, "g")]


def report_rates(results: Results, raw: str) -> None:
    """vinyl beside the best rival, the driver, itself without plans, and Django."""
    say("\n### vinyl's operations/s, as ratios\n")
    titles = ["", "best rival ORM", "÷ best rival", "goal"]
    titles += [f"÷ {CONTESTANTS[raw].title}", "goal", "÷ plans off"]
    header([*titles, "sync: ÷ Django", "sync: ÷ plans off"])
    has_goals = (results.database, results.tasks) == ("postgresql", GOALS_TASKS)
    for workload in results.workloads():
        goals = GOALS.get(workload, (None, None)) if has_goals else (None, None)
        best = results.fastest_rival(workload)
        ratio = partial(results.ratio, workload)
        line(
            [
                workload,
                CONTESTANTS[best].title if best else NONE,
                *with_goal(ratio("vinyl", best) if best else None, goals[0]),
                *with_goal(ratio("vinyl", raw), goals[1]),
                number(ratio("vinyl", "vinyl-plans-off"), ".2f"),
                number(ratio("vinyl-sync", "django"), ".2f"),
                number(ratio("vinyl-sync", "vinyl-sync-plans-off"), ".2f"),
            ]
        )


def report_cpu(results: Results, raw: str) -> None:
    """The same of the processor's time, which depends less on the machine's load."""
    say("\n### How many times vinyl's CPU the others take\n")
    titles = ["", "cheapest rival ORM", "takes", CONTESTANTS[raw].title, "plans off"]
    header([*titles, "sync: Django", "sync: plans off"])
    for workload in results.workloads():
        best = results.cheapest_rival(workload)
        cheaper = partial(results.cheaper, workload)
        line(
            [
                workload,
                CONTESTANTS[best].title if best else NONE,
                number(cheaper("vinyl", best) if best else None, ".2f"),
                number(cheaper("vinyl", raw), ".2f"),
                number(cheaper("vinyl", "vinyl-plans-off"), ".2f"),
                number(cheaper("vinyl-sync", "django"), ".2f"),
                number(cheaper("vinyl-sync", "vinyl-sync-plans-off"), ".2f"),
            ]
        )


def report_each(
    results: Results, title: str, value: Callable[[str, str], float]
) -> None:
    """*value* of each workload and contestant."""
    say(f"\n### {title}\n")
    keys = results.contestants()
    header(["", *[CONTESTANTS[key].title for key in keys]])
    for workload in results.workloads():
        cells = [
            f"{value(workload, key):,.0f}"
            if (workload, key) in results.rounds
            else NONE
            for key in keys
        ]
        line([workload, *cells])


def report(results: Results, raw: str) -> None:
    say(f"\n## {results.tasks} tasks, {results.database}, {results.loop}")
    report_each(results, "Operations/s", results.rate)
    report_each(results, "CPU of the client's process, in µs an operation", results.cpu)
    if "vinyl" in results.contestants():
        report_rates(results, raw)
        report_cpu(results, raw)
