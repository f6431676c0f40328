"""Tracebacks of the application's errors in tests, with the project's lines only."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

__all__ = ["shorten"]

# Top-level packages between the line of a test and the project's code.
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
    Remove the frames of vinyl, Starlette, Django and other libraries from the traceback
    of *error*, which the client of vinyl.web.testing raised in a test, and from those
    of its causes. Frames of templates stay.

    Returns: Whether it did. Nothing changes if no client raised the error, or if none
        of the frames below the client belongs to the project.

    Never switches.
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
    """Shorten the cause or context of *error*, and the errors that it groups."""
    above = error.__cause__
    if above is None and not error.__suppress_context__:
        above = error.__context__
    grouped = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    for linked in (*grouped, *([above] if above is not None else [])):
        if id(linked) not in seen:
            seen.add(id(linked))
            # None if no frame is the project's: its message is enough.
            linked.__traceback__ = joined(list(frames_of(linked.__traceback__)))
            _shorten_linked(linked, seen)


def frames_of(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def joined(passed: list[TracebackType]) -> TracebackType | None:
    """Return a traceback of the project's frames in *passed*; None without any."""
    below = None
    for frame in reversed(passed):
        if not is_machinery(frame):
            below = TracebackType(
                below, frame.tb_frame, frame.tb_lasti, frame.tb_lineno
            )
    return below


def name_of(passed: TracebackType) -> str:
    """Return the module of the frame."""
    return str(passed.tb_frame.f_globals.get("__name__", ""))


def is_machinery(passed: TracebackType) -> bool:
    # Jinja2 replaces the frames of its compiled code by frames with this variable.
    if "__jinja_exception__" in passed.tb_frame.f_globals:
        return False
    return name_of(passed).partition(".")[0] in MACHINERY
