"""A site below a prefix: all that a request meets sees the same one, the request's."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.conf import settings
from django.conf.urls.static import static as djangos_static
from django.contrib.staticfiles.storage import StaticFilesStorage
from django.core.files.storage import (
    FileSystemStorage,
    InMemoryStorage,
    default_storage,
)
from django.templatetags.static import static
from django.urls import get_script_prefix

from tests.web.serving import settings_for
from vinyl.web import (
    JSONResponse,
    PlainTextResponse,
    Request,
    WebSocket,
    get_asgi_application,
    in_thread,
    mount,
    path,
    redirect,
    reverse,
    websocket,
)
from vinyl.web.auth import login_not_required
from vinyl.web.http.prefix import script_prefix
from vinyl.web.staticfiles.serving import static as media_patterns
from vinyl.web.testing import Client

pytestmark = pytest.mark.anyio


def addresses(request: Any) -> dict[str, str]:
    return {
        "prefix": request.script_name,
        "path": request.path,
        "path_info": request.path_info,
        "full": request.get_full_path(),
        "absolute": request.build_absolute_uri(),
        "url": str(request.url),
        "meta": request.META["SCRIPT_NAME"] + request.META["PATH_INFO"],
        "raw": request.scope["raw_path"].decode(),
        "reverse": reverse("where"),
        "redirect": redirect("where").headers["location"],
        "static": static("site.css"),
        "media": default_storage.url("a.png"),
        "setting": settings.STATIC_URL + settings.MEDIA_URL,
    }


@login_not_required
async def where(request: Request) -> Any:
    return JSONResponse([addresses(request), request.scope["seen"]])


@login_not_required
def where_plain(request: Request) -> Any:
    return JSONResponse([addresses(request), request.scope["seen"]])


@login_not_required
@in_thread
def where_thread(request: Request) -> Any:
    return JSONResponse([addresses(request), request.scope["seen"]])


class Seeing:
    """Middleware, which sees the same as the view."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope["seen"] = addresses(Request.of(scope, receive, send))
        await self.app(scope, receive, send)


SEEING = {
    "MIDDLEWARE": [f"{__name__}.Seeing"],
    "MEDIA_URL": "media/",
    "STATIC_URL": "static/",
}
VIEWS = {"async": where, "plain": where_plain, "thread": where_thread}


def raw_scope(path: str, root_path: str) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "http_version": "1.1",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": root_path,
        "headers": [(b"host", b"testserver")],
        "client": ("127.0.0.1", 5000),
        "server": ("testserver", 80),
    }


async def asked(app: Any, scope: dict[str, Any]) -> tuple[int, Any]:
    """Status and JSON of the answer to *scope*."""
    messages: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        messages.append(message)

    await app(scope, receive, send)
    body = b"".join(m.get("body", b"") for m in messages[1:])
    status = messages[0]["status"]
    return status, httpx.Response(
        status, content=body
    ).json() if status == 200 else body


@pytest.mark.parametrize(
    ("forced", "root_path", "path_in_scope"),
    [
        pytest.param(None, "/shop", "/shop/where/", id="path with the prefix"),
        pytest.param(None, "/shop", "/where/", id="path without it"),
        pytest.param(None, "/shop/", "/shop//where/", id="uvicorn, slash at the end"),
        pytest.param(None, "/shop/", "/shop/where/", id="slash at the end"),
        pytest.param(None, "shop", "shop/where/", id="uvicorn, no slash at all"),
        pytest.param("/shop", "", "/where/", id="forced, proxy strips"),
        pytest.param("/shop", "", "/shop/where/", id="forced, proxy does not"),
        pytest.param("/shop/", "", "/shop/where/", id="forced with a slash"),
        pytest.param("/shop", "/shop", "/shop/where/", id="both"),
        pytest.param("/shop", "/inner", "/inner/where/", id="forced over another one"),
        pytest.param("/", "/shop", "/shop/where/", id="forced to a slash"),
    ],
)
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
async def test_one_prefix_for_middleware_and_views(
    view: Any, forced: str | None, root_path: str, path_in_scope: str
) -> None:
    patterns = (path("where/", view, name="where"),)
    with settings_for(patterns, SEEING | {"FORCE_SCRIPT_NAME": forced}):
        scope = raw_scope(path_in_scope, root_path)
        status, (view_saw, middleware_saw) = await asked(get_asgi_application(), scope)
        assert status == 200
        assert view_saw == middleware_saw
        assert view_saw == {
            "prefix": "/shop",
            "path": "/shop/where/",
            "path_info": "/where/",
            "full": "/shop/where/",
            "absolute": "http://testserver/shop/where/",
            "url": "http://testserver/shop/where/",
            "meta": "/shop/where/",
            "raw": "/shop/where/",
            "reverse": "/shop/where/",
            "redirect": "/shop/where/",
            "static": "/shop/static/site.css",
            "media": "/shop/media/a.png",
            "setting": "/shop/static//shop/media/",
        }
        # The prefix was the request's.
        assert (get_script_prefix(), settings.STATIC_URL) == ("/", "/static/")


