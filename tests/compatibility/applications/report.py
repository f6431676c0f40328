"""What the walks have found, for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

__all__ = ["MODES", "Outcome", "counted", "page_of"]

# With the heads of their columns.
MODES = {
    "wsgi": "WSGI",
    "handler": "Django's ASGI handler",
    "bridged": "in the bridge",
}
NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
PAGE = Template(Path(__file__).with_name("page.md").read_text())


class Outcome(NamedTuple):
    """
    What an application answered on one database.

    Args:
        title: Its name and version.
        database: A key of NAMES.
        requests: How many it was asked.
        forms: How many of these submitted a form.
        compared: Those whose answers are the same in two walks on stock Django.
        differ: Of these, how many answers were others with vinyl, by mode.
        mixed: How many pages came out otherwise while users asked at the same time, by
            mode.
        versions: Those of Python and Django.
    """

    title: str
    database: str
    requests: int
    forms: int
    compared: int
    differ: dict[str, int]
    mixed: dict[str, int]
    versions: str


def counted(outcome: Outcome, mode: str) -> str:
    """How many answers are equal in a mode, of those that can be compared."""
    if mode not in outcome.differ:
        return "–"
    text = f"{outcome.compared - outcome.differ[mode]} of {outcome.compared}"
    mixed = outcome.mixed[mode]
    return f"{text}, {mixed} mixed" if mixed else text


def page_of(outcomes: Iterable[Outcome]) -> str:
    """The page of the documentation, in Markdown."""
    found = sorted(
        outcomes, key=lambda one: (one.title.lower(), one.database != "sqlite")
    )
    versions = " and ".join(dict.fromkeys(one.versions for one in found))
    return PAGE.substitute(table="\n".join(rows(found)), versions=versions)


def rows(outcomes: Iterable[Outcome]) -> Iterator[str]:
    heads = "application", "database", "requests (forms)", *MODES.values()
    yield f"| {' | '.join(heads)} |"
    yield f"|---|---|---|{'---|' * len(MODES)}"
    for one in outcomes:
        cells: list[Any] = [one.title, NAMES[one.database]]
        cells.append(f"{one.requests} ({one.forms})")
        cells += [counted(one, mode) for mode in MODES]
        yield f"| {' | '.join(cells)} |"
