"""What each request asks for in debug mode: queries, N+1s, and templates."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import jinja2
from django.conf import settings
from starlette.types import ASGIApp, Receive, Scope, Send

from vinyl.orm.observe import n_plus_one
from vinyl.orm.recording import Recording, current_recording, recording

__all__ = [
    "RecordingMiddleware",
    "Rendered",
    "note_use",
    "rendered_in",
    "rendering",
]


class RecordingMiddleware:
    """
    In debug mode, records the queries of each request in full
    (`vinyl.orm.recording.current_recording()`), and logs at its end which lines loaded
    the same relation again and again.

    Where `VINYL["LAZY_IN_TEMPLATES"]` is "warn", it is what "once per request" means.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        records = settings.DEBUG or n_plus_one.in_templates == "warn"
        if not records or scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        with recording(full=settings.DEBUG) as record:
            try:
                await self.app(scope, receive, send)
            finally:
                n_plus_one.report(record)


class Rendered(NamedTuple):
    """
    A template that was used.

    Args:
        name: Its name.
        parent: The name of the template that uses it; None if code rendered it.
        how: "extends", "include", "import" or "from", or empty.
        line: The line of the parent that does.
        seconds: How long it took with all that it uses; 0 for what has a parent.
    """

    name: str
    parent: str | None = None
    how: str = ""
    line: int = 0
    seconds: float = 0.0


def rendered_in(record: Recording) -> list[Rendered]:
    """The templates that have been used, in the order of their uses."""
    return record.notes.get("templates", [])


@contextmanager
def rendering(template: jinja2.Template) -> Iterator[None]:
    """Note, in a full recording, that *template* is rendered in the block."""
    record = current_recording()
    if record is None or not record.full:
        yield
        return
    noted = record.notes.setdefault("templates", [])
    # Before what it uses.
    place = len(noted)
    noted.append(Rendered(template.name or "<template>"))
    started = time.perf_counter()
    try:
        yield
    finally:
        seconds = time.perf_counter() - started
        noted[place] = noted[place]._replace(seconds=seconds)


def note_use(name: str | None, parent: str | None) -> None:
    """Note, in a full recording, that template *parent* uses that called *name*."""
    record = current_recording()
    if record is None or not record.full:
        return
    noted = record.notes.setdefault("templates", [])
    if len(noted) < record.MOST_QUERIES:
        how, line = _statement()
        noted.append(Rendered(name or "<template>", parent, how, line))


_USES = re.compile(r"\{%[-+]?\s*(extends|include|import|from)\b")


def _statement() -> tuple[str, int]:
    """The statement of the template that runs, and its line."""
    frame: Any = sys._getframe(2)
    while frame is not None:
        template = frame.f_globals.get("__jinja_template__")
        if template is not None:
            line = template.get_corresponding_lineno(frame.f_lineno)
            environment = template.environment
            try:
                source = environment.loader.get_source(environment, template.name)[0]
                found = _USES.search(source.splitlines()[line - 1])
            except (jinja2.TemplateNotFound, IndexError):
                found = None
            return (found[1] if found else "", line)
        frame = frame.f_back
    return "", 0
