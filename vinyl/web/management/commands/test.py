"""`vinyl test`: Django's command, which says so where it finds nothing to run."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import test
from django.test.utils import get_runner

__all__ = ["Command"]

# Django takes a runner by its path: the one that counts is put here.
CountingRunner: Any = None


class Command(test.Command):
    help = (
        "Runs the tests that are Django's or unittest's test cases. Those that are "
        "functions, as in a project that vinyl has made, are run by `pytest`."
    )

    def handle(self, *test_labels: str, **options: Any) -> None:
        global CountingRunner
        found: list[int] = []
        runner: Any = get_runner(settings, options["testrunner"])

        class Runner(runner):  # type: ignore[misc]  # the class of the settings
            def run_suite(self, suite: Any, **kwargs: Any) -> Any:
                found.append(suite.countTestCases())
                return super().run_suite(suite, **kwargs)

        CountingRunner = Runner
        path = f"{__name__}.CountingRunner"
        try:
            super().handle(*test_labels, **{**options, "testrunner": path})
        except SystemExit:
            # Python 3.12 has its own status for that.
            if found != [0]:
                raise
        if found == [0]:
            raise CommandError(
                "No test was run: there is no unittest.TestCase in what was searched. "
                "Tests that are functions, like those of a new project, are run by "
                "`pytest`; for a TestCase, name its module."
            )