@pytest.mark.parametrize(
    ("root_path", "path_in_scope"),
    [("", "/where/"), ("/", "/where/"), ("/", "//where/"), (None, "/where/")],
)
async def test_a_slash_is_no_prefix(root_path: Any, path_in_scope: str) -> None:
    with settings_for((path("where/", where, name="where"),), SEEING):
        scope = raw_scope(path_in_scope, root_path)
        status, (saw, _) = await asked(get_asgi_application(), scope)
    assert status == 200
    assert (saw["prefix"], saw["path"], saw["reverse"]) == ("", "/where/", "/where/")
    assert (saw["static"], saw["url"]) == (
        "/static/site.css",
        "http://testserver/where/",
    )


async def test_the_prefix_without_a_slash_is_redirected() -> None:
    with settings_for((path("", where, name="where"),), SEEING):
        app = get_asgi_application()
        status, (saw, _) = await asked(app, raw_scope("/shop/", "/shop"))
        assert (status, saw["path"], saw["path_info"]) == (200, "/shop/", "/")
        status, _ = await asked(app, raw_scope("/shop", "/shop"))
        assert status == 301


async def test_a_path_that_only_begins_like_the_prefix_is_another_one() -> None:
    with settings_for((path("where/", where, name="where"),), SEEING):
        app = get_asgi_application()
        assert (await asked(app, raw_scope("/shopwhere/", "/shop")))[0] == 404


async def test_requests_with_different_prefixes_at_the_same_time() -> None:
    meeting = asyncio.Barrier(2)

    async def slow(request: Request) -> Any:
        await meeting.wait()
        return JSONResponse([reverse("slow"), static("a.css")])

    with settings_for((path("slow/", slow, name="slow"),), {}):
        app = get_asgi_application()
        one, two = await asyncio.gather(
            asked(app, raw_scope("/one/slow/", "/one")),
            asked(app, raw_scope("/two/slow/", "/two")),
        )
    assert one[1] == ["/one/slow/", "/one/static/a.css"]
    assert two[1] == ["/two/slow/", "/two/static/a.css"]


@pytest.mark.parametrize("outer", ["/", "/outer/"])
async def test_the_prefix_of_the_caller_is_back_after_a_cancelled_request(
    outer: str,
) -> None:
    seen = []

    async def cancelled(request: Request) -> Any:
        seen.append(get_script_prefix())
        raise asyncio.CancelledError

    with settings_for((path("cancelled/", cancelled),), {}), script_prefix(outer):
        app = get_asgi_application()
        for root_path in ("/shop", "", outer.rstrip("/")):
            with pytest.raises(asyncio.CancelledError):
                await asked(app, raw_scope("/cancelled/", root_path))
            assert get_script_prefix() == outer
        # Nor does a shutdown wait for such a request.
        assert app.requests.count == 0
    assert seen == ["/shop/", "/", outer]


