"""`vinyl migrate`: Django's command, by one process at a time."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandParser
from django.core.management.commands import migrate
from django.db import connections

from vinyl.orm.management.migration_lock import migration_lock

__all__ = ["Command"]


class Command(migrate.Command):
    """Migrate a database; wait for other processes that are migrating it."""

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--no-lock",
            action="store_false",
            dest="lock",
            help="Do not wait for other processes that migrate the same database.",
        )
        parser.add_argument(
            "--lock-timeout",
            type=seconds,
            metavar="SECONDS",
            help="Longest wait for other processes; without it, there is no limit.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        reads_only = options.get("plan") or options.get("check_unapplied")
        if reads_only or not options.get("lock", True):
            super().handle(*args, **options)
            return
        connection = connections[options["database"]]
        with migration_lock(connection, options.get("lock_timeout"), self.tell):
            super().handle(*args, **options)

    def tell(self, message: str) -> None:
        """Print *message* at once, even if the output is a file. Never switches."""
        self.stderr.write(message, self.style.WARNING)
        self.stderr.flush()


def seconds(text: str) -> float:
    """Return the number of seconds in *text*, which must not be negative."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise ArgumentTypeError(f"must be a number of seconds (got {text!r})")
    return value
