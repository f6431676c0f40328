"""What an error calls a view, so that its author finds it, and what is wrong there."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any

__all__ = ["describe", "mistake_of", "text_of"]


def text_of(error: BaseException) -> str:
    """
    What `str(error)` gives, also where that raises: an error made with a lazy attribute
    that has not been fetched has no text. Never raises.
    """
    try:
        return str(error)
    except Exception as failure:
        cls, why = type(error).__qualname__, type(failure).__qualname__
        return f"<{cls} whose text cannot be shown: {why}>"


def describe(view: Any, method: str = "") -> str:
    """
    *view* with the file and line where its author will find it. Never raises.

    Args:
        method: That of the request: a class is told with the method that answers it.
    """
    function = definition(view, method.lower())
    name = getattr(function, "__qualname__", repr(function))
    try:
        file = inspect.getsourcefile(function)
        line = inspect.getsourcelines(function)[1]
    except (OSError, TypeError):
        return f"The view {name}"
    return f"The view {function.__module__}.{name} ({file}, line {line})"


def definition(view: Any, method: str) -> Any:
    """The function or class that somebody wrote, inside partials and decorators."""
    if (cls := getattr(view, "view_class", None)) is not None:
        return inspect.unwrap(getattr(cls, method, cls))
    while True:
        inner = inspect.unwrap(view)
        if isinstance(inner, functools.partial):
            inner = inner.func
        elif not hasattr(inner, "__qualname__") and callable(inner):
            # An object whose class says how it is called.
            return inspect.unwrap(type(inner).__call__)
        if inner is view:
            return view
        view = inner


def mistake_of(result: Any) -> str:
    """Why *result* is no response, and what to do."""
    if isinstance(result, Coroutine):
        mistake = f"returned a call that was not awaited, {result!r}. Write `await`"
        # This error tells of it; Python's warning would tell it twice.
        result.close()
        return f"{mistake} before it."
    if isinstance(result, AsyncGenerator | Generator):
        return (
            "contains `yield`, so it returned a generator, not a response. Return "
            "StreamingResponse(parts()), with the `yield` in a function parts()."
        )
    if result is None:
        return "returned None, not a response. Does each of its ways end in a return?"
    return (
        f"returned {result!r}, which is no response. Return what render() or "
        f"redirect() gives, or a response such as vinyl.web.JSONResponse."
    )
