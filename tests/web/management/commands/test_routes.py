"""`vinyl routes` lists what each address leads to."""

from __future__ import annotations

import functools
import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.views.decorators.http import require_GET
from django.views.generic import TemplateView, View
from starlette.applications import Starlette

from tests.web.serving import settings_for
from vinyl.web import include, mount, path, re_path, websocket


async def album(request: Any, pk: int) -> Any: ...


@require_GET
def plain(request: Any) -> Any: ...


@websocket
async def chat(websocket: Any, room: str) -> None: ...


async def asgi(scope: Any, receive: Any, send: Any) -> None: ...


class Both(View):
    async def get(self, request: Any) -> Any: ...

    async def post(self, request: Any) -> Any: ...


shop = (
    [
        path("albums/<int:pk>/", album, name="album"),
        path("both/", Both.as_view(), name="both"),
    ],
    "shop",
)
PATTERNS: tuple[Any, ...] = (
    path("", TemplateView.as_view(template_name="home.html"), name="home"),
    path("<slug:tenant>/", include(shop, namespace="store")),
    path("nested/", include([path("deep/", include(shop))])),
    re_path(r"^year/(?P<year>[0-9]{4})/$", plain),
    path("partly/", functools.partial(album, pk=1)),
    path("ws/<slug:room>/", chat, name="chat"),
    mount("api/", Starlette(), name="api"),
    mount("other/", asgi),
)


def routes(*args: str, patterns: tuple[Any, ...] = PATTERNS) -> str:
    output = io.StringIO()
    with settings_for(patterns, {}):
        call_command("routes", *args, stdout=output)
    return output.getvalue()


def test_as_json() -> None:
    here = __name__
    both = ["GET", "HEAD", "OPTIONS", "POST"]
    album = "<int:pk>/"
    assert [tuple(route.values()) for route in json.loads(routes("--format=json"))] == [
        (
            "/",
            "home",
            "django.views.generic.base.TemplateView",
            "plain",
            ["GET", "HEAD", "OPTIONS"],
        ),
        (
            f"/<slug:tenant>/albums/{album}",
            "store:album",
            f"{here}.album",
            "async",
            None,
        ),
        ("/<slug:tenant>/both/", "store:both", f"{here}.Both", "async", both),
        (f"/nested/deep/albums/{album}", "shop:album", f"{here}.album", "async", None),
        ("/nested/deep/both/", "shop:both", f"{here}.Both", "async", both),
        ("/year/(?P<year>[0-9]{4})/$", None, f"{here}.plain", "plain", None),
        ("/partly/", None, f"{here}.album", "async", None),
        ("/ws/<slug:room>/", "chat", f"{here}.chat", "websocket", None),
        ("/api/", "api", "starlette.applications.Starlette", "mounted app", None),
        ("/other/", None, f"{here}.asgi", "mounted app", None),
    ]


def test_as_a_table() -> None:
    lines = routes("CHAT").splitlines()
    assert [line.split() for line in lines] == [
        ["/ws/<slug:room>/", "chat", f"{__name__}.chat", "websocket", "-"]
    ]
    names = [line.split()[1] for line in routes().splitlines()]
    assert len(names) == len(PATTERNS) + 2
    starts = {line.index(f"{__name__}.") for line in routes(__name__).splitlines()}
    assert len(starts) == 1


def test_nothing_found() -> None:
    with pytest.raises(CommandError, match="No route contains 'nowhere'"):
        routes("nowhere")
    with pytest.raises(CommandError, match="urlpatterns are empty"):
        routes(patterns=())
    assert json.loads(routes("nowhere", "--format=json")) == []
