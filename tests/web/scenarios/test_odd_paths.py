"""Odd paths lead where Django's own handler leads them: one corpus, asked of both."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpResponse
from django.test import override_settings

from tests.web.serving import serving_on_a_socket, settings_for
from vinyl.web import get_asgi_application, include, path, re_path

pytestmark = pytest.mark.anyio


def view(request: Any, **kwargs: Any) -> HttpResponse:
    match = request.resolver_match
    return HttpResponse(
        ascii([match.view_name, match.route, kwargs, request.path, request.path_info])
    )


async def async_view(request: Any, **kwargs: Any) -> HttpResponse:
    return view(request, **kwargs)


PATTERNS = (
    path("", view, name="root"),
    path("int/<int:pk>/", view, name="int"),
    path("str/<str:text>/", view, name="str"),
    path("slug/<slug:slug>/", async_view, name="slug"),
    path("uuid/<uuid:pk>/", view, name="uuid"),
    path("path/<path:rest>", async_view, name="path"),
    path("tree/<path:rest>/", view, name="tree"),
    path("noslash", view, name="noslash"),
    path("spaced name/", view, name="spaced"),
    path("caf\xe9/", view, name="cafe"),
    re_path(r"^any/(?P<rest>.*)$", view, name="any"),
    re_path(r"^all/(?s:(?P<rest>.*))\Z", view, name="all"),
    re_path(r"^word/(?P<word>\w+)/?$", view, name="word"),
    path("in/<str:tenant>/", include([path("x/<str:y>/", view, name="nested")])),
)

PIECES = [
    "a",
    "%0A",
    "a%0A",
    "%0Aa",
    "a%0Ab",
    "a%0D%0Ab",
    "%0D",
    "%09",
    "%0B%0C",
    "%1C%1D%1E",
    "%7F",
    "%C2%85",
    "%E2%80%A8",
    "a%2Fb",
    "%2F",
    "%2F%2F",
    "%5C",
    "..",
    "%2E%2E",
    ".",
    "a%20b",
    "a+b",
    "a%25b",
    "a%2541",
    "a%3Fb%23c",
    "a;b=c",
    "caf%C3%A9",
    "cafe%CC%81",
    "%FF",
    "%C3%28",
    "%ED%A0%80",
    "%F0%9F%8E%B5",
    "%",
    "%zz",
    "1",
    "-1",
    "%D9%A1",
    "1%0A",
    "6b3ad2c6-9d0c-4a6e-8f7e-0d8f0a5b1c2d",
    "x" * 3000,
]
PLACES = ["int", "str", "slug", "uuid", "path", "tree", "any", "all", "word", "nowhere"]

CORPUS = [
    "/",
    "//",
    "///",
    "//evil.test/",
    "//evil.test",
    "/%2F",
    "/%0A",
    "/%0A/",
    "/noslash",
    "/noslash/",
    "/noslash%0A",
    "/NOSLASH",
    "/spaced%20name/",
    "/spaced%20name",
    "/caf%C3%A9/",
    "/caf%C3%A9",
    "/caf%E9/",
    "/in/a%0Ab/x/c%0Ad/",
    "/in/a%0Ab/x/c%0Ad",
    "/in/a/x/b",
    "*",
    "",
    "?a=1",
    "/str/a?next=%0A",
    *(
        f"/{place}/{piece}{end}"
        for place in PLACES
        for piece in PIECES
        for end in ("", "/")
    ),
]


def scope(target: str, root_path: str = "") -> dict[str, Any]:
    """What uvicorn makes of *target*."""
    raw, _, query = target.partition("?")
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "http_version": "1.1",
        "path": root_path + unquote(raw),
        "raw_path": (root_path + raw).encode(),
        "query_string": query.encode(),
        "root_path": root_path,
        "headers": [(b"host", b"testserver")],
        "client": ("127.0.0.1", 5000),
        "server": ("testserver", 80),
    }


async def answer(app: Any, scope: dict[str, Any]) -> Any:
    """Status, Location, and the text if a view has answered."""
    messages: list[Any] = []
    asked = False

    async def receive() -> Any:
        nonlocal asked
        if asked:
            # Django listens for a client that leaves.
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    await app(scope, receive, send)
    start, *rest = messages
    headers = {name.lower(): value for name, value in start["headers"]}
    text = b"".join(message.get("body", b"") for message in rest)
    status = start["status"]
    return status, headers.get(b"location"), text if status == 200 else b""


@pytest.fixture
def apps() -> Any:
    """Django's handler, and vinyl's."""
    common = ["django.middleware.common.CommonMiddleware"]
    with settings_for(PATTERNS, {"MIDDLEWARE": common}):
        djangos = ASGIHandler()
    with settings_for(PATTERNS, {"MIDDLEWARE": []}):
        yield djangos, get_asgi_application()


@pytest.mark.parametrize("root_path", ["", "/shop"])
async def test_the_corpus_leads_to_the_same_views(apps: Any, root_path: str) -> None:
    djangos, vinyls = apps
    different = {}
    for target in CORPUS:
        theirs = await answer(djangos, scope(target, root_path))
        ours = await answer(vinyls, scope(target, root_path))
        if theirs != ours:
            different[target] = (theirs, ours)
    assert different == {}


async def test_a_nul_is_refused(apps: Any) -> None:
    """The one path that Django serves and vinyl does not: no database takes it."""
    djangos, vinyls = apps
    assert (await answer(djangos, scope("/str/a%00b/")))[0] == 200
    assert (await answer(vinyls, scope("/str/a%00b/")))[0] == 400


async def test_a_line_break_reaches_the_view_through_uvicorn() -> None:
    async with serving_on_a_socket(*PATTERNS) as http:
        for target in ("/any/a%0D", "/all/a%0Ab", "/str/a%0Ab/", "/str/%E2%80%A8/"):
            assert (await http.get(target)).status_code == 200, target
        assert (await http.get("/str/a%0Ab")).headers["location"] == "/str/a%0Ab/"
        assert (await http.get("/any/a%0Ab")).status_code == 404


@pytest.mark.parametrize("debug", [False, True])
async def test_what_is_not_there_gets_the_error_page(debug: bool) -> None:
    with (
        settings_for(PATTERNS, {"DEBUG": debug}),
        override_settings(APPEND_SLASH=False),
    ):
        app = get_asgi_application()
        for piece in PIECES:
            status, *_ = await answer(app, scope(f"/nowhere/{piece}"))
            assert status == 404, piece
