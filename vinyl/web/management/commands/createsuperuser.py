"""`vinyl createsuperuser`: Django's command, which fails if it cannot ask."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.core.management.base import CommandError

__all__ = ["Command"]


class Command(createsuperuser.Command):
    """Create a superuser; fail without a terminal, where Django's command succeeds."""

    def handle(self, *args: Any, **options: Any) -> str | None:
        stdin = self.stdin
        if options["interactive"] and hasattr(stdin, "isatty") and not stdin.isatty():
            raise CommandError(
                "No superuser was created: the command asks for a name and a password, "
                "and there is no terminal that could answer. Run it in a terminal, or "
                "with --noinput, --username and the other required fields, and the "
                "password in the environment variable DJANGO_SUPERUSER_PASSWORD."
            )
        return super().handle(*args, **options)
