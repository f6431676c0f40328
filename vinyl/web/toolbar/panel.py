"""The content of the toolbar, from the request and its recording."""

from __future__ import annotations

import functools
import inspect
import reprlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import jinja2
from django.utils.functional import LazyObject, empty
from django.views.debug import SafeExceptionReporterFilter
from markupsafe import Markup

from vinyl.orm.observe.n_plus_one import find_n_plus_ones
from vinyl.orm.recording import Query, Recording
from vinyl.records import NamedTuple
from vinyl.web.http.lazy_user import LAZY_USER
from vinyl.web.http.requests import Request
from vinyl.web.templating.usage import TemplateUse, template_uses

__all__ = ["panel"]

# How many queries are shown; more make the page slow. All are counted.
MAX_SHOWN = 300

_cleansing = SafeExceptionReporterFilter()
_SECRET_HEADERS = frozenset(
    "authorization cookie proxy-authorization x-csrftoken".split()
)


@functools.cache
def environment() -> jinja2.Environment:
    """Return the toolbar's own environment, which no setting of the project changes."""
    loader = jinja2.PackageLoader("vinyl.web.toolbar")
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined
    )


class QueryRow(NamedTuple):
    """A query as the panel shows it: how often it, or one of the same SQL, ran."""

    query: Query
    summary: str
    duplicates: int
    similar: int
    # Its time in percent of the longest query's.
    share: int


def panel(
    request: Request, record: Recording, seconds: float, status: int, nonce: str
) -> str:
    """
    Return the panel as HTML. It makes no queries. Never switches.

    Args:
        request: The request.
        record: Its recording.
        seconds: How long the response took.
        status: The status of the response.
        nonce: The nonce that the page's policy asks for; empty if it asks for none.
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
        # The toolbar's own stylesheet.
        style=Markup(style),
        template_seconds=sum(one.seconds for one in uses if one.parent is None),
    )


def rows_of(record: Recording) -> list[QueryRow]:
    """Return the queries of *record*, with how often each is repeated."""
    equal = Counter(query.key for query in record.queries)
    alike = Counter((query.alias, query.sql) for query in record.queries)
    longest = max((query.seconds for query in record.queries), default=0) or 1
    return [
        QueryRow(
            query,
            query.summary or query.sql[:60],
            equal[query.key],
            alike[query.alias, query.sql],
            round(query.seconds / longest * 100),
        )
        for query in record.queries[:MAX_SHOWN]
    ]


def tree(uses: list[TemplateUse]) -> Iterator[tuple[int, TemplateUse, int]]:
    """Yield each template below the one that uses it: depth, template, number."""
    times = Counter((one.name, one.parent, one.how, one.line) for one in uses)
    below: dict[str | None, dict[tuple[Any, ...], TemplateUse]] = {}
    for one in uses:
        key = (one.name, one.how, one.line)
        below.setdefault(one.parent, {}).setdefault(key, one)

    def walk(parent: str | None, depth: int, path: frozenset[Any]) -> Iterator[Any]:
        for one in below.get(parent, {}).values():
            yield depth, one, times[one.name, one.parent, one.how, one.line]
            # A template that includes itself is shown once.
            if one.name not in path:
                yield from walk(one.name, depth + 1, path | {one.name})

    return walk(None, 0, frozenset())


def facts_of(
    request: Request, status: int
) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Yield headings, each with names and values."""
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
    """Return the user's name, if the user has been fetched."""
    user = request.scope.get("user", request.scope.get(LAZY_USER))
    if user is None:
        return "none"
    while isinstance(user, LazyObject):
        user = vars(user).get("_wrapped", empty)
        if user is empty:
            return "not fetched"
    # Not str(), which is the project's code and may query.
    return repr(getattr(user, "get_username", lambda: type(user).__name__)())


def _session(request: Request) -> str:
    """Return the keys of the session, if it has been loaded; never its values."""
    session = request.scope.get("session")
    if session is None:
        return "none"
    kept = session if isinstance(session, dict) else vars(session).get("_session_cache")
    if kept is None:
        return "not loaded"
    return ", ".join(sorted(map(str, kept))) or "empty"
