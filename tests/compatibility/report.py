"""What the runs have found, for people."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from string import Template
from types import ModuleType
from typing import Any

import django

from tests.compatibility.modes import MODES

__all__ = [
    "Results",
    "describe",
    "package_of",
    "page_of",
    "unexplained",
    "versions",
]

# By package, mode, database and step: what went wrong, or nothing.
Results = dict[str, dict[str, dict[str, dict[str, str]]]]

NAMES = {"postgresql": "PostgreSQL", "sqlite": "SQLite"}
PAGE = Template(Path(__file__).with_name("page.md").read_text())


def package_of(name: str) -> ModuleType:
    """The module that describes a site."""
    return import_module(f"tests.compatibility.packages.{name}")


def describe(package: str, mode: str, database: str, found: dict[str, str]) -> str:
    """A line for one site in one mode, and the end of each error."""
    failed = {step: text for step, text in found.items() if text}
    lines = [f"{package} {mode} {database}: {count(found)}"]
    for step, text in failed.items():
        lines.append(f"    {step}: {text.strip().splitlines()[-1][:300]}")
    return "\n".join(lines) + "\n"


def count(found: dict[str, str]) -> str:
    passed = sum(not text for text in found.values())
    return f"{passed} of {len(found)}"


def unexplained(results: Results) -> Iterator[str]:
    """Yield the failed steps that the description of their package does not name."""
    for name, by_mode in results.items():
        known: dict[str, str] = getattr(package_of(name), "known", {})
        for mode, by_database in by_mode.items():
            for database, found in by_database.items():
                for step, text in found.items():
                    if text and step not in known:
                        yield f"{name} {mode} {database} {step}"


def versions() -> str:
    return f"Python {platform.python_version()} and Django {django.get_version()}"


def page_of(
    results: Results, beside: dict[str, Any] | None = None, suites: str = ""
) -> str:
    """
    The page of the documentation, in Markdown.

    Args:
        beside: Results with another Django, as `--json` writes them.
        suites: The section about packages' own tests.
    """
    return PAGE.substitute(
        versions=versions(),
        table="\n".join(rows(results)),
        failures="\n".join(failures(results)) or "Nothing that was tried.",
        needs="\n".join(needs(results)),
        only_with_vinyl="\n".join(only_with_vinyl(results)),
        beside=beside_of(results, beside),
        suites=suites,
    )


def beside_of(results: Results, beside: dict[str, Any] | None) -> str:
    """What another run gave, as far as it differs."""
    if beside is None:
        return ""
    other: Results = beside["results"]
    databases = {
        each for site in other.values() for run in site.values() for each in run
    }
    names = " and ".join(NAMES[each] for each in sorted(databases))
    found: dict[str, None] = {}
    for name, by_mode in other.items():
        for mode, by_database in by_mode.items():
            for database, steps in by_database.items():
                here = results.get(name, {}).get(mode, {}).get(database, {})
                for step in steps.keys() | here.keys():
                    if bool(steps.get(step)) != bool(here.get(step)):
                        outcome = "fails" if steps.get(step) else "succeeds"
                        title = getattr(package_of(name), "title", name)
                        what = step.removeprefix("step_").replace("_", " ")
                        found[f"- **{title}** ({MODES[mode]}): {what} {outcome}"] = None
    same = f"With {beside['versions']}, the same steps succeed on {names}"
    return "\n".join(["", f"{same}, except:\n" if found else f"{same}.", *found])


def rows(results: Results) -> Iterator[str]:
    yield f"| site | {' | '.join(MODES.values())} |"
    yield f"|---|{'---|' * len(MODES)}"
    for name, by_mode in results.items():
        cells = [cell(by_mode.get(mode, {})) for mode in MODES]
        yield f"| {head(package_of(name))} | {' | '.join(cells)} |"


def head(package: ModuleType) -> str:
    """The title of a site, with the version of what it is about."""
    title: str = getattr(package, "title", package.__name__.rpartition(".")[2])
    if not package.requires or "," in title:
        return title
    try:
        return f"{title} {version(package.requires[0].partition('[')[0])}"
    except PackageNotFoundError:
        return title


def cell(by_database: dict[str, dict[str, str]]) -> str:
    if not by_database:
        return "not run"
    counts = " / ".join(dict.fromkeys(map(count, by_database.values())))
    return counts if len(by_database) > 1 else f"{counts}, {NAMES[min(by_database)]}"


def failures(results: Results) -> Iterator[str]:
    """Yield what does not work with vinyl, and why."""
    for title, modes, reason in explained(results):
        if modes != {"stock"}:
            where = ", ".join(MODES[mode] for mode in MODES if mode in modes)
            yield f"- **{title}** ({where}): {reason}"


def only_with_vinyl(results: Results) -> Iterator[str]:
    """Yield what does not work with Django alone, and why."""
    for title, modes, reason in explained(results):
        if modes == {"stock"}:
            yield f"- **{title}**: {reason}"


def explained(results: Results) -> Iterator[tuple[str, set[str], str]]:
    """Yield the title of a package, the modes in which steps fail, and the reason."""
    for name, by_mode in results.items():
        package = package_of(name)
        known: dict[str, str] = getattr(package, "known", {})
        for reason in dict.fromkeys(known.values()):
            steps = [step for step in known if known[step] == reason]
            modes = {
                mode
                for mode, by_database in by_mode.items()
                for found in by_database.values()
                if any(map(found.get, steps))
            }
            if modes:
                yield getattr(package, "title", name), modes, reason


def needs(results: Results) -> Iterator[str]:
    """Yield what packages need beyond what they need in Django."""
    for name in results:
        package = package_of(name)
        if text := getattr(package, "needs", ""):
            yield f"- **{getattr(package, 'title', name)}**: {text}"
