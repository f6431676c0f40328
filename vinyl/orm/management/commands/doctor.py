"""`vinyl doctor`: looks at a project, and reports what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from vinyl.orm.management.examinations import (
    Finding,
    examine_checks,
    examine_database,
    examine_migrations,
    examine_models,
    examine_pools,
)

__all__ = ["Command"]

SIGNS = {"ok": "ok      ", "warning": "warning ", "error": "error   "}


class Command(BaseCommand):
    """Examine a project: its code, settings, migrations and databases."""

    help = (
        "Looks at a project and reports what is wrong: forgotten awaits, settings "
        "that are insecure or have no effect, missing and unapplied migrations, "
        "databases that cannot be reached, pools larger than the server allows. "
        "Changes nothing. The exit code is 1 if there is an error."
    )
    # They are among what it reports.
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--deploy",
            action="store_true",
            help="Report insecure settings also while DEBUG is on.",
        )
        parser.add_argument(
            "--fail-on-warnings",
            action="store_true",
            help="Make the exit code 1 also if there are only warnings.",
        )
        parser.add_argument(
            "--processes",
            type=int,
            metavar="N",
            help="How many processes will serve the project, each with its own pools. "
            "By default, WEB_CONCURRENCY of the environment, or 1.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        counts = dict.fromkeys(SIGNS, 0)
        for finding in self.findings(options):
            counts[finding.level] += 1
            self.tell(finding, options["verbosity"])
        self.stdout.write(
            f"{_number(counts['error'], 'error')}, "
            f"{_number(counts['warning'], 'warning')}."
        )
        if counts["error"] or (options["fail_on_warnings"] and counts["warning"]):
            raise CommandError("The project needs attention; see above.")

    def findings(self, options: dict[str, Any]) -> Iterator[Finding]:
        """Yield what there is to report of the project. Never switches."""
        yield from examine_models()
        reached = []
        for alias in connections:
            for finding in examine_database(alias):
                if finding.level != "error":
                    reached.append(alias)
                yield finding
        for alias in reached:
            yield from examine_migrations(alias)
            yield from examine_pools(alias, options["processes"])
        yield from examine_checks(
            deploy=options["deploy"] or not settings.DEBUG, databases=reached
        )

    def tell(self, finding: Finding, verbosity: int) -> None:
        """Print *finding*, unless it is fine and little is to be printed."""
        if finding.level == "ok" and verbosity < 1:
            return
        style = {
            "ok": self.style.SUCCESS,
            "warning": self.style.WARNING,
            "error": self.style.ERROR,
        }[finding.level]
        self.stdout.write(f"{style(SIGNS[finding.level])}{finding.text}")
        if finding.remedy:
            self.stdout.write(f"{' ' * len(SIGNS['ok'])}{finding.remedy}")


def _number(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"
