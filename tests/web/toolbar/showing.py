"""Pages with the toolbar, as tests ask for them."""

from __future__ import annotations

import html
import re
from typing import Any

from tests.web.serving import serving
from vinyl.web import HTMLResponse, Request, Response, path

PAGE = "<!doctype html><html><body><p>Grüße</p></body></html>"
FAR = "192.0.2.7"


def toolbar(**settings: Any) -> dict[str, Any]:
    here = settings.pop("before", [])
    middleware = [*here, "vinyl.web.toolbar.ToolbarMiddleware"]
    return {"DEBUG": True, "MIDDLEWARE": middleware, **settings}


async def fetch(view: Any, method: str = "GET", **settings: Any) -> Any:
    headers = settings.pop("headers", {})
    async with serving(path("<word>/", view), **toolbar(**settings)) as http:
        return await http.request(method, "/x/", headers=headers)


async def html_page(request: Request, word: str) -> Response:
    return HTMLResponse(PAGE, headers={"etag": '"abc"'})


def text_of(response: Any) -> str:
    """The panel as it reads."""
    [panel] = re.findall(r"<vinyl-toolbar>(.*)</vinyl-toolbar>", response.text, re.S)
    panel = re.sub(r"<style.*?</style>", "", panel, flags=re.S)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", panel)).split())
