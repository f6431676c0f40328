"""A system check for engines of `TEMPLATES` that take the place of vinyl's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from django.core import checks
from django.template import TemplateDoesNotExist, TemplateSyntaxError, engines

from vinyl.bridge.bytecode import PROJECT, owner_of
from vinyl.web.templating import Jinja2

__all__ = ["check_engines"]

ADMIN = Path(__file__).parent / "templates"
# Django's admin has pages with these names, too.
REGISTRATION = ADMIN.parent.parent / "jinja2"


def check_engines(**kwargs: Any) -> list[checks.CheckMessage]:
    """
    vinyl.W145: another engine takes the place of vinyl's for its pages. Never switches.
    """
    every = engines.all()
    first = list(takewhile(lambda engine: not isinstance(engine, Jinja2), every))
    if len(first) == len(every):
        # None is vinyl's, which is vinyl.W101.
        return []
    return [
        checks.Warning(
            f"settings.TEMPLATES lists the engine {engine.name!r} before vinyl's, and "
            f"it finds {len(taken)} templates with the names of those of vinyl's "
            f"pages, such as {taken[0]!r}, which it would render instead.",
            hint="List 'vinyl.web.templating.Jinja2' first.",
            id="vinyl.W145",
        )
        for engine in first
        if (taken := list(_taken(engine)))
    ]


def _taken(engine: Any) -> Iterator[str]:
    """Yield the names of vinyl's templates for which *engine* finds others."""
    for folder in (ADMIN, REGISTRATION):
        for path in sorted(folder.rglob("*.html")):
            name = path.relative_to(folder).as_posix()
            try:
                template = engine.get_template(name)
            except (TemplateDoesNotExist, TemplateSyntaxError):
                continue
            # A page that the project has written is meant to take the place.
            if owner_of(str(template.origin.name)) != PROJECT:
                yield name
