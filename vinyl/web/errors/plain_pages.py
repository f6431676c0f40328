"""Plain answers that need no template: a small page, a line of text, JSON."""

from __future__ import annotations

from collections.abc import Mapping
from http.client import responses
from typing import Any

from django.utils.html import escape

from vinyl.web.http.requests import Request
from vinyl.web.http.responses import HTMLResponse, JSONResponse, Response

__all__ = ["answer", "page", "phrase_of", "preferred_kind"]

KINDS = ["text/html", "text/plain", "application/json"]


def preferred_kind(request: Request) -> str:
    """Which of our kinds of answer the client likes best; HTML if it does not say."""
    try:
        return request.get_preferred_type(KINDS) or "text/html"
    except ValueError:
        # A malformed header says nothing.
        return "text/html"


def phrase_of(status: int) -> str:
    return responses.get(status, "Unknown Status")


def answer(
    status: int,
    kind: str,
    *,
    detail: str = "",
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> Response:
    """An answer of *status*, with *more* members where it is JSON."""
    phrase = phrase_of(status)
    if status in (204, 304):
        return Response(None, status, headers)
    if kind == "application/json":
        # The names of RFC 9457.
        content: dict[str, Any] = {"status": status, "title": phrase}
        if detail:
            content["detail"] = detail
        content |= {name: value for name, value in more.items() if value}
        return JSONResponse(content, status, headers)
    if kind == "text/plain":
        text = f"{status} {phrase}\n"
        lines = [detail, *more.get("tried", ())] if detail else []
        return Response(
            text + "".join(f"{line}\n" for line in lines), status, headers, kind
        )
    return page(status, f"<p>{escape(detail)}</p>" if detail else "", headers)


def page(
    status: int, body: str, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """A small page that needs no template and no stylesheet."""
    title = f"{status} {phrase_of(status)}"
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{title}</h1>{body}</main></body></html>"
    )
    return HTMLResponse(text, status, headers)


_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1rem/1.6 system-ui,sans-serif;margin:0}"
    "main{max-width:44rem;margin:12vh auto;padding:0 1.5rem}"
    "h1{font-size:1.6rem}code{font-size:.95em}li{margin:.2rem 0}"
)
