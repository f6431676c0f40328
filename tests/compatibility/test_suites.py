"""A package's own tests run with vinyl's app and backend, and losses are named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.compatibility import one_suite
from tests.compatibility.suites import SUITES, lost

SETTINGS = """
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
INSTALLED_APPS = ("django.contrib.contenttypes",)
"""
TESTS = """
import asyncio

from django.conf import settings
from django.contrib.contenttypes.models import ContentType
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

    def test_loop(self):
        assert settings.DATABASES["default"]["ENGINE"].startswith("vinyl.orm.")
        assert in_loop()
"""


@pytest.mark.parametrize("mode", ["stock", "sync", "loop"])
def test_each_mode_runs_the_tests_of_the_package(mode: str, tmp_path: Path) -> None:
    (tmp_path / "own_settings.py").write_text(SETTINGS)
    (tmp_path / "test_own.py").write_text(TESTS)
    output = tmp_path / "outcomes.json"
    subprocess.run(
        [sys.executable, one_suite.__file__, mode, str(tmp_path), str(output)]
        + ["--ds", "own_settings", "test_own.py"],
        env={"PYTHONPATH": str(Path(one_suite.__file__).parents[2])},
        check=True,
        capture_output=True,
    )
    found = json.loads(output.read_text())
    outcomes = {test.rpartition("_")[2]: outcome for test, outcome in found.items()}
    assert outcomes == {
        name: "passed" if name in (mode, "queries") else "failed"
        for name in ("queries", "stock", "sync", "loop")
    }


def test_what_stock_django_passes_alone_is_lost() -> None:
    stock = {"a": "passed", "b": "failed", "c": "skipped", "d": "passed"}
    assert lost(stock, {"a": "passed", "b": "failed", "d": "failed"}) == ["d"]
    assert lost(stock, {"a": "passed"}) == ["d"]


def test_an_unknown_suite_is_refused() -> None:
    command = [sys.executable, "-m", "tests.compatibility.suites", "no-such"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert f"There is no suite no-such: choose from {', '.join(SUITES)}." in (
        " ".join(ended.stderr.split())
    )
