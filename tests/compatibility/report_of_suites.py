"""What runs of packages' own tests have found, for people."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

from tests.compatibility.report import versions

__all__ = [
    "Outcome",
    "describe_suite",
    "section_of",
    "section_of_suites",
    "unexplained_of",
    "with_section",
]

HEAD = "## Packages' own tests\n"
TEXT = """
`scripts/compatibility --suites` runs the tests of packages, as far as their source
distributions contain them, with the settings that they come with, on SQLite and on
PostgreSQL: with Django alone; with vinyl's app and backend; and so once more with the
whole run in [the bridge](../topics/bridge.md), on an event loop. A test is lost if it
passes with Django alone and fails otherwise, together with the others and without them.
A dash is where they were not run. The figures are of {versions}.

| package | SQLite: pass with Django alone | lost in sync mode | lost in the bridge | \
PostgreSQL: pass with Django alone | lost in sync mode | lost in the bridge |
|---|---|---|---|---|---|---|
"""
NAMES = ("sqlite", "postgresql")
MODES = {"sync": "sync mode", "loop": "the bridge"}
NOT_RUN = "– | – | –"
NO_REASON = "Not explained."


class Outcome(NamedTuple):
    """
    What became of the tests of a package.

    Args:
        name: That of the package.
        version: The same.
        passed: How many of its tests stock Django passes.
        lost: Of these, the ones that fail with vinyl, by mode.
    """

    name: str
    version: str
    passed: int
    lost: dict[str, list[str]]


def reason_of(test: str, known: dict[str, str]) -> str | None:
    """Why vinyl loses a test, by what is *known* of patterns."""
    found = (why for pattern, why in known.items() if fnmatchcase(test, pattern))
    return next(found, None)


def unexplained_of(outcome: Outcome, known: dict[str, str]) -> Iterator[str]:
    for mode, tests in outcome.lost.items():
        for test in tests:
            if reason_of(test, known) is None:
                yield f"{mode} {test}"


def describe_suite(outcome: Outcome, known: dict[str, str]) -> str:
    """The counts, and each lost test."""
    head = f"{outcome.name} {outcome.version}"
    lines = [f"{head}: stock Django passes {outcome.passed}"]
    for mode, tests in outcome.lost.items():
        lines.append(f"    {mode}: lost {len(tests)}")
        for test in tests:
            reason = reason_of(test, known)
            lines.append(f"        {test}" + (f" ({reason})" if reason else ""))
    return "\n".join(lines)


def section_of_suites(
    outcomes: dict[str, list[Outcome]], known: dict[str, dict[str, str]]
) -> str:
    """
    The section of the page, in Markdown.

    Args:
        outcomes: By database: "sqlite", "postgresql".
        known: Why tests are lost, by package and pattern.
    """
    rows: dict[str, list[str]] = {}
    reasons: dict[str, None] = {}
    for database in NAMES:
        found = outcomes.get(database, [])
        cells = {f"{it.name} {it.version}": counts(it) for it in found}
        for title in cells | rows:
            row = rows.setdefault(title, [NOT_RUN] * NAMES.index(database))
            row.append(cells.get(title, NOT_RUN))
        for outcome in found:
            for mode, tests in outcome.lost.items():
                for test in tests:
                    why = reason_of(test, known.get(outcome.name, {})) or NO_REASON
                    head = f"**{outcome.name}**, in {MODES[mode]}"
                    reasons[f"- {head}: {why}"] = None
    lines = [f"| {title} | {' | '.join(rows[title])} |" for title in sorted(rows)]
    sums = [sum_of(outcomes.get(database, [])) for database in NAMES]
    lines.append(f"| **all** | {' | '.join(sums)} |")
    text = TEXT.format(versions=versions()) + "\n".join(lines) + "\n"
    if reasons:
        text += "\nWhy they are lost:\n\n" + "\n".join(reasons) + "\n"
    return HEAD + text


def counts(outcome: Outcome) -> str:
    """The three cells of an outcome."""
    losses = [f"{len(outcome.lost[mode]):,}" for mode in MODES]
    return " | ".join([f"{outcome.passed:,}", *losses])


def sum_of(outcomes: list[Outcome]) -> str:
    if not outcomes:
        return NOT_RUN
    passed = sum(outcome.passed for outcome in outcomes)
    losses = (sum(len(it.lost[mode]) for it in outcomes) for mode in MODES)
    return " | ".join(f"**{count:,}**" for count in (passed, *losses))


def section_of(page: str) -> str:
    """The section of a page that has been written; its head alone if it has none."""
    _, head, after = page.partition(HEAD)
    text = after.partition("\n## ")[0].rstrip()
    return f"{HEAD}{text}\n" if head and text else HEAD


def with_section(page: str, section: str) -> str:
    """
    A page with *section* in place of its own.

    Raises:
        ValueError: It has none.
    """
    old = section_of(page)
    if old not in page:
        raise ValueError(f"The page has no section {HEAD.strip()!r}.")
    return page.replace(old, section.rstrip() + "\n")
