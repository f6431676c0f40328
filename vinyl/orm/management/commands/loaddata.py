"""`vinyl loaddata`: Django's, which counts on a terminal what it has loaded."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import loaddata

from vinyl.orm.management.progress import Progress

__all__ = ["Command"]


class Command(loaddata.Command):
    """Install fixtures in the database, and show how many objects are loaded."""

    def load_label(self, fixture_label: str) -> None:
        # From 2 on, Django's command tells more by itself.
        verbosity = 1 if self.verbosity == 1 else 0
        with Progress(
            self.stdout, f"Loading {fixture_label}", verbosity=verbosity
        ) as self.progress:
            super().load_label(fixture_label)

    def save_obj(self, obj: Any) -> bool:
        saved = super().save_obj(obj)
        self.progress.advance()
        return saved
