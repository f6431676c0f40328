"""
Which line of the user's code or template is running: the one that asked for a query.

Below it on the stack are vinyl's and Django's own. The stack of code in the bridge goes
on with that of the coroutine that awaits it, and that of a coroutine which code in the
bridge waits for (a template that shows `request.user`) with that code. It ends with the
task's outermost coroutine: what lies beyond is the event loop and whoever started it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import chain
from types import CodeType, FrameType
from typing import Any, NamedTuple

from vinyl.bridge.greenlets import frame_waiting_in, frames_around, in_bridge
from vinyl.bridge.tasks import is_own, running_task

__all__ = ["Asked", "Place", "asked_here", "in_template"]

# What Jinja2 leaves in the globals of a compiled template.
_TEMPLATE = "__jinja_template__"

# By file name: there are few, and each is asked about for every query.
_own: dict[str, bool] = {}


class Place(NamedTuple):
    """
    A line of the user's.

    Args:
        file: The path of its file. A template that has none bears its name.
        line: Its number.
        function: The function it is in; empty in a template.
        template: The template's name; empty in code.
    """

    file: str
    line: int
    function: str = ""
    template: str = ""

    def __str__(self) -> str:
        """As logs and pages say it, with a path below the working directory."""
        if self.template:
            return f"template {self.template}:{self.line}"
        where = f"{_short(self.file)}:{self.line}"
        return f"{where} in {self.function}()" if self.function else where


class Asked(NamedTuple):
    """
    Who asked for a query: the innermost *place*, and the innermost one in a *template*
    if that was rendering. None where there is no such line.
    """

    place: Place | None = None
    template: Place | None = None

    def __str__(self) -> str:
        if self.place is None:
            return "an unknown line"
        if self.template is None or self.template == self.place:
            return str(self.place)
        return f"{self.place}, from {self.template}"


def asked_here() -> Asked:
    """Whose line is running. Takes some 10 microseconds. Never switches."""
    innermost: Place | None = None
    for frame in _frames():
        place = _place(frame)
        if place is not None:
            if place.template:
                return Asked(innermost or place, place)
            innermost = innermost or place
    return Asked(innermost or _started_at())


def in_template() -> bool:
    """Whether this code was called by a template that renders. Never switches."""
    return any(_is_template(frame) for frame in _frames())


def _frames() -> Iterator[FrameType]:
    """The frames of the running code, innermost first, to the end of its task."""
    outermost = _outermost()
    stacks = [_stack(sys._getframe(2))]
    if in_bridge():
        stacks.append(frames_around())
    for frame in chain.from_iterable(stacks):
        # Sync code that waits for what is further in.
        yield from _stack(frame_waiting_in(frame))
        yield frame
        if frame is outermost:
            return


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _outermost() -> FrameType | None:
    task = running_task()
    coroutine = None if task is None else task.get_coro()
    # Before Python 3.12 a task that awaits no coroutine runs a generator.
    frame = getattr(coroutine, "cr_frame", None)
    return frame or getattr(coroutine, "gi_frame", None)


def _place(frame: FrameType) -> Place | None:
    """What the user calls the line of *frame*; None if it is not the user's."""
    code = frame.f_code
    if _TEMPLATE in frame.f_globals:
        template: Any = frame.f_globals[_TEMPLATE]
        name = template.name or "<template>"
        # One from elsewhere than a file is called so there.
        file = template.filename
        file = name if file in (None, "<template>") else file
        line = template.get_corresponding_lineno(frame.f_lineno)
        return Place(file, line, "", name) if _is_own_file(file) else None
    if _is_template(frame):
        node = frame.f_locals["self"]
        name = str(node.origin.template_name or "<template>")
        file = str(node.origin.name)
        return Place(file, node.token.lineno, "", name) if _is_own_file(file) else None
    # What is in angle brackets has no lines to look at.
    if code.co_filename.startswith("<") or not _is_own_file(code.co_filename):
        return None
    return Place(code.co_filename, frame.f_lineno, _function(code))


def _is_template(frame: FrameType) -> bool:
    """Whether it is of a template of Jinja2's, or of a node of Django's own engine."""
    return _TEMPLATE in frame.f_globals or (
        frame.f_code.co_name == "render_annotated"
        and frame.f_globals.get("__name__") == "django.template.base"
    )


def _is_own_file(file: str) -> bool:
    own = _own.get(file)
    if own is None:
        own = _own[file] = is_own(file)
    return own


def _function(code: CodeType) -> str:
    name = code.co_qualname.rpartition("<locals>.")[2]
    return "" if name == "<module>" else name


def _started_at() -> Place | None:
    """
    The line that started the running task, if Python keeps note of it, as it does on
    the development server: `gather(queryset, queryset)` leaves no other trace. Before
    Python 3.12 it leaves none; `gather(queryset.count(), ...)` does.
    """
    task = running_task()
    origin = None if task is None else getattr(task.get_coro(), "cr_origin", None)
    for file, line, function in origin or ():
        if not file.startswith("<") and is_own(file):
            return Place(file, line, function)
    return None


def _short(file: str) -> str:
    here = os.getcwd() + os.sep
    return file.removeprefix(here)
