"""
Rendering a response for developers, while `DEBUG` is on: Django's report with the
queries so far, or the URL patterns that were tried. As a page, as text or as JSON.

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
from vinyl.web.errors.plain_pages import html_page, plain_response
from vinyl.web.http.redaction import make_readable, safe_text
from vinyl.web.http.requests import Request
from vinyl.web.templating.errors import place_in_template

__all__ = ["exception_response", "not_found_response"]


def exception_response(
    error: Exception, status: int, media_type: str, request: Request
) -> Response:
    """
    Return Django's report of *error*: traceback, local variables, request, settings
    without secrets. `settings.DEFAULT_EXCEPTION_REPORTER` may name another class for
    it.

    Args:
        media_type: "text/html", "text/plain" or "application/json".

    Never switches.
    """
    make_readable(request)
    lines = traceback.format_exception(error)
    if media_type == "application/json":
        response: Response = plain_response(
            status,
            media_type,
            detail=lines[-1].strip(),
            traceback="".join(lines),
            tried=_tried_templates(error),
        )
    elif media_type == "text/plain":
        text = _reporter_of(error, request).get_traceback_text()
        response = Response(text, status, media_type=media_type)
    else:
        html: str = _reporter_of(error, request).get_traceback_html()
        sections = _group_section(error, lines) + _queries_section()
        start, end, rest = html.rpartition("</body>")
        html = f"{start}{sections}{end}{rest}" if end else f"{html}{sections}"
        response = Response(html, status, media_type=media_type)
    # Its styles and scripts are in the page, as in Django's: no policy may stop them.
    response._csp_config = response._csp_ro_config = {}  # type: ignore[attr-defined]
    return response


def _reporter_of(error: Exception, request: Request) -> ExceptionReporter:
    if not hasattr(error, "template_debug") and (place := place_in_template(error)):
        error.template_debug = place  # type: ignore[attr-defined]
    reporter_class = cast(
        type[ExceptionReporter], get_exception_reporter_class(request)
    )
    return reporter_class(request, type(error), error, error.__traceback__)


def _tried_templates(error: Exception) -> list[str]:
    """Where a missing template was looked for, one line for each place."""
    if not isinstance(error, TemplateDoesNotExist):
        return []
    return [
        f"{origin.loader_name}: {origin.name} ({reason})"
        for missing in error.chain or [error]
        for origin, reason in missing.tried
    ]


def _group_section(error: Exception, lines: list[str]) -> SafeString:
    """A section with the tracebacks of all errors in a group, else nothing."""
    if not isinstance(error, ExceptionGroup):
        return SafeString("")
    return format_html(
        '<div class="commands"><h2>Exceptions in the group</h2><pre>{}</pre></div>',
        "".join(lines),
    )


def _queries_section() -> SafeString:
    """A section with the queries that the request has run, if they were recorded."""
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
                q.callsite,
            )
            for q in record.queries
        ),
    )
    return format_html(
        '<div id="queries" class="meta"><h2>Queries</h2><p>{} so far, {} ms.</p>'
        '<table class="req"><thead><tr><th>Database</th><th>Time</th><th>SQL</th>'
        "<th>Made by</th></tr></thead><tbody>{}</tbody></table></div>",
        record.count,
        f"{record.seconds * 1000:.1f}",
        rows,
    )


def not_found_response(error: Http404, media_type: str, request: Request) -> Response:
    """
    Return what was asked for, and which URL patterns were tried.

    Args:
        media_type: "text/html", "text/plain" or "application/json".

    Never switches.
    """
    path = request.path
    tried: list[str] = []
    if isinstance(error, Resolver404):
        tried = list(_described(error.args[0].get("tried", []) if error.args else []))
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
        reason = safe_text(error) or "no reason given."
        detail = f"The view for {path} raised Http404: {reason}"
        body = format_html(
            "<p>The view for <code>{}</code> raised <code>Http404</code>: {}</p>",
            path,
            reason,
        )
    if media_type != "text/html":
        return plain_response(404, media_type, detail=detail, tried=tried)
    note = "You see this page because <code>DEBUG</code> is on."
    return html_page(404, SafeString(f"{body}<p><small>{note}</small></p>"))


def _described(tried: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Each pattern that was tried, as one line with its name."""
    for patterns in tried:
        chain = list(patterns)
        line = " ".join(filter(None, (str(p.pattern) for p in chain))) or "''"
        name = getattr(chain[-1], "name", None)
        yield f"{line}  [name={name!r}]" if name else line
