"""Apps of others in the urlpatterns, and vinyl's application in theirs."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc, unreachable"
# Not all helpers are annotated.
# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any, ClassVar

import httpx
import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.urls import get_script_prefix, get_urlconf
from django.urls import reverse as django_reverse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from tests.records.models import Artist
from tests.web.serving import serving, settings_for
from vinyl.orm import in_bridge
from vinyl.orm.asgi import get_asgi_application as legacy_application
from vinyl.orm.pools.registry import pool_for
from vinyl.web import get_asgi_application, include, mount, path, reverse
from vinyl.web.http import requests as vinyl_requests
from vinyl.web.routing.lifespan import LifespanError
from vinyl.web.testing import Client, client

pytestmark = pytest.mark.anyio


async def show(request: Request) -> Response:
    scope = request.scope
    return JSONResponse(
        {
            "root_path": scope["root_path"],
            "path": scope["path"],
            "params": request.path_params,
            "url": str(request.url_for("item", pk=5)),
            "base": str(request.base_url),
        }
    )


async def echo(request: Request) -> Response:
    return PlainTextResponse(await request.body())


async def chat(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_json([ws.scope["root_path"], ws.path_params, ws.user])


class Marking:
    """Puts a user and a session into the scope, and reads the body as asked."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            scope["user"], scope["session"] = "Nina", {"cart": 3}
        if scope["type"] == "http":
            request = vinyl_requests.Request.of(scope, receive, send)
            match request.headers.get("x-read"):
                case "body":
                    await request.body()
                case "form":
                    await request.form()
                case "both":
                    await request.body()
                    await request.form()
                case "stream":
                    async for _ in request.stream():
                        pass
        await self.app(scope, receive, send)


MIDDLEWARE = [f"{__name__}.Marking"]


def api(**options: Any) -> Starlette:
    return Starlette(
        routes=[
            Route("/", echo, methods=["GET", "POST"]),
            Route("/items/{pk:int}", show, name="item"),
            WebSocketRoute("/chat", chat),
        ],
        **options,
    )


async def test_the_app_sees_where_it_is() -> None:
    nested = include([path("<slug:tenant>/", include([mount("api/", api())]))])
    patterns = mount("api/", api(), name="api"), path("at/", nested)
    async with serving(*patterns) as http:
        assert (await http.get("/api/items/5")).json() == {
            "root_path": "/api",
            "path": "/api/items/5",
            "params": {"pk": 5},
            "url": "http://testserver/api/items/5",
            "base": "http://testserver/api/",
        }
        answer = (await http.get("/at/acme/api/items/5")).json()
        assert answer["root_path"] == "/at/acme/api"
        assert answer["params"] == {"tenant": "acme", "pk": 5}
        assert (await http.get("/api/nowhere")).status_code == 404
        assert (await http.get("/apis/items/5")).status_code == 404
        assert reverse("api") == "/api/"


async def test_an_app_at_the_root_takes_what_is_left() -> None:
    async def mine(request: Any) -> Any:
        return PlainTextResponse("mine")

    async with serving(path("mine/", mine), mount("", api())) as http:
        assert (await http.get("/mine/")).text == "mine"
        assert (await http.get("/items/5")).json()["root_path"] == ""


async def test_without_the_slash_there_is_a_redirect() -> None:
    async with serving(mount("api/", api())) as http:
        response = await http.get("/api?q=1")
        assert response.status_code == 301
        assert response.headers["location"] == "/api/?q=1"
        assert (await http.post("/api")).status_code == 308


async def test_below_a_root_path() -> None:
    with settings_for((mount("api/", api(), name="api"),), {}):
        http = Client(get_asgi_application(), root_path="/shop")
        answer = (await http.get("/api/items/5")).json()
    assert answer["root_path"] == "/shop/api"
    assert answer["url"] == "http://testserver/shop/api/items/5"


