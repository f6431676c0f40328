"""
What developers see of an error while `DEBUG` is on: Django's report, the queries so
far, the URL patterns that were tried. As a page, as text or as JSON.

The pages show values and must not fetch any, so they are made outside the bridge.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from typing import Any, cast

from django.conf import settings
from django.http import Http404
from django.template import TemplateDoesNotExist
from django.urls import Resolver404
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.views.debug import ExceptionReporter, get_exception_reporter_class
from starlette.responses import Response

from vinyl.orm.recording import current_recording
from vinyl.web.errors.plain_pages import answer, page
from vinyl.web.errors.report import make_readable
from vinyl.web.http.requests import Request
from vinyl.web.routing.view_names import text_of
from vinyl.web.templating.errors import place_in_template

__all__ = ["not_found", "report"]


def report(error: Exception, status: int, kind: str, request: Request) -> Response:
    """
    Django's report of *error*: traceback, local variables, request, settings without
    secrets; `settings.DEFAULT_EXCEPTION_REPORTER` may name another class for it.

    Args:
        kind: "text/html", "text/plain" or "application/json".
    """
    make_readable(request)
    lines = traceback.format_exception(error)
    if kind == "application/json":
        detail = lines[-1].strip()
        more: Any = {"traceback": "".join(lines), "tried": tried_templates(error)}
        return _developers(answer(status, kind, detail=detail, **more))
    if not hasattr(error, "template_debug") and (place := place_in_template(error)):
        error.template_debug = place  # type: ignore[attr-defined]
    reporter_class = cast(
        type[ExceptionReporter], get_exception_reporter_class(request)
    )
    reporter = reporter_class(request, type(error), error, error.__traceback__)
    if kind == "text/plain":
        text = reporter.get_traceback_text()
        return _developers(Response(text, status, media_type=kind))
    sections = SafeString("")
    if isinstance(error, ExceptionGroup):
        sections += format_html(
            '<div class="commands"><h2>The errors of the group</h2><pre>{}</pre></div>',
            "".join(lines),
        )
    sections += queries()
    html: str = reporter.get_traceback_html()
    start, end, rest = html.rpartition("</body>")
    html = f"{start}{sections}{end}{rest}" if end else f"{html}{sections}"
    return _developers(Response(html, status, media_type="text/html"))


def _developers(response: Response) -> Response:
    # They have styles and scripts of their own, as Django's have.
    response._csp_config = response._csp_ro_config = {}  # type: ignore[attr-defined]
    return response


def tried_templates(error: Exception) -> list[str]:
    """Where a missing template was looked for, as one line for each place."""
    if not isinstance(error, TemplateDoesNotExist):
        return []
    return [
        f"{origin.loader_name}: {origin.name} ({reason})"
        for missing in error.chain or [error]
        for origin, reason in missing.tried
    ]


def queries() -> SafeString:
    """A section with the queries that the request has run."""
    record = current_recording()
    if record is None or not record.full:
        return SafeString("")
    rows = format_html_join(
        "",
        "<tr><td>{}</td><td>{} ms</td><td><code>{}</code><br>{}</td><td>{}</td></tr>",
        (
            (
                q.alias,
                f"{q.seconds * 1000:.1f}",
                q.sql,
                q.params if q.outcome == "done" else f"{q.params} {q.outcome}",
                q.asked,
            )
            for q in record.queries
        ),
    )
    return format_html(
        '<div id="queries" class="meta"><h2>Queries</h2><p>{} so far, {} ms.</p>'
        '<table class="req"><thead><tr><th>Database</th><th>Time</th><th>SQL</th>'
        "<th>Asked for by</th></tr></thead><tbody>{}</tbody></table></div>",
        record.count,
        f"{record.seconds * 1000:.1f}",
        rows,
    )


def not_found(error: Http404, kind: str, request: Request) -> Response:
    """What was asked for, and which patterns it was compared with."""
    path = request.path
    tried: list[str] = []
    if isinstance(error, Resolver404):
        tried = list(described(error.args[0].get("tried", []) if error.args else []))
        urlconf = getattr(request, "urlconf", settings.ROOT_URLCONF)
        urlconf = getattr(urlconf, "__name__", urlconf)
        detail = f"No pattern of {urlconf} matches {path}"
        body = format_html(
            "<p>No pattern of <code>{}</code> matches <code>{}</code>. "
            "Tried, in this order:</p><ol>{}</ol>",
            urlconf,
            path,
            format_html_join("", "<li><code>{}</code></li>", ((t,) for t in tried)),
        )
    else:
        reason = text_of(error) or "no reason given."
        detail = f"The view for {path} raised Http404: {reason}"
        body = format_html(
            "<p>The view for <code>{}</code> raised <code>Http404</code>: {}</p>",
            path,
            reason,
        )
    if kind != "text/html":
        return answer(404, kind, detail=detail, tried=tried)
    note = "You see this page because <code>DEBUG</code> is on."
    return page(404, SafeString(f"{body}<p><small>{note}</small></p>"))


def described(tried: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Each pattern that was tried, as one line with its name."""
    for patterns in tried:
        chain = list(patterns)
        line = " ".join(filter(None, (str(p.pattern) for p in chain))) or "''"
        name = getattr(chain[-1], "name", None)
        yield f"{line}  [name={name!r}]" if name else line
