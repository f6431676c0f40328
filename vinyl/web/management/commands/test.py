"""`vinyl test`: Django's command, which fails if it finds no test to run."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError
from django.core.management.commands import test
from django.test.utils import get_runner

__all__ = ["Command"]

# Django takes the path of a runner: the one that counts the tests is put here.
CountingRunner: Any = None


class Command(test.Command):
    """Run test cases with Django's runner; fail if there are none."""

    help = (
        "Runs the tests: with pytest and its options, if the project has settings for "
        "it. With --django, and otherwise, test cases of Django and unittest are run "
        "by Django's runner, whose options are these."
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
            # Python 3.12 exits with its own status if there are no tests.
            if found != [0]:
                raise
        if found == [0]:
            raise CommandError(
                "No test was run: no unittest.TestCase was found. Run tests that are "
                "functions, like those of a new project, with `pytest`; for a "
                "TestCase, pass the name of its module."
            )
