"""Pages for errors inside the frame of the part of the site that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vinyl.bridge.greenlets import run
from vinyl.web.errors.problem import Problem
from vinyl.web.http.django_responses import AnyResponse
from vinyl.web.http.requests import Request

__all__ = ["frame_errors", "framed_response"]

KEY = "vinyl.error_page"


def frame_errors(request: Any, page: Callable[[Any, int, str], Any]) -> None:
    """
    From now on, answer errors of *request* with *page*, for clients that prefer HTML.
    Errors are reported as ever, and debug pages take precedence. Never switches.

    Args:
        page: Called with the request, the status, and what the client may read of the
            error; returns the response. Plain code, run in the bridge.
    """
    # Django's WSGI handler has no scope, and pages of its own.
    if (scope := getattr(request, "scope", None)) is not None:
        scope[KEY] = page


async def framed_response(problem: Problem, request: Request) -> AnyResponse | None:
    """
    Return the page for *problem*; None if nobody frames it. Switches to the event loop.
    """
    page = request.scope.get(KEY) or _page_of_view(problem, request)
    if page is None or problem.media_type != "text/html":
        return None
    detail = str(problem.detail or "")
    response: Any = await run(page, request, problem.status, detail)
    for name, value in (problem.headers or {}).items():
        response.headers[name] = value
    return response


def _page_of_view(problem: Problem, request: Request) -> Any:
    """
    The `error_page` of the view that a middleware has kept the request from, as for
    one that is too large.
    """
    if problem.status == 404 or problem.status >= 500:
        # There is none, or the URLs may be what is broken.
        return None
    match = request.resolver_match
    return match and getattr(match.func, "error_page", None)
