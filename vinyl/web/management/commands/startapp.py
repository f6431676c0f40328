"""`vinyl startapp`: a new app in the project."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import startapp

from vinyl.web.management.templates import copy, target_of

__all__ = ["Command"]

NEXT = """\
Created the app '{name}' in {folder}.

Next:
  add "{name}" to INSTALLED_APPS in the settings
  add path("{name}/", include("{name}.urls")) to the project's urls.py
  write models, then: vinyl makemigrations {name} && vinyl migrate
  register them in {name}/admin.py, and write tests in {name}/tests, then: pytest
"""


class Command(startapp.Command):
    """Create an app from vinyl's template."""

    help = "Creates an app in a new folder, or in the given folder."

    def handle(self, *args: Any, **options: Any) -> None:
        copy(super().handle, ["app"], options)
        if options["verbosity"] and not options["template"]:
            name, folder = options["name"], target_of(options)
            self.stdout.write(NEXT.format(name=name, folder=folder))