async def test_user_and_session_of_the_middleware() -> None:
    async def who(request: Request) -> Response:
        return JSONResponse([request.user, request.session])

    app = Starlette(routes=[Route("/", who), WebSocketRoute("/chat", chat)])
    async with serving(mount("<slug:at>/", app), MIDDLEWARE=MIDDLEWARE) as http:
        assert (await http.get("/api/")).json() == ["Nina", {"cart": 3}]
        async with http.websocket("/api/chat") as ws:
            assert await ws.receive_json() == ["/api", {"at": "api"}, "Nina"]


@pytest.mark.parametrize("read", ["", "body", "form", "both", "stream"])
async def test_the_body_is_there_for_the_app(read: str) -> None:
    async with serving(mount("api/", api()), MIDDLEWARE=MIDDLEWARE) as http:
        response = await http.post("/api/", data={"a": "1"}, headers={"x-read": read})
        assert response.text == "a=1"


async def test_a_body_that_is_gone_is_an_error() -> None:
    """Taken in pieces, and more of it than is kept for a second reader."""
    options: Any = {
        "MIDDLEWARE": MIDDLEWARE,
        "FILE_UPLOAD_MAX_MEMORY_SIZE": 10,
        "raising": True,
    }
    async with serving(mount("api/", api()), **options) as http:
        with pytest.raises(RuntimeError, match="11 bytes exceed FILE_UPLOAD"):
            await http.post("/api/", content=b"x" * 11, headers={"x-read": "stream"})
        # The app may do without it.
        headers = {"x-read": "stream"}
        response = await http.request(
            "GET", "/api/items/5", content=b"x" * 11, headers=headers
        )
        assert response.json()["path"] == "/api/items/5"


@pytest.mark.parametrize("exempt", [False, True])
async def test_posts_from_other_sites(exempt: bool) -> None:
    options: Any = {"MIDDLEWARE": ["vinyl.web.csrf.CSRFMiddleware"]}
    pattern = mount("api/", api(), csrf_exempt=exempt)
    async with serving(pattern, **options) as http:
        response = await http.post("/api/", headers={"sec-fetch-site": "cross-site"})
    assert response.status_code == (200 if exempt else 403)


class TestDjangosHandler:
    """A part of the site with Django's own handler, middleware and URLs."""

    middleware: ClassVar = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]

    @pytest.fixture
    def legacy(self) -> Iterator[str]:
        def visit(request: HttpRequest) -> HttpResponse:
            session = request.session
            session["visits"] = session.get("visits", 0) + 1
            session["token"] = get_token(request)
            user, place = (
                request.user.get_username(),
                "bridge" if in_bridge() else "thread",
            )
            url = django_reverse("visit")
            return JsonResponse([url, session["visits"], user, place], safe=False)

        urlconf = ModuleType("tests.legacy_urls")
        urlconf.urlpatterns = [path("visit/", visit, name="visit")]  # type: ignore[attr-defined]
        sys.modules[urlconf.__name__] = urlconf
        yield urlconf.__name__
        del sys.modules[urlconf.__name__]

    async def test_shares_sessions_and_users(self, db: str, legacy: str) -> None:
        app = legacy_application(middleware=self.middleware, urlconf=legacy)

        async def visits(request: Any) -> Any:
            session = await request.session
            return JSONResponse([session["visits"], reverse("visits")])

        nina = await User.objects.create_user("nina")
        patterns = mount("legacy/", app), path("visits/", visits, name="visits")
        names = ("sessions.SessionMiddleware", "auth.AuthenticationMiddleware")
        paths = [f"vinyl.web.{name}" for name in names]
        async with serving(*patterns, MIDDLEWARE=paths) as http:
            await http.force_login(nina)
            for count in (1, 2):
                response = await http.get("/legacy/visit/")
                url = "/legacy/visit/"
                assert response.json() == [url, count, "nina", "bridge"]
                assert (await http.get("/visits/")).json() == [count, "/visits/"]
            redirect = await http.get("/legacy/visit")
            assert redirect.headers["location"] == "/legacy/visit/"
            assert (await http.get("/legacy/visits/")).status_code == 404
            posted = await http.post("/legacy/visit/")
            assert posted.status_code == 403
            assert settings.MIDDLEWARE == paths

    async def test_leaves_nothing_in_the_context(self, db: str, legacy: str) -> None:
        app = legacy_application(middleware=self.middleware, urlconf=legacy)
        transport = httpx.ASGITransport(app, root_path="/below")
        with settings_for((), {}):
            async with httpx.AsyncClient(
                transport=transport, base_url="http://testserver"
            ) as http:
                response = await http.get("/below/visit/")
            assert response.json()[0] == "/below/visit/"
            assert (get_script_prefix(), get_urlconf()) == ("/", None)

    def test_a_middleware_that_does_not_exist(self) -> None:
        before = settings.MIDDLEWARE
        with pytest.raises(ImportError, match="missing"):
            legacy_application(middleware=[f"{__name__}.missing"])
        assert settings.MIDDLEWARE == before


