"""
Rendering a plain response, which needs no template, no setting and no request: a small
page, a line of text, or JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.html import escape

from vinyl.web.http.responses import (
    HTMLResponse,
    JSONResponse,
    Response,
    reason_phrase,
)

__all__ = ["html_page", "plain_response"]


def plain_response(
    status: int,
    media_type: str,
    *,
    detail: Any = "",
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> Response:
    """
    Return a response of *status* with its title.

    Args:
        media_type: "text/html", "text/plain" or "application/json".
        detail: Shown below the title; nothing if empty.
        members: Further members of the JSON object. Text shows only `tried`, a list,
            and HTML none of them. Empty ones are left out.
    """
    title = reason_phrase(status)
    if status in (204, 304):
        return Response(None, status, headers)
    if media_type == "application/json":
        # The names of RFC 9457.
        content: dict[str, Any] = {"status": status, "title": title}
        if detail:
            content["detail"] = detail
        content |= {name: value for name, value in members.items() if value}
        return JSONResponse(content, status, headers)
    if media_type == "text/plain":
        lines = [detail, *members.get("tried", ())] if detail else []
        text = "".join(f"{line}\n" for line in [f"{status} {title}", *lines])
        return Response(text, status, headers, media_type)
    return html_page(status, f"<p>{escape(detail)}</p>" if detail else "", headers)


def html_page(
    status: int, body: str, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """
    Return a small page that has its stylesheet in itself.

    Args:
        body: HTML, shown below the status and its title.
    """
    title = f"{status} {reason_phrase(status)}"
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
