"""Which templates a request uses, as full recordings note them."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import jinja2

from vinyl.orm.recording import Recording, current_recording
from vinyl.records import NamedTuple

__all__ = ["TemplateUse", "record_render", "record_use", "template_uses"]

# The statements that use another template.
_USE = re.compile(r"\{%[-+]?\s*(extends|include|import|from)\b")


class TemplateUse(NamedTuple):
    """
    A template that was used.

    Args:
        name: Its name.
        parent: The name of the template that uses it. None if code rendered it.
        how: "extends", "include", "import" or "from". Empty if code rendered it.
        line: The line of the parent that uses it. 0 without a parent.
        seconds: How long it took to render, with all templates that it uses. 0 if it
            has a parent.
    """

    name: str
    parent: str | None = None
    how: str = ""
    line: int = 0
    seconds: float = 0.0


def template_uses(record: Recording) -> list[TemplateUse]:
    """Return the templates used during *record*, in order of use. Never switches."""
    return record.notes.get("templates", [])


@contextmanager
def record_render(template: jinja2.Template) -> Iterator[None]:
    """
    Add *template*, which the block renders, to the full recording. Never switches.
    """
    record = current_recording()
    if record is None or not record.full:
        yield
        return
    uses = record.notes.setdefault("templates", [])
    # It comes before the templates that it uses.
    index = len(uses)
    uses.append(TemplateUse(template.name or "<template>"))
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds = time.perf_counter() - started
        uses[index] = uses[index]._replace(seconds=seconds)


def record_use(name: str | None, parent: str | None) -> None:
    """
    Add the template *name*, which template *parent* uses, to the full recording.
    Never switches.
    """
    record = current_recording()
    if record is None or not record.full:
        return
    uses = record.notes.setdefault("templates", [])
    if len(uses) < record.MOST_QUERIES:
        how, line = _running_statement()
        uses.append(TemplateUse(name or "<template>", parent, how, line))


def _running_statement() -> tuple[str, int]:
    """The statement of the template that is running, and its line."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        template = frame.f_globals.get("__jinja_template__")
        if template is not None:
            line = template.get_corresponding_lineno(frame.f_lineno)
            environment = template.environment
            try:
                source = environment.loader.get_source(environment, template.name)[0]
                found = _USE.search(source.splitlines()[line - 1])
            except (jinja2.TemplateNotFound, IndexError):
                found = None
            return (found[1] if found else "", line)
        frame = frame.f_back
    return "", 0