async def test_patterns_of_media_imported_within_a_request(tmp_path: Path) -> None:
    def late(request: Request) -> Any:
        made = [
            function(settings.MEDIA_URL, document_root=tmp_path)[0].pattern
            for function in (media_patterns, djangos_static)
        ]
        return JSONResponse([str(pattern) for pattern in made])

    further = {"MEDIA_URL": "media/", "DEBUG": True}
    with settings_for((path("late/", late),), further):
        app = get_asgi_application()
        for prefix in ("", "/shop"):
            _, made = await asked(app, raw_scope(f"{prefix}/late/", prefix))
            assert made == ["^media/(?P<path>.*)$"] * 2


def test_a_storage_keeps_the_address_that_it_was_given() -> None:
    given = {"base_url": "https://files.test/"}
    for storage in (StaticFilesStorage, FileSystemStorage, InMemoryStorage):
        assert storage(**given).url("a.png") == "https://files.test/a.png"
    own = StaticFilesStorage()
    own.base_url = "/own/"
    assert own.url("a.png") == "/own/a.png"


async def test_cors_and_https_rules_are_for_the_path_below_the_prefix() -> None:
    further = {
        "MIDDLEWARE": [
            "vinyl.web.security.SecurityMiddleware",
            "vinyl.web.cors.CORSMiddleware",
        ],
        "CORS_ALLOW_ALL_ORIGINS": True,
        "CORS_URLS_REGEX": r"^/api/.*$",
        "SECURE_SSL_REDIRECT": True,
        "SECURE_REDIRECT_EXEMPT": [r"^api/", r"^shop/also/"],
    }

    async def page(request: Request) -> Any:
        return PlainTextResponse("a page")

    patterns = [path(f"{name}/", page) for name in ("api", "also", "other")]
    with settings_for(tuple(patterns), further):
        http = Client(get_asgi_application(), root_path="/shop")
        origin = {"origin": "https://app.test"}
        found = await http.get("/api/", headers=origin)
        assert found.headers["access-control-allow-origin"] == "*"
        found = await http.get("/also/", headers=origin)
        assert found.status_code == 200
        assert "access-control-allow-origin" not in found.headers
        found = await http.get("/other/")
        assert found.headers["location"] == "https://testserver/shop/other/"


async def test_a_mounted_app_is_below_the_prefix() -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        text = f"{scope['root_path']} {scope['path']}"
        await PlainTextResponse(text)(scope, receive, send)

    for forced in (None, "/shop"):
        with settings_for((mount("in/", inner),), {"FORCE_SCRIPT_NAME": forced}):
            http = Client(get_asgi_application(), root_path="" if forced else "/shop")
            assert (await http.get("/in/x")).text == "/shop/in /shop/in/x"


async def test_an_application_in_an_application_is_below_both() -> None:
    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await application(scope, receive, send)

    async def show(request: Request) -> Any:
        return JSONResponse([request.script_name, reverse("show"), static("a.css")])

    patterns = mount("in/", inner), path("show/", show, name="show")
    for forced in (None, "/shop"):
        with settings_for(patterns, {"FORCE_SCRIPT_NAME": forced}):
            application = get_asgi_application()
            http = Client(application, root_path="" if forced else "/shop")
            answer = (await http.get("/in/show/")).json()
            assert answer == ["/shop/in", "/shop/in/show/", "/shop/in/static/a.css"]


async def test_a_websocket_is_below_the_prefix() -> None:
    @websocket
    async def talk(connection: WebSocket) -> None:
        await connection.accept()
        await connection.send_json(
            [connection.path, connection.path_info, reverse("ws")]
        )

    patterns = (path("ws/", talk, name="ws"),)
    for forced in (None, "/shop"):
        with settings_for(patterns, {"FORCE_SCRIPT_NAME": forced}):
            http = Client(get_asgi_application(), root_path="" if forced else "/shop")
            async with http.websocket("/ws/") as ws:
                assert await ws.receive_json() == ["/shop/ws/", "/ws/", "/shop/ws/"]


async def test_outside_of_requests_a_forced_prefix_counts() -> None:
    patterns = (path("where/", where, name="where"),)
    with settings_for(patterns, {"FORCE_SCRIPT_NAME": "/shop"}):
        app = get_asgi_application()
        async with app.router.lifespan_context(app):
            assert reverse("where") == "/shop/where/"
    assert get_script_prefix() == "/"
