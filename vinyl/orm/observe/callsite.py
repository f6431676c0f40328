"""
Which line of the user's code or template is running: the one that makes a query.

The frames further in are vinyl's and Django's own. The stack of code in the bridge
continues with that of the coroutine that awaits it; and the stack of a coroutine that
code in the bridge waits for (a template that shows `request.user`) with that code. It
ends with the task's outermost coroutine: beyond are the event loop and the code that
started it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import chain
from types import CodeType, FrameType
from typing import Any

from vinyl.bridge.greenlets import frame_waiting_in, frames_around, in_bridge
from vinyl.bridge.tasks import is_own, running_task
from vinyl.records import NamedTuple

__all__ = ["Callsite", "Frame", "find_callsite", "in_template"]

# The name that Jinja2 sets in the globals of a compiled template.
_TEMPLATE = "__jinja_template__"

# Whether a file is the user's. Cached, because each query asks for several files.
_own: dict[str, bool] = {}


class Frame(NamedTuple):
    """
    A line of the user's code or template.

    Args:
        file: The path of its file, or the name of a template that has no file.
        line: Its number.
        function: The name of the function around it; empty in a template or at module
            level.
        template: The name of the template; empty in Python code.
    """

    file: str
    line: int
    function: str = ""
    template: str = ""

    def __str__(self) -> str:
        """As logs and pages show it, with a path relative to the working directory."""
        if self.template:
            return f"template {self.template}:{self.line}"
        where = f"{_relative(self.file)}:{self.line}"
        return f"{where} in {self.function}()" if self.function else where


class Callsite(NamedTuple):
    """
    Where a query is made.

    Args:
        frame: The innermost line of the user's code, or None.
        template: The innermost line of a template that is being rendered, or None.
    """

    frame: Frame | None = None
    template: Frame | None = None

    def __str__(self) -> str:
        if self.frame is None:
            return "an unknown line"
        if self.template is None or self.template == self.frame:
            return str(self.frame)
        return f"{self.frame}, from {self.template}"


def find_callsite() -> Callsite:
    """
    Return the user's line that is running. Takes some 10 microseconds. Never switches.
    """
    innermost: Frame | None = None
    for running in _running_frames():
        frame = _frame_of(running)
        if frame is not None:
            if frame.template:
                return Callsite(innermost or frame, frame)
            innermost = innermost or frame
    return Callsite(innermost or _origin_of_task())


def in_template() -> bool:
    """Whether a template that is being rendered called this code. Never switches."""
    return any(_is_template(frame) for frame in _running_frames())


def _running_frames() -> Iterator[FrameType]:
    """The frames of the running code, innermost first, to the end of its task."""
    outermost = _outermost()
    stacks = [_stack(sys._getframe(2))]
    if in_bridge():
        stacks.append(frames_around())
    for frame in chain.from_iterable(stacks):
        # Sync code that waits for the coroutine of this frame.
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


def _frame_of(frame: FrameType) -> Frame | None:
    """The line of *frame* as the user knows it; None if it is not the user's."""
    code = frame.f_code
    if _TEMPLATE in frame.f_globals:
        template: Any = frame.f_globals[_TEMPLATE]
        name = template.name or "<template>"
        # Jinja2's name for the file of a template from elsewhere.
        file = template.filename
        file = name if file in (None, "<template>") else file
        line = template.get_corresponding_lineno(frame.f_lineno)
        return Frame(file, line, "", name) if _is_own_file(file) else None
    if _is_template(frame):
        node = frame.f_locals["self"]
        name = str(node.origin.template_name or "<template>")
        file = str(node.origin.name)
        return Frame(file, node.token.lineno, "", name) if _is_own_file(file) else None
    # Code without a file: "<string>", "<frozen importlib>".
    if code.co_filename.startswith("<") or not _is_own_file(code.co_filename):
        return None
    return Frame(code.co_filename, frame.f_lineno, _function(code))


def _is_template(frame: FrameType) -> bool:
    """Whether *frame* runs a template of Jinja2's, or a node of one of Django's."""
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


def _origin_of_task() -> Frame | None:
    """
    The line that created the running task's coroutine, if Python tracks such lines, as
    it does under `vinyl runserver`: `gather(queryset, queryset)` leaves no other trace.
    Before Python 3.12 a task of `gather(queryset)` has none either; one of
    `gather(queryset.count())` does.
    """
    task = running_task()
    origin = None if task is None else getattr(task.get_coro(), "cr_origin", None)
    for file, line, function in origin or ():
        if not file.startswith("<") and is_own(file):
            return Frame(file, line, function)
    return None


def _relative(file: str) -> str:
    return file.removeprefix(os.getcwd() + os.sep)
