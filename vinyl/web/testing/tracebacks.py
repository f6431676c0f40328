"""Tracebacks of tests that end with an error of the application, without machinery."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

__all__ = ["shorten"]

# Top-level packages between the line of a test and what its author wrote.
MACHINERY = frozenset(
    {
        "anyio",
        "asgiref",
        "asyncio",
        "concurrent",
        "contextlib",
        "django",
        "httpcore",
        "httpx",
        "jinja2",
        "starlette",
        "vinyl",
    }
)
# The package of the client, where an error of the application passes into the test.
CLIENT = "vinyl.web.testing."


def shorten(error: BaseException) -> bool:
    """
    Leave machinery out of the traceback of *error*, which the client of
    vinyl.web.testing has raised in a test, and of what it was raised from: frames of
    vinyl, Starlette, Django, Jinja2 and so on. Those of templates stay.

    Returns: Whether it did. Nothing changes if no client raised the error, or if no
        frame between the client and the error is of the project.
    """
    passed = list(frames_of(error.__traceback__))
    names = [name_of(frame) for frame in passed]
    crossing = next(
        (i for i, name in enumerate(names) if name.startswith(CLIENT)), None
    )
    if crossing is None:
        return False
    grouped = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    inner = (frame for one in grouped for frame in frames_of(one.__traceback__))
    if all(map(is_machinery, (*passed[crossing:], *inner))):
        return False
    error.__traceback__ = joined(passed)
    _shorten_linked(error, {id(error)})
    return True


def _shorten_linked(error: BaseException, seen: set[int]) -> None:
    """Shorten what *error* was raised from, and what it groups."""
    above = error.__cause__
    if above is None and not error.__suppress_context__:
        above = error.__context__
    grouped = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for linked in (*grouped, *([above] if above is not None else [])):
        if id(linked) not in seen:
            seen.add(id(linked))
            # All of it machinery: what it says is enough.
            linked.__traceback__ = joined(list(frames_of(linked.__traceback__)))
            _shorten_linked(linked, seen)


def frames_of(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def joined(passed: list[TracebackType]) -> TracebackType | None:
    """A traceback of those of *passed* that are no machinery; None if all are."""
    below = None
    for frame in reversed(passed):
        if not is_machinery(frame):
            below = TracebackType(
                below, frame.tb_frame, frame.tb_lasti, frame.tb_lineno
            )
    return below


def name_of(passed: TracebackType) -> str:
    """The module of the frame that was passed."""
    return str(passed.tb_frame.f_globals.get("__name__", ""))


def is_machinery(passed: TracebackType) -> bool:
    # Jinja2 puts frames with such a variable in the place of its compiled code's.
    if "__jinja_exception__" in passed.tb_frame.f_globals:
        return False
    return name_of(passed).partition(".")[0] in MACHINERY
