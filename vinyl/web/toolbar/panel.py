"""What the toolbar shows, gathered from the request and its recording."""

from __future__ import annotations

import functools
import inspect
import reprlib
from collections import Counter
from collections.abc import Iterator
from typing import Any, NamedTuple

import jinja2
from django.utils.functional import LazyObject, empty
from django.views.debug import SafeExceptionReporterFilter
from markupsafe import Markup

from vinyl.orm.observe.n_plus_one import find_n_plus_ones
from vinyl.orm.recording import Query, Recording
from vinyl.web.http.lazy_user import LAZY_USER
from vinyl.web.http.requests import Request
from vinyl.web.templating.usage import TemplateUse, template_uses

__all__ = ["panel"]

# More make the page slow; all are counted.
MOST_SHOWN = 300

_cleansing = SafeExceptionReporterFilter()
_SECRET_HEADERS = frozenset(
    "authorization cookie proxy-authorization x-csrftoken".split()
)


@functools.cache
def environment() -> jinja2.Environment:
    """The toolbar's own, so that no setting of the project changes the panel."""
    loader = jinja2.PackageLoader("vinyl.web.toolbar")
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined
    )


class Row(NamedTuple):
    """A query as the panel shows it: how often it, or one of the same text, ran."""

    query: Query
    summary: str
    duplicates: int
    similar: int
    # Of the time of the longest one, in percent.
    share: int


def panel(
    request: Request, record: Recording, seconds: float, status: int, nonce: str
) -> str:
    """
    The panel as HTML. Shows what is there and makes no query. Never switches.

    Args:
        seconds: How long the response took.
        status: That of the response.
        nonce: What the page's policy wants of its styles; may be empty.
    """
    environ = environment()
    style = environ.loader.get_source(environ, "toolbar.css")[0]  # type: ignore[union-attr]
    uses = template_uses(record)
    return environ.get_template("toolbar.html").render(
        advice=find_n_plus_ones(record),
        nonce=nonce,
        record=record,
        rendered=list(tree(uses)),
        request_facts=list(facts_of(request, status)),
        rows=rows_of(record),
        seconds=seconds,
        # The stylesheet is our own.
        style=Markup(style),
        template_seconds=sum(one.seconds for one in uses if one.parent is None),
    )


def rows_of(record: Recording) -> list[Row]:
    """The queries of *record*, with what they repeat."""
    equal = Counter(query.key for query in record.queries)
    alike = Counter((query.alias, query.sql) for query in record.queries)
    longest = max((query.seconds for query in record.queries), default=0) or 1
    return [
        Row(
            query,
            query.summary or query.sql[:60],
            equal[query.key],
            alike[query.alias, query.sql],
            round(query.seconds / longest * 100),
        )
        for query in record.queries[:MOST_SHOWN]
    ]


def tree(uses: list[TemplateUse]) -> Iterator[tuple[int, TemplateUse, int]]:
    """Each template below the one that uses it: its depth, itself, and how often."""
    times = Counter((one.name, one.parent, one.how, one.line) for one in uses)
    below: dict[str | None, dict[tuple[Any, ...], TemplateUse]] = {}
    for one in uses:
        key = (one.name, one.how, one.line)
        below.setdefault(one.parent, {}).setdefault(key, one)

    def walk(parent: str | None, depth: int, path: frozenset[Any]) -> Iterator[Any]:
        for one in below.get(parent, {}).values():
            yield depth, one, times[one.name, one.parent, one.how, one.line]
            # One that includes itself is shown once.
            if one.name not in path:
                yield from walk(one.name, depth + 1, path | {one.name})

    return walk(None, 0, frozenset())


def facts_of(
    request: Request, status: int
) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Headings, each with names and values."""
    match = request.resolver_match
    yield "Request", [("Address", f"{request.method} {request.url}")]
    if match is not None:
        view = inspect.unwrap(getattr(match.func, "view_class", match.func))
        name = f"{view.__module__}.{getattr(view, '__qualname__', repr(view))}"
        arguments = ", ".join(
            [*map(reprlib.repr, match.args)]
            + [f"{key}={reprlib.repr(value)}" for key, value in match.kwargs.items()]
        )
        yield (
            "View",
            [
                ("View", f"{name}({arguments})"),
                ("URL pattern", match.route),
                ("URL name", match.view_name or "none"),
            ],
        )
    yield "Visitor", [("User", _user(request)), ("Session keys", _session(request))]
    yield "Headers", [(name, _safe(name, value)) for name, value in _headers(request)]
    yield "Response", [("Status", status)]


def _headers(request: Request) -> list[tuple[str, str]]:
    return sorted(request.headers.items())


def _safe(name: str, value: str) -> Any:
    if name in _SECRET_HEADERS:
        return _cleansing.cleansed_substitute
    return _cleansing.cleanse_setting(name.replace("-", "_"), value)


def _user(request: Request) -> str:
    """Who it is, if that has been looked up."""
    user = request.scope.get("user", request.scope.get(LAZY_USER))
    if user is None:
        return "none"
    while isinstance(user, LazyObject):
        user = vars(user).get("_wrapped", empty)
        if user is empty:
            return "not asked for"
    # str() of it is code of the project's, which may fetch.
    return repr(getattr(user, "get_username", lambda: type(user).__name__)())


def _session(request: Request) -> str:
    """The keys of the session, if it has been loaded; never its values."""
    session = request.scope.get("session")
    if session is None:
        return "none"
    kept = session if isinstance(session, dict) else vars(session).get("_session_cache")
    if kept is None:
        return "not loaded"
    return ", ".join(sorted(map(str, kept))) or "empty"
