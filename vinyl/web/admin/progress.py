"""
Progress of a long action on the page: an action that is a generator runs while its page
is streamed, and what it yields is shown. No script is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator
from inspect import isasyncgen, isgenerator
from typing import Any

from django.http import StreamingHttpResponse
from django.template import loader
from django.utils.html import format_html
from django.utils.translation import gettext

from vinyl.bridge.greenlets import run
from vinyl.records import NamedTuple
from vinyl.web.errors.report import log_line, logger
from vinyl.web.http.streaming import cancel_and_wait

__all__ = ["Progress", "Result", "streamed"]

# Where the lines go in the page, and where the result.
PLACE, BELOW = "<!-- progress -->", "<!-- result -->"


class Progress(NamedTuple):
    """
    How far an action is: `yield Progress(500, 25_000)`.

    Args:
        done: The number of objects so far.
        total: The number of all; None if it is not known.
        text: What is shown beside the bar, in place of both numbers.
    """

    done: int
    total: int | None = None
    text: str = ""


class Result(NamedTuple):
    """
    What stands below the steps when they are done.

    Args:
        html: Safe HTML, of any length.
    """

    html: str


def streamed(model_admin: Any, request: Any, title: str, steps: Any) -> Any:
    """
    Return the response of an action: *steps* as a page that shows its progress if it is
    a generator, plain or async, and *steps* itself otherwise. Never switches.

    Args:
        model_admin: That of the action.
        request: The request that has started the action.
        title: The heading of the page, usually the description of the action.
        steps: A generator that yields `Progress`, or texts to show as they are. The
            last one is what has become of it, or a `Result`.
    """
    if not isgenerator(steps) and not isasyncgen(steps):
        return steps
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.opts,
        "place": PLACE,
        "below": BELOW,
        "preserved_filters": model_admin.get_preserved_filters(request),
    }
    page = loader.get_template("admin/progress.html").render(context, request)
    head, _, foot = page.partition(PLACE)
    response = StreamingHttpResponse(_lines(request, head, steps, foot))
    # A proxy that collects the page would show nothing until the end.
    response["X-Accel-Buffering"] = "no"
    response["Cache-Control"] = "no-store"
    return response


async def _lines(request: Any, head: str, steps: Any, foot: str) -> AsyncIterator[str]:
    middle, _, foot = foot.partition(BELOW)
    below = ""
    queue: asyncio.Queue[Any] = asyncio.Queue()
    # A task of its own, so that a transaction of the action is all its own, too.
    task = asyncio.ensure_future(_work(steps, queue))
    task.add_done_callback(lambda _: queue.put_nowait(_END))
    yield head
    try:
        while (step := await queue.get()) is not _END:
            if isinstance(step, Result):
                below = step.html
            else:
                yield _line(step)
        if (error := task.exception()) is not None:
            line = f"Action ended by an error: {request.method} {request.path}"
            log_line(line, 500, request.scope, logger, error)
            yield format_html(
                '<p class="note error" role="alert">{}</p>',
                gettext(
                    "An error occurred, and the action has ended before it was done. "
                    "It has been reported to the site administrators."
                ),
            )
    finally:
        # The visitor may have left.
        await cancel_and_wait(task)
    yield f"{middle}{below}{foot}"


_END = object()


async def _work(steps: Any, queue: asyncio.Queue[Any]) -> None:
    if isasyncgen(steps):
        async for step in steps:
            queue.put_nowait(step)
    else:
        await run(_exhaust, steps, queue)


def _exhaust(steps: Generator[Any], queue: asyncio.Queue[Any]) -> None:
    for step in steps:
        queue.put_nowait(step)


def _line(step: Any) -> str:
    if not isinstance(step, Progress):
        return format_html('<p role="status">{}</p>\n', step)
    done, total, text = step
    if not text:
        text = gettext("%(done)s of %(total)s") % {"done": done, "total": total}
        text = str(done) if total is None else text
    bar = format_html('<progress max="{}" value="{}"></progress> ', total or 0, done)
    return format_html("<p>{}{}</p>\n", bar if total else "", text)
