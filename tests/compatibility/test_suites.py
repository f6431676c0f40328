"""A package's own tests run with vinyl's app and backend, and losses are named."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.compatibility import one_suite
from tests.compatibility.report import versions
from tests.compatibility.report_of_suites import (
    Outcome,
    describe_suite,
    section_of,
    section_of_suites,
    unexplained_of,
    with_section,
)
from tests.compatibility.suites import SUITES, known_outcome, lost, lost_twice
from tests.postgres import empty_database

SETTINGS = """
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = ("django.contrib.contenttypes",)
"""
TESTS = """
import asyncio

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.test import TestCase


def in_loop():
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class Tests(TestCase):
    def test_queries(self):
        assert isinstance(settings.INSTALLED_APPS, tuple)
        assert ContentType.objects.count() == 1

    def test_stock(self):
        assert settings.DATABASES["default"]["ENGINE"].startswith("django.db.")

    def test_sync(self):
        assert "vinyl.orm" in settings.INSTALLED_APPS and not in_loop()

    def test_postgres(self):
        assert connection.vendor == "postgresql"

    def test_loop(self):
        assert settings.DATABASES["default"]["ENGINE"].startswith("vinyl.orm.")
        assert in_loop()
"""


def run_own_tests(mode: str, folder: Path, **environment: str) -> dict[str, str]:
    """The outcome of each of TESTS, by the end of its name."""
    (folder / "own_settings.py").write_text(SETTINGS)
    (folder / "test_own.py").write_text(TESTS)
    output = folder / "outcomes.json"
    subprocess.run(
        [sys.executable, one_suite.__file__, mode, str(folder), str(output)]
        + ["--ds", "own_settings", "test_own.py"],
        env={"PYTHONPATH": str(Path(one_suite.__file__).parents[2]), **environment},
        check=True,
        capture_output=True,
    )
    found = json.loads(output.read_text())
    return {test.rpartition("_")[2]: outcome for test, outcome in found.items()}


def passed_in(*names: str) -> dict[str, str]:
    """What becomes of TESTS if those with *names* pass."""
    return {
        name: "passed" if name in names else "failed"
        for name in ("queries", "stock", "sync", "loop", "postgres")
    }


@pytest.mark.parametrize("mode", ["stock", "sync", "loop"])
def test_each_mode_runs_the_tests_of_the_package(mode: str, tmp_path: Path) -> None:
    assert run_own_tests(mode, tmp_path) == passed_in(mode, "queries")


def test_a_server_takes_the_place_of_the_databases(
    postgres_url: str, tmp_path: Path
) -> None:
    with empty_database(postgres_url) as url:
        found = run_own_tests("loop", tmp_path, SUITE_POSTGRES_URL=url)
        with psycopg.connect(url, autocommit=True) as connection:
            left = sql.Identifier(f"{connection.info.dbname}_default")
            connection.execute(sql.SQL("DROP DATABASE {}").format(left))
    assert found == passed_in("loop", "queries", "postgres")


def test_what_stock_django_passes_alone_is_lost() -> None:
    stock = {"a": "passed", "b": "failed", "c": "skipped", "d": "passed"}
    assert lost(stock, {"a": "passed", "b": "failed", "d": "failed"}) == ["d"]
    assert lost(stock, {"a": "passed"}) == ["d"]


def test_what_fails_among_others_alone_is_not_lost() -> None:
    asked = []

    def run_tests(tests: Sequence[str]) -> dict[str, str]:
        asked.append(tests)
        if not tests:
            return {"a": "failed", "b": "failed", "c": "passed"}
        return {"a": "failed", "b": "passed"}

    stock = dict.fromkeys("abc", "passed")
    assert lost_twice(stock, run_tests) == ["a"]
    assert asked == [(), ["a", "b"]]
    assert lost_twice({"c": "passed"}, run_tests) == []
    assert asked == [(), ["a", "b"], ()]


def test_what_an_ended_run_has_found_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    assert known_outcome(file) is None
    file.write_text(json.dumps({"versions": versions(), "outcome": LOST}))
    assert known_outcome(file) == LOST
    file.write_text(json.dumps({"versions": "Django 1.0", "outcome": LOST}))
    assert known_outcome(file) is None


def test_an_unknown_suite_is_refused() -> None:
    command = [sys.executable, "-m", "tests.compatibility.suites", "no-such"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert f"There is no suite no-such: choose from {', '.join(SUITES)}." in (
        " ".join(ended.stderr.split())
    )


LOST = Outcome("one", "1.0", 1200, {"sync": [], "loop": ["a::in_a_loop", "b::other"]})
KNOWN = {"one": {"*::in_a_loop": "It starts a loop in a loop."}}


def test_a_loss_is_explained_by_its_name() -> None:
    assert list(unexplained_of(LOST, KNOWN["one"])) == ["loop b::other"]
    assert describe_suite(LOST, KNOWN["one"]).splitlines() == [
        "one 1.0: stock Django passes 1200",
        "    sync: lost 0",
        "    loop: lost 2",
        "        a::in_a_loop (It starts a loop in a loop.)",
        "        b::other",
    ]


def test_the_section_of_the_page_is_replaced() -> None:
    page = Path(__file__).parents[2] / "docs" / "reference" / "compatibility.md"
    before = page.read_text()
    other = Outcome("two", "2.0", 5, {"sync": [], "loop": []})
    section = section_of_suites({"sqlite": [LOST], "postgresql": [LOST, other]}, KNOWN)
    after = with_section(before, section)
    assert "| one 1.0 | 1,200 | 0 | 2 | 1,200 | 0 | 2 |\n" in after
    assert "| two 2.0 | – | – | – | 5 | 0 | 0 |\n" in after
    assert "| **all** | **1,200** | **0** | **2** | **1,205** | **0** | **2** |\n" in (
        after
    )
    assert "- **one**, in the bridge: It starts a loop in a loop.\n" in after
    assert "- **one**, in the bridge: Not explained.\n" in after
    # What is around it stays, and a second time nothing changes.
    assert with_section(after, section_of(before)) == before
    assert with_section(after, section) == after


def test_an_empty_section_is_filled() -> None:
    page = "# Page\n\n## Packages' own tests\n\n## More\n"
    section = section_of_suites({"sqlite": [LOST]}, KNOWN)
    assert with_section(page, section) == f"# Page\n\n{section}\n## More\n"


def test_a_page_without_the_section_is_left_alone() -> None:
    with pytest.raises(ValueError, match='no section "## Packages\' own tests"'):
        with_section("# Compatibility\n", section_of_suites({"sqlite": [LOST]}, KNOWN))


@pytest.mark.parametrize("name", SUITES)
def test_settings_of_a_suite_are_there(name: str) -> None:
    settings = SUITES[name].settings
    folder = Path(one_suite.__file__).with_name("suite_settings")
    if settings.startswith("settings_of"):
        assert (folder / f"{settings}.py").is_file()
