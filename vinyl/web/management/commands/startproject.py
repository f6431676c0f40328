"""`vinyl startproject`: a new project, empty or with the example."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.commands import startproject

from vinyl.web.management.templates import copy, target_of

__all__ = ["Command"]

NEXT = """\
Created the project '{name}' in {folder}.

Next:
  cd {folder}
{steps}"""
BARE = """\
  vinyl migrate            create the tables
  vinyl runserver          http://127.0.0.1:8000/
  vinyl startapp blog      a first app, when you are ready
"""
EXAMPLE = """\
  vinyl migrate            create the tables
  vinyl loadsample         50 artists, 500 albums, 5,000 tracks
  vinyl runserver          http://127.0.0.1:8000/
"""


class Command(startproject.Command):
    """Create a project from vinyl's template."""

    help = "Creates a project in a new folder, or in the given folder."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--example",
            action="store_true",
            help="Add an example app: models, pages, a form, sample data and tests.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        example = options["example"]
        copy(super().handle, ["bare", *(["example"] if example else [])], options)
        if options["verbosity"] and not options["template"]:
            steps = EXAMPLE if example else BARE
            name, folder = options["name"], target_of(options)
            self.stdout.write(NEXT.format(name=name, folder=folder, steps=steps))
