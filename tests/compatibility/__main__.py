"""Run the sites in all modes on both databases, and write the results."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from tests.compatibility.modes import MODES
from tests.compatibility.report import (
    Results,
    describe,
    package_of,
    page_of,
    unexplained,
    versions,
)
from tests.compatibility.report_of_suites import section_of
from tests.postgres import empty_database, postgres_server

FOLDER = Path(__file__).parent / "packages"
TIMEOUT = 180  # seconds, for the steps of a site in one mode


def packages() -> list[str]:
    return sorted(path.parent.name for path in FOLDER.glob("*/site.py"))


def run(package: str, mode: str, url: str) -> dict[str, str]:
    """What went wrong in each step of a site, which gets a process."""
    with tempfile.NamedTemporaryFile(suffix=".json") as output:
        command = ["-m", "tests.compatibility.one_site", package, mode, url]
        try:
            process = subprocess.run(
                [sys.executable, "-Wignore", *command, output.name],
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            return {"step_starts": f"did not end within {TIMEOUT} seconds"}
        try:
            found: dict[str, str] = json.load(output)
        except ValueError:
            return {"step_starts": process.stderr or f"exit {process.returncode}"}
        return found


def run_on(database: str, server: str, package: str, mode: str) -> dict[str, str]:
    with ExitStack() as stack:
        if database == "sqlite":
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            url = f"sqlite:///{folder}/db.sqlite3"
        else:
            url = stack.enter_context(empty_database(server))
        return run(package, mode, url)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/compatibility", description=__doc__)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help="all by default")
    parser.add_argument("--mode", action="append", choices=MODES, help="all by default")
    parser.add_argument(
        "--database", action="append", choices=["sqlite", "postgresql"], help="or both"
    )
    parser.add_argument("--list", action="store_true", help="name the packages")
    parser.add_argument("--requirements", action="store_true", help="what pip installs")
    parser.add_argument("--page", type=Path, help="writes the table in Markdown")
    parser.add_argument("--json", type=Path, help="writes the results in JSON")
    parser.add_argument(
        "--beside", type=Path, help="what --json wrote of another Django, for the page"
    )
    parser.add_argument("--jobs", type=int, default=2, help="sites at the same time")
    options = parser.parse_args()
    unknown = set(options.packages) - set(packages())
    if unknown:
        parser.error(f"There is no site {', '.join(sorted(unknown))}: see --list.")
    names = options.packages or packages()
    if options.list or options.requirements:
        lines = names if options.list else sorted(set(requirements(names)))
        sys.stdout.write("\n".join(lines) + "\n")
        return 0
    databases = options.database or ["sqlite", "postgresql"]
    modes = options.mode or list(MODES)
    results: Results = {}
    with postgres_server() as server, ThreadPoolExecutor(options.jobs) as pool:
        running = {
            (name, mode, database): pool.submit(run_on, database, server, name, mode)
            for name in names
            for mode in modes
            for database in databases
            if database in getattr(package_of(name), "databases", databases)
        }
        for (name, mode, database), future in running.items():
            found = future.result()
            results.setdefault(name, {}).setdefault(mode, {})[database] = found
            sys.stdout.write(describe(name, mode, database, found))
            sys.stdout.flush()
    if options.json:
        summary = {"versions": versions(), "results": results}
        options.json.write_text(json.dumps(summary, indent=1) + "\n")
    if options.page:
        beside = json.loads(options.beside.read_text()) if options.beside else None
        # That section is another command's.
        written = options.page.read_text() if options.page.exists() else ""
        options.page.write_text(page_of(results, beside, section_of(written)))
    failed = list(unexplained(results))
    if failed:
        lines = "\n    ".join(["No package says why these fail:", *failed])
        sys.stdout.write(f"{lines}\n")
    return bool(failed)


def requirements(names: list[str]) -> Iterator[str]:
    for name in names:
        yield from package_of(name).requires


if __name__ == "__main__":
    sys.exit(main())
