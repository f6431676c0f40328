"""How messages name a view, with its file and line, and explain what it returned."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Coroutine, Generator
from typing import Any

__all__ = ["describe_view", "explain_result"]


def describe_view(view: Any, method: str = "") -> str:
    """
    Return the name of *view* with its file and line. Never raises and never switches.

    Args:
        method: The method of the request: of a class-based view, the function that
            handles it is named.
    """
    function = _definition(view, method.lower())
    name = getattr(function, "__qualname__", repr(function))
    try:
        file = inspect.getsourcefile(function)
        line = inspect.getsourcelines(function)[1]
    except (OSError, TypeError):
        return f"The view {name}"
    return f"The view {function.__module__}.{name} ({file}, line {line})"


def _definition(view: Any, method: str) -> Any:
    """The function or class inside the partials and decorators of *view*."""
    if (cls := getattr(view, "view_class", None)) is not None:
        return inspect.unwrap(getattr(cls, method, cls))
    while True:
        inner = inspect.unwrap(view)
        if isinstance(inner, functools.partial):
            inner = inner.func
        elif not hasattr(inner, "__qualname__") and callable(inner):
            # An instance with a __call__ method.
            return inspect.unwrap(type(inner).__call__)
        if inner is view:
            return view
        view = inner


def explain_result(result: object) -> str:
    """
    Return why *result*, which a view returned, is not a response, and what to do. A
    coroutine is closed. Never switches.
    """
    if isinstance(result, Coroutine):
        explanation = f"returned a call that was not awaited, {result!r}. Write `await`"
        # So that Python does not warn of it as well.
        result.close()
        return f"{explanation} before it."
    if isinstance(result, AsyncGenerator | Generator):
        return (
            "contains `yield`, so it returned a generator, not a response. Return "
            "StreamingResponse(parts()), with the `yield` in a function parts()."
        )
    if result is None:
        return (
            "returned None, not a response. Check that every branch ends with a "
            "return statement."
        )
    return (
        f"returned {result!r}, which is not a response. Return what render() or "
        f"redirect() gives, or a response such as vinyl.web.JSONResponse."
    )
