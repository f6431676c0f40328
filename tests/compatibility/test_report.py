"""The compatibility run: what it says of results and of its sites."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.compatibility.__main__ import packages
from tests.compatibility.modes import MODES, settings_of
from tests.compatibility.report import describe, package_of, page_of, unexplained

WORKS = {"step_starts": "", "step_list": ""}
FAILS = {"step_starts": "", "step_async_block": "Traceback:\n  line\nError: no block"}


def test_a_page() -> None:
    both = {"sqlite": WORKS, "postgresql": WORKS}
    results = {
        "ninja": dict.fromkeys(MODES, both),
        "procrastinate": {"stock": {"postgresql": FAILS}, "web": {"postgresql": WORKS}},
        "htmx": {"web": {"sqlite": WORKS, "postgresql": FAILS}},
    }
    page = page_of(results)
    ninja, procrastinate, htmx = page.split("|---|---|---|---|---|\n")[1].splitlines()[
        :3
    ]
    assert ninja.endswith("| 2 of 2 | 2 of 2 | 2 of 2 | 2 of 2 |")
    assert procrastinate.endswith(
        "| 1 of 2, PostgreSQL | not run | not run | 2 of 2, PostgreSQL |"
    )
    assert htmx.endswith("| not run | not run | not run | 2 of 2 / 1 of 2 |")
    assert "- **procrastinate**: Django has no async `atomic()`" in page
    results["procrastinate"]["web"]["postgresql"] = FAILS
    assert "- **procrastinate** (Django alone, `vinyl.web`): Django" in page_of(results)
    del results["procrastinate"]
    assert list(unexplained(results)) == ["htmx web postgresql step_async_block"]


def test_a_line_has_the_end_of_each_error() -> None:
    assert describe("ninja", "web", "sqlite", FAILS) == (
        "ninja web sqlite: 1 of 2\n    step_async_block: Error: no block\n"
    )


@pytest.mark.parametrize("name", packages())
def test_a_site_describes_itself(name: str) -> None:
    package = package_of(name)
    assert all(isinstance(required, str) for required in package.requires)
    # Its packages are not installed here.
    source = Path(package.__path__[0], "site.py").read_text()
    assert "urlpatterns" in source
    if "admin_steps" not in source:
        assert "step_" in source
    for step in getattr(package, "known", {}):
        assert f"def {step}" in source
    for mode in MODES:
        settings = settings_of(package, mode, "sqlite:///site.sqlite3", "/tmp")
        is_stock = mode == "stock"
        assert is_stock != ("vinyl.orm" in settings["INSTALLED_APPS"])
        assert is_stock == ("django.db" in settings["DATABASES"]["default"]["ENGINE"])


def test_an_unknown_site_is_refused() -> None:
    command = [sys.executable, "-m", "tests.compatibility", "no-such"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "There is no site no-such" in ended.stderr


def test_the_page_names_what_another_django_does_differently() -> None:
    run = {"graphene": {"web": {"sqlite": {"step_starts": "", "step_a_query": ""}}}}
    beside = {"versions": "Python 4 and Django 7", "results": run}
    page = page_of(run, beside)
    assert "With Python 4 and Django 7, the same steps succeed on SQLite.\n" in page
    here = {"graphene": {"web": {"sqlite": {"step_starts": "", "step_a_query": "no"}}}}
    page = page_of(here, beside)
    assert "- **graphene-django** (`vinyl.web`): a query succeeds" in page
