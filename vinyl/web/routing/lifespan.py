"""The lifespan of an application: its own code at start-up and shutdown."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string
from starlette.types import ASGIApp, Message

from vinyl.conf import vinyl_settings

__all__ = ["InFlight", "LifespanError", "configured_lifespans", "lifespan_of"]

logger = logging.getLogger("vinyl.lifespan")

# How long cancelled requests may take to clean up, in seconds.
CLEANUP_TIMEOUT = 5.0


class InFlight:
    """
    The requests that an application is serving. Each calls `begin()` and `end()`.

    A server that shuts down cancels requests that take too long and does not wait for
    them to end, although their clean-up may still need the database.
    """

    def __init__(self) -> None:
        self.count = 0
        self._none: asyncio.Event | None = None

    def begin(self) -> None:
        self.count += 1

    def end(self) -> None:
        self.count -= 1
        if not self.count and self._none is not None:
            self._none.set()

    async def ended(self) -> None:
        """
        Wait until there are none, for 5 seconds at most; log a warning after that.

        Switches to the event loop.
        """
        if not self.count:
            return
        self._none = asyncio.Event()
        try:
            await asyncio.wait_for(self._none.wait(), CLEANUP_TIMEOUT)
        except TimeoutError:
            logger.warning(
                "%s requests have not ended %s s after the shutdown began",
                self.count,
                CLEANUP_TIMEOUT,
            )


class LifespanError(RuntimeError):
    """An application could not start, or failed while it shut down."""


def configured_lifespans() -> list[Any]:
    """
    Return the project's own lifespans, from `VINYL["LIFESPAN"]`: a dotted path or a
    list of them, each to a function that takes the application and returns an async
    context manager.

    Raises:
        ImproperlyConfigured: One of them cannot be imported, or called.
    """
    named = vinyl_settings.LIFESPAN
    found = []
    for path in [named] if isinstance(named, str) else named:
        try:
            lifespan = import_string(path)
        except (ImportError, AttributeError) as error:
            raise ImproperlyConfigured(
                f"settings.VINYL['LIFESPAN'] names {path!r}, which cannot be imported "
                f"({error}). Correct the path, or install what it needs."
            ) from error
        if not callable(lifespan):
            raise ImproperlyConfigured(
                f"settings.VINYL['LIFESPAN'] names {path!r}, which is {lifespan!r} and "
                f"cannot be called. Write a function with @asynccontextmanager that "
                f"takes the application."
            )
        found.append(lifespan)
    return found


@asynccontextmanager
async def lifespan_of(app: ASGIApp, name: str = "") -> AsyncIterator[dict[str, Any]]:
    """
    Run *app*'s lifespan around the block, in a task of its own, as an ASGI server does;
    gives its state. An app without a lifespan, such as Django's, gives an empty state.

    Args:
        app: Any ASGI application.
        name: What errors call the app; its repr by default.

    Raises:
        LifespanError: The app reported that it cannot start, or that its shutdown
            failed; the cause is its own exception.

    Switches to the event loop.
    """
    state: dict[str, Any] = {}
    name = name or repr(app)
    messages: asyncio.Queue[Message] = asyncio.Queue()
    answers: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": state}
    serving: Any = app(scope, messages.get, answers.put)
    task = asyncio.ensure_future(serving)
    try:
        messages.put_nowait({"type": "lifespan.startup"})
        answer = await _next(answers, task)
        if answer is None:
            # An exception instead of an answer means that it supports no lifespan.
            logger.info("%s has no lifespan: %r", name, _error_of(task))
        elif answer["type"] == "lifespan.startup.failed":
            await asyncio.wait({task})
            raise _failure(f"{name} could not start", answer, task)
        try:
            yield state
        finally:
            if answer is not None:
                messages.put_nowait({"type": "lifespan.shutdown"})
                last = await _next(answers, task)
                await asyncio.wait({task})
                if last is None or last["type"] == "lifespan.shutdown.failed":
                    what = f"{name} failed while it shut down"
                    raise _failure(what, last or {}, task)
    finally:
        task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait({task})


async def _next(
    answers: asyncio.Queue[Message], task: asyncio.Future[Any]
) -> Message | None:
    """Return the app's next message; None if it ends without one."""
    answer = asyncio.ensure_future(answers.get())
    try:
        await asyncio.wait({answer, task}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not answer.done():
            answer.cancel()
    if answer.done() and not answer.cancelled():
        return answer.result()
    return None if answers.empty() else answers.get_nowait()


def _error_of(task: asyncio.Future[Any]) -> BaseException | None:
    if not task.done() or task.cancelled():
        return None
    return task.exception()


def _failure(what: str, answer: Any, task: asyncio.Future[Any]) -> LifespanError:
    cause = _error_of(task)
    reason = repr(cause) if cause else answer.get("message") or "It gave no reason."
    error = LifespanError(f"{what}: {reason}")
    error.__cause__ = cause
    return error