@pytest.mark.parametrize(
    ("route", "app", "problem"),
    [("api", api(), "Write 'api/'"), ("api/", None, "not an ASGI app")],
)
def test_what_cannot_be_mounted(route: str, app: Any, problem: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=problem):
        mount(route, app)


class TestLifespans:
    def starlette(self, events: list[str], name: str = "") -> Starlette:
        @asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
            events.append(f"{name}up")
            yield {"name": name}
            events.append(f"{name}down")

        async def state(request: Request) -> Response:
            return PlainTextResponse(request.state.name)

        return Starlette(routes=[Route("/", state)], lifespan=lifespan)

    async def test_they_run_with_the_projects(self) -> None:
        events: list[str] = []
        one, two = self.starlette(events, "one "), self.starlette(events, "two ")
        patterns = (
            mount("one/", one),
            path("deep/", include([mount("two/", two), mount("again/", two)])),
        )
        async with serving(*patterns) as http:
            assert events == ["one up", "two up"]
            assert (await http.get("/one/")).text == "one "
            assert (await http.get("/deep/again/")).text == "two "
        assert events == ["one up", "two up", "two down", "one down"]

    async def test_a_start_that_fails_tells_where(self) -> None:
        events: list[str] = []

        @asynccontextmanager
        async def failing(app: Starlette) -> AsyncIterator[None]:
            raise ZeroDivisionError("no start")
            yield

        patterns = (
            mount("one/", self.starlette(events)),
            path("in/", include([mount("bad/", Starlette(lifespan=failing))])),
        )
        with pytest.raises(LifespanError, match=r"mounted at '/in/bad/'.*no start"):
            async with serving(*patterns):
                pass
        assert events == ["up", "down"]

    async def test_an_app_without_one(self) -> None:
        async def plain(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                raise ValueError("only HTTP")
            await PlainTextResponse(scope["path"])(scope, receive, send)

        async with serving(mount("plain/", plain)) as http:
            assert (await http.get("/plain/x")).text == "/plain/x"


class TestTheOtherWayRound:
    """The project mounted in an application of Starlette."""

    async def test_at_a_prefix_with_its_lifespan(self, db: str) -> None:
        async def count(request: Any) -> Any:
            where = [reverse("count"), request.path, request.path_info]
            return JSONResponse([await Artist.objects.count(), *where])

        with settings_for((path("count/", count, name="count"),), {}):
            project = get_asgi_application()

            @asynccontextmanager
            async def lifespan(app: Starlette) -> AsyncIterator[Any]:
                async with project.router.lifespan_context(project) as state:
                    yield state

            outer = Starlette(routes=[Mount("/shop", project)], lifespan=lifespan)
            async with client(outer) as http:
                response = await http.get("/shop/count/")
                assert response.json() == [0, *["/shop/count/"] * 2, "/count/"]
                pool = pool_for("default")
            assert pool.closed

    async def test_in_fastapi(self, db: str) -> None:
        fastapi = pytest.importorskip("fastapi")
        inner = fastapi.FastAPI()

        @inner.get("/items/{pk}")
        async def item(pk: int) -> dict[str, int]:
            return {"pk": pk, "artists": await Artist.objects.count()}

        async with serving(mount("api/", inner)) as http:
            assert (await http.get("/api/items/5")).json() == {"pk": 5, "artists": 0}
            assert (await http.get("/api/openapi.json")).json()["servers"] == [
                {"url": "/api"}
            ]
