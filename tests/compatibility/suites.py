"""
Run packages' own tests with vinyl's backend, in sync mode and on an event loop, and
name those that stock Django passes and vinyl does not.

The source distributions of the installed versions come from the package index.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from tests.compatibility.report import versions
from tests.compatibility.report_of_suites import (
    Outcome,
    describe_suite,
    section_of_suites,
    unexplained_of,
    with_section,
)
from tests.postgres import own_server

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "suites"
MODES = ("stock", "sync", "loop")
DATABASES = ("sqlite", "postgresql")
TIMEOUT = 3600  # seconds, for a package in one mode


class Suite(NamedTuple):
    """
    Where a package has its tests.

    Args:
        settings: The module of its settings for them; "" if they configure Django. One
            that begins with `settings_of` is in the folder `suite_settings`.
        tests: What pytest collects, below the folder, and further options of pytest.
        folder: In the source distribution, with the settings.
        requires: What the tests need beside the package.
        environment: Variables for them.
        known: Why vinyl loses tests, by a pattern of their names.
        databases: Those that its tests can use.
    """

    settings: str
    tests: str
    folder: str = ""
    requires: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    known: dict[str, str] = {}
    databases: tuple[str, ...] = DATABASES


SUITES = {
    "django-allauth": Suite(
        "tests.projects.regular.settings",
        "tests/apps",
        requires=("pytest-asyncio", "python3-openid", "python3-saml"),
        known={
            "*::test_accounts_redirect_async_ctx": (
                "pytest-asyncio starts an event loop, which Python refuses in one that "
                "is running."
            )
        },
    ),
    "django-auditlog": Suite(
        "test_settings", ".", folder="auditlog_tests", requires=("freezegun",)
    ),
    "django-axes": Suite("tests.settings", "tests"),
    "django-constance": Suite("tests.settings", "tests"),
    "django-countries": Suite("django_countries.tests.settings", "django_countries"),
    "django-crispy-forms": Suite(
        "tests.test_settings",
        "tests",
        requires=("crispy-bootstrap3", "crispy-bootstrap4"),
    ),
    "django-dirtyfields": Suite(
        "tests.django_settings", "tests", requires=("jsonfield",)
    ),
    # As of django-safedelete, its tables have no migrations: not on PostgreSQL.
    "django-extensions": Suite(
        "tests.testapp.settings",
        "tests",
        requires=("factory-boy", "pip", "shortuuid", "vobject"),
        known={
            "*::test_sql*": "It is skipped unless the backend has the name of Django's."
        },
        databases=("sqlite",),
    ),
    "django-filter": Suite("tests.settings", "tests", requires=("pytz",)),
    "django-formtools": Suite("tests.settings", "tests"),
    "django-guardian": Suite(
        "guardian.testapp.testsettings",
        "guardian/testapp/tests",
        requires=("django-environ",),
    ),
    "django-import-export": Suite(
        "settings", "core/tests", folder="tests", requires=("chardet", "tablib[all]")
    ),
    "django-mailer": Suite("tests.settings", "tests"),
    "django-model-utils": Suite(
        "tests.settings",
        "tests",
        requires=("time-machine",),
        environment={"SQLITE": "1"},
    ),
    "django-modeltranslation": Suite(
        "modeltranslation.tests.settings",
        "modeltranslation/tests",
        requires=("parameterized",),
        known={
            "*::test_fixture_population_via_command": "Its `loaddata` is the one that "
            "runs if the package comes before `vinyl.orm` in `INSTALLED_APPS`."
        },
    ),
    "django-ordered-model": Suite("tests.settings", "tests/tests.py"),
    "django-phonenumber-field": Suite("tests.settings", "tests"),
    "django-reversion": Suite(
        "settings_of_reversion", "test_app/tests", folder="tests"
    ),
    # Its tables have no migrations and refer to one that has: not on PostgreSQL.
    "django-safedelete": Suite(
        "safedelete.tests.settings", "safedelete/tests", databases=("sqlite",)
    ),
    "django-simple-history": Suite(
        "settings_of_simple_history", "simple_history/tests"
    ),
    "django-solo": Suite("solo.tests.settings", "solo/tests"),
    "django-tables2": Suite("tests.app.settings", "tests", requires=("pytz",)),
    "django-treebeard": Suite("tests.settings", "tests"),
    "djangorestframework": Suite(
        "", "tests --no-migrations", requires=("dj-database-url", "inflection")
    ),
    "easy-thumbnails": Suite(
        "easy_thumbnails.tests.settings", "easy_thumbnails", requires=("testfixtures",)
    ),
    "rules": Suite("testapp.settings", "testsuite", folder="tests"),
}


def fetch(name: str) -> Path:
    """The folder with the source of the installed version; downloaded if need be."""
    known = CACHE / f"{name}-{version(name)}"
    if not known.is_dir():
        with tempfile.TemporaryDirectory() as scratch:
            pip("download", "--no-deps", "--no-binary", name, "--dest", scratch,
                f"{name}=={version(name)}")  # fmt: skip
            [archive] = Path(scratch).iterdir()
            with tarfile.open(archive) as tar:
                # Python has filters from version 3.11.4 on.
                plain = getattr(tarfile, "data_filter", lambda member, path: member)
                tar.extraction_filter = plain
                tar.extractall(scratch)
            [source] = (path for path in Path(scratch).iterdir() if path.is_dir())
            shutil.move(source, known)
    return known


def pip(*arguments: str) -> None:
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", arguments[0], *quiet, *arguments[1:]]
    subprocess.run(command, check=True)


def run(name: str, server: str, mode: str, tests: Sequence[str] = ()) -> dict[str, str]:
    """
    What became of each test of a package, or of *tests*; nothing if the run did not
    end.

    Args:
        server: The URL of a PostgreSQL; "" for the databases of the settings.
    """
    suite = SUITES[name]
    folder = fetch(name) / suite.folder
    script = Path(__file__).with_name("one_suite.py")
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch, "outcomes.json")
        command = [sys.executable, str(script), mode, str(folder), str(output)]
        arguments = suite.tests.split()
        if tests:
            arguments = [*tests, *(each for each in arguments if each[0] == "-")]
        environment = {**os.environ, **suite.environment, "SUITE_POSTGRES_URL": server}
        if suite.settings:
            environment["DJANGO_SETTINGS_MODULE"] = suite.settings
        database = "postgresql" if server else "sqlite"
        with (CACHE / f"{name}-{database}-{mode}.log").open("w") as log:
            subprocess.run(
                [*command, *arguments],
                cwd=scratch,
                env=environment,
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


def lost_twice(
    stock: dict[str, str], run_tests: Callable[[Sequence[str]], dict[str, str]]
) -> list[str]:
    """
    The tests that are lost, and again when they run without the others. Some compare
    times, and fail on a busy machine.

    Args:
        run_tests: Runs some of the tests; all of them if it gets none.
    """
    if tests := lost(stock, run_tests(())):
        tests = lost(dict.fromkeys(tests, "passed"), run_tests(tests))
    return tests


def outcome_of(name: str, server: str) -> Outcome:
    """Run the tests of a package in all modes."""
    if SUITES[name].requires:
        django = f"django=={version('django')}"
        pip("install", django, *SUITES[name].requires)
    stock = run(name, server, MODES[0])
    passed = sum(outcome == "passed" for outcome in stock.values())
    losses = {
        mode: lost_twice(stock, partial(run, name, server, mode)) for mode in MODES[1:]
    }
    return Outcome(name, version(name), passed, losses)


def known_outcome(file: Path) -> Outcome | None:
    """What an earlier run has written, with the same Python and Django."""
    found = json.loads(file.read_text()) if file.exists() else {}
    return Outcome(*found["outcome"]) if found.get("versions") == versions() else None


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/compatibility --suites", description=__doc__
    )
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help="all by default")
    parser.add_argument(
        "--database", action="append", choices=DATABASES, help="both by default"
    )
    parser.add_argument(
        "--resume", action="store_true", help="keep what a run that was ended has found"
    )
    parser.add_argument("--page", type=Path, help="the page whose section to replace")
    options = parser.parse_args()
    names = options.packages or list(SUITES)
    if unknown := set(names) - set(SUITES):
        parser.error(
            f"There is no suite {', '.join(sorted(unknown))}: choose from "
            f"{', '.join(SUITES)}."
        )
    CACHE.mkdir(parents=True, exist_ok=True)
    outcomes: dict[str, list[Outcome]] = {}
    # Its own, since databases stay behind.
    with own_server() as postgres:
        for database in options.database or DATABASES:
            server = postgres.get_uri() if database == "postgresql" else ""
            for name in names:
                if database not in SUITES[name].databases:
                    continue
                file = CACHE / f"{name}-{version(name)}-{database}.json"
                outcome = known_outcome(file) if options.resume else None
                if outcome is None:
                    outcome = outcome_of(name, server)
                    noted = {"versions": versions(), "outcome": outcome}
                    file.write_text(json.dumps(noted))
                outcomes.setdefault(database, []).append(outcome)
                say(f"{database} {describe_suite(outcome, SUITES[name].known)}")
    if options.page:
        known = {name: suite.known for name, suite in SUITES.items()}
        section = section_of_suites(outcomes, known)
        options.page.write_text(with_section(options.page.read_text(), section))
    return any(
        not outcome.passed or any(unexplained_of(outcome, SUITES[outcome.name].known))
        for found in outcomes.values()
        for outcome in found
    )


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
