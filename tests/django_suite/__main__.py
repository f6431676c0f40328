"""
Run Django's own tests with vinyl's backends, and compare with stock Django.

The source distribution of the installed Django comes from the package index, once.
Each test that stock Django passes has to pass; exceptions.toml lists the exceptions.
Exits with 1 if one does not, or if a listed one does.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import django

from tests.django_suite.comparison import Exceptions, Run, Verdict, compare
from tests.django_suite.labels import (
    chunks,
    database_labels,
    request_labels,
    selection,
)
from tests.postgres import postgres_server

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "django"
MODES = ["stock", "sync", "loop", "async"]
DATABASES = ["sqlite", "postgresql"]

# Seconds for one process. The largest takes a tenth of it.
PATIENCE = 1200


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/conformance", description=__doc__)
    parser.add_argument("labels", nargs="*", help="Django's test labels; default: all")
    parser.add_argument(
        "--selection", action="store_true", help="the labels that CI runs"
    )
    parser.add_argument(
        "--requests",
        action="store_true",
        help="run what makes requests with vinyl.web's, in a mode of its own on SQLite",
    )
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=DATABASES)
    parser.add_argument(
        "--plans",
        choices=["on", "off", "at-once"],
        default="on",
        help="query plans: as by default, none, or for each shape from the first time",
    )
    parser.add_argument(
        "--plan-counts",
        action="store_true",
        help="say how many queries had a plan, and why the others had none",
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.requests:
        options.modes, options.databases = ["requests"], ["sqlite"]
    return options


def fetch_tests() -> Path:
    """The folder with the tests of the installed Django; downloaded if need be."""
    version = django.get_version()
    folder = CACHE / f"django-{version}"
    if not (folder / "tests").is_dir():
        say(f"Fetching the tests of Django {version} ...")
        with tempfile.TemporaryDirectory() as scratch:
            subprocess.run(
                [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
                + ["--disable-pip-version-check", "--no-binary=django"]
                + ["--dest", scratch, f"django=={version}"],
                check=True,
            )
            [archive] = Path(scratch).iterdir()
            with tarfile.open(archive) as tar:
                # Python has filters from version 3.11.4 on.
                plain = getattr(tarfile, "data_filter", lambda member, path: member)
                tar.extraction_filter = plain
                tar.extractall(CACHE)
    return folder / "tests"


def run_chunk(
    tests: Path, mode: str, database: str, url: str, labels: list[str], output: Path
) -> Run:
    """
    Run *labels* in a process of their own; its log goes beside *output*.

    If it does not come to its end, each label gets a process. This server may lack what
    one of them needs to make its tables.
    """
    run = Run(mode, database)
    command = [sys.executable, "-m", "tests.django_suite.suite", str(tests)]
    start = time.monotonic()
    with output.with_suffix(".log").open("w") as log:
        try:
            subprocess.run(
                [*command, mode, database, url, str(output), *labels],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=PATIENCE,
            )
        except subprocess.TimeoutExpired:
            log.write(f"\nIt took over {PATIENCE} s.\n")
    run.seconds = time.monotonic() - start
    if output.exists():
        found = json.loads(output.read_text())
        run.tests = {test: tuple(noted) for test, noted in found["tests"].items()}
        run.async_tests = set(found["async"])
        run.plans = Counter(found["plans"])
    elif len(labels) == 1:
        last = output.with_suffix(".log").read_text().strip().rpartition("\n")[2]
        run.broken[labels[0]] = last
    else:
        for label in labels:
            own = output.with_name(f"{output.stem}-{label}.json")
            run.add(run_chunk(tests, mode, database, url, [label], own))
    return run


def run_all(options: argparse.Namespace, tests: Path) -> dict[tuple[str, str], Run]:
    """Each mode on each database, by (database, mode)."""
    if options.requests:
        labels_by_default = request_labels
    else:
        labels_by_default = selection if options.selection else database_labels
    labels = options.labels or labels_by_default(tests)
    modes = ["stock", *(mode for mode in options.modes if mode != "stock")]
    results = CACHE / "results" / django.get_version()
    results.mkdir(parents=True, exist_ok=True)
    for old in results.iterdir():
        old.unlink()
    parts = chunks(tests, labels, 1 + len(labels) // 8)
    runs = {pair: Run(pair[1], pair[0]) for pair in pairs(options.databases, modes)}
    os.environ["VINYL_SUITE_PLANS"] = options.plans
    os.environ["VINYL_SUITE_COUNTS"] = "1" if options.plan_counts else ""
    with postgres_server() as url, ThreadPoolExecutor(options.jobs) as pool:
        futures = [
            pool.submit(
                run_chunk, tests, mode, database, url, part,
                results / f"{database}-{mode}-{number}.json",
            )
            for number, part in enumerate(parts)
            for database, mode in runs
        ]  # fmt: skip
        for future in futures:
            part = future.result()
            runs[part.database, part.mode].add(part)
    return runs


def pairs(databases: Iterable[str], modes: Iterable[str]) -> list[tuple[str, str]]:
    return list(itertools.product(databases, modes))


def report(runs: dict[tuple[str, str], Run]) -> bool:
    """Print failures and the table; tell whether everything is as it should be."""
    version = django.get_version()
    exceptions = Exceptions(
        Path(__file__).with_name("exceptions.toml"), version.rpartition(".")[0]
    )
    verdicts: dict[tuple[str, str], Verdict] = {}
    for (database, mode), run in runs.items():
        listed = exceptions.listed(mode, database) if mode != "stock" else {}
        verdict = compare(run, runs[database, "stock"], listed)
        verdicts[database, mode] = verdict
        for test, detail in sorted(verdict.failed.items()):
            say(f"\nFAILED {mode} on {database}: {test}\n{indented(detail)}")
        for test in verdict.needless:
            say(f"\nPASSED although excepted, {mode} on {database}: {test}")
    for (database, mode), run in runs.items():
        for label, problem in run.broken.items() if mode == "stock" else ():
            say(f"\nLeft out on {database}, stock Django has no tables: {label}")
            say(f"    {problem}")
    python = ".".join(map(str, sys.version_info[:3]))
    say(f"\nDjango {version} on Python {python}\n\n{HEADER}")
    for (database, mode), run in runs.items():
        verdict = verdicts[database, mode]
        say(
            f"{database:<11} {mode:<8}"
            f"{run.count('passed', 'expected failure'):>8}{run.count('skipped'):>9}"
            f"{run.count('failed'):>8}{runs[database, 'stock'].count('failed'):>14}"
            f"{verdict.excepted:>10}{len(verdict.failed):>8}{run.seconds:>9.0f}"
        )
    for (database, mode), run in runs.items():
        if total := run.plans.total():
            say(f"\nOf {total} queries {mode} on {database}:")
            for reason, number in run.plans.most_common(30):
                say(f"{number:>8} {100 * number / total:5.1f} %  {reason}")
    good = all(verdict.good for verdict in verdicts.values())
    ran = all(run.tests for run in runs.values() if run.mode == "stock")
    say("\nAs stock Django does." if good and ran else "\nNOT as stock Django does.")
    return good and ran


HEADER = (
    "database    mode      passed  skipped  failed  stock failed  excepted  "
    "wrong  seconds"
)


def indented(detail: str) -> str:
    lines = detail.strip().splitlines()
    return "\n".join(f"    {line}" for line in lines[-12:])


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(0 if report(run_all(arguments(), fetch_tests())) else 1)
