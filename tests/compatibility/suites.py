"""
Run packages' own tests with vinyl's backend, in sync mode and on an event loop, and
name those that stock Django passes and vinyl does not.

The source distributions of the installed versions come from the package index.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "suites"
MODES = ("stock", "sync", "loop")
TIMEOUT = 900  # seconds, for a package in one mode


class Suite(NamedTuple):
    """
    Where a package has its tests.

    Args:
        settings: The module of its settings for them.
        tests: What pytest collects, below the folder.
        folder: In the source distribution, with the settings.
        requires: What the tests need beside the package.
    """

    settings: str
    tests: str
    folder: str = ""
    requires: tuple[str, ...] = ()


SUITES = {
    "django-filter": Suite("tests.settings", "tests"),
    "django-guardian": Suite(
        "guardian.testapp.testsettings",
        "guardian/testapp/tests",
        requires=("django-environ",),
    ),
    "django-safedelete": Suite("safedelete.tests.settings", "safedelete/tests"),
    "rules": Suite("testapp.settings", "testsuite", folder="tests"),
}


def fetch(name: str) -> Path:
    """The folder with the source of the installed version; downloaded if need be."""
    known = f"{name.replace('-', '_')}-{version(name)}"
    if not (CACHE / known).is_dir():
        with tempfile.TemporaryDirectory() as scratch:
            pip("download", "--no-deps", "--no-binary", name, "--dest", scratch,
                f"{name}=={version(name)}")  # fmt: skip
            [archive] = Path(scratch).iterdir()
            with tarfile.open(archive) as tar:
                # Python has filters from version 3.11.4 on.
                plain = getattr(tarfile, "data_filter", lambda member, path: member)
                tar.extraction_filter = plain
                tar.extractall(CACHE)
    return CACHE / known


def pip(*arguments: str) -> None:
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", arguments[0], *quiet, *arguments[1:]]
    subprocess.run(command, check=True)


def run(name: str, mode: str) -> dict[str, str]:
    """What became of each test of a package; nothing if the run did not end."""
    suite = SUITES[name]
    folder = fetch(name) / suite.folder
    script = Path(__file__).with_name("one_suite.py")
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch, "outcomes.json")
        command = [sys.executable, str(script), mode, str(folder), str(output)]
        with (CACHE / f"{name}-{mode}.log").open("w") as log:
            subprocess.run(
                [*command, suite.tests],
                cwd=scratch,
                env={**os.environ, "DJANGO_SETTINGS_MODULE": suite.settings},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=TIMEOUT,
                check=False,
            )
        found: dict[str, str] = {}
        if output.exists():
            found = json.loads(output.read_text())
        return found


def lost(stock: dict[str, str], found: dict[str, str]) -> list[str]:
    """The tests that stock Django passes and the other run does not."""
    return [
        test
        for test, outcome in stock.items()
        if outcome == "passed" and found.get(test) != "passed"
    ]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/compatibility --suites", description=__doc__
    )
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help="all by default")
    names = parser.parse_args().packages or list(SUITES)
    if unknown := set(names) - set(SUITES):
        parser.error(
            f"There is no suite {', '.join(sorted(unknown))}: choose from "
            f"{', '.join(SUITES)}."
        )
    CACHE.mkdir(parents=True, exist_ok=True)
    wrong = False
    for name in names:
        if SUITES[name].requires:
            pip("install", *SUITES[name].requires)
        stock, sync, loop = (run(name, mode) for mode in MODES)
        passed = sum(outcome == "passed" for outcome in stock.values())
        say(f"{name} {version(name)}: stock Django passes {passed}")
        wrong |= not passed
        for mode, found in (("sync", sync), ("loop", loop)):
            tests = lost(stock, found)
            wrong |= bool(tests)
            say(f"    {mode}: lost {len(tests)}")
            for test in tests:
                say(f"        {test}")
    return wrong


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
