"""What monitoring and other tools read in the scope, at once and without waiting."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc"

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.requests import Request as StarlettesRequest
from starlette.responses import JSONResponse as StarlettesJSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket as StarlettesWebSocket

from tests.web.serving import serving
from vinyl.orm.recording import recording
from vinyl.web import (
    JSONResponse,
    PlainTextResponse,
    Request,
    WebSocket,
    get_asgi_application,
    include,
    mount,
    path,
    websocket,
)
from vinyl.web.auth import login, logout

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

seen: list[dict[str, Any]] = []


class Tool:
    """Reads as Sentry (`send_default_pii`), OpenTelemetry and loggers do."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        found = {"before": self.user_in(scope)}
        try:
            await self.app(scope, receive, send)
        finally:
            route = scope.get("route")
            seen.append(
                {
                    **found,
                    "after": self.user_in(scope),
                    "route": getattr(route, "path", None),
                    "format": getattr(route, "path_format", None),
                    "endpoint": getattr(scope.get("endpoint"), "__qualname__", None),
                    "params": scope.get("path_params"),
                }
            )

    def user_in(self, scope: Any) -> Any:
        assert repr(dict(scope))
        assert f"{scope}"
        HTTPConnection(scope)
        if "user" not in scope:
            return None
        user = scope["user"]
        names = ("username", "id", "email", "is_authenticated", "display_name")
        return bool(user), [getattr(user, name, None) for name in names]


USERS = [
    "vinyl.web.sessions.SessionMiddleware",
    "vinyl.web.auth.AuthenticationMiddleware",
]
SITE = {"MIDDLEWARE": [*USERS, f"{__name__}.Tool"]}


@pytest.fixture(autouse=True)
def forget() -> None:
    seen.clear()


async def album(request: Request, pk: int) -> Any:
    return PlainTextResponse(str(await request.user))


def plain(request: Request, pk: int) -> Any:
    return PlainTextResponse(str(request.user))


async def failing(request: Request) -> Any:
    raise RuntimeError("on purpose")


@websocket
async def chat(connection: WebSocket) -> None:
    await connection.accept()
    await connection.send_text(str(await connection.user))


async def enter(request: Request) -> Any:
    user = await User.objects.get(username=request.GET["name"])
    await login(request, user)
    return PlainTextResponse(str(await request.user))


async def leave(request: Request) -> Any:
    await request.user
    await logout(request)
    return PlainTextResponse(str(await request.user))


PATTERNS = (
    path("albums/<int:pk>/", album, name="album"),
    path("in/", include([path("plain/<int:pk>/", plain, name="plain")])),
    path("failing/", failing),
    path("chat/", chat),
    path("enter/", enter),
    path("leave/", leave),
)


@pytest.mark.parametrize("name", [None, "ada"])
async def test_nothing_fails_because_a_tool_looks(name: str | None) -> None:
    """There is no user in the scope, rather than one that nobody has fetched."""
    user = await User.objects.create_user("ada")
    async with serving(*PATTERNS, **SITE) as http:
        if name is not None:
            await http.force_login(user)
        expected = name or "AnonymousUser"
        seen.clear()
        assert (await http.get("/albums/5/")).text == expected
        assert (await http.get("/in/plain/5/")).text == expected
        assert (await http.get("/failing/")).status_code == 500
        assert (await http.get("/nowhere/")).status_code == 404
        async with http.websocket("/chat/") as ws:
            assert await ws.receive_text() == expected
    assert [(found["before"], found["after"]) for found in seen] == [(None, None)] * 5


async def test_tools_find_the_view_and_its_route() -> None:
    async with serving(*PATTERNS, **SITE) as http:
        await http.get("/albums/5/")
        await http.get("/in/plain/6/")
        await http.get("/failing/")
        await http.get("/nowhere/")
        async with http.websocket("/chat/"):
            pass
    told = [(f["route"], f["format"], f["endpoint"], f["params"]) for f in seen]
    assert told == [
        ("/albums/<int:pk>/", "/albums/<int:pk>/", "album", {"pk": 5}),
        ("/in/plain/<int:pk>/", "/in/plain/<int:pk>/", "plain", {"pk": 6}),
        ("/failing/", "/failing/", "failing", {}),
        (None, None, None, None),
        ("/chat/", "/chat/", "chat", {}),
    ]


async def test_logging_in_and_out_within_a_request() -> None:
    await User.objects.create_user("ada")
    async with serving(*PATTERNS, **SITE) as http:
        assert (await http.get("/enter/?name=ada")).text == "ada"
        assert (await http.get("/albums/1/")).text == "ada"
        assert (await http.get("/leave/")).text == "AnonymousUser"
        assert (await http.get("/albums/1/")).text == "AnonymousUser"


class Token:
    """Middleware of others, which decides who it is in its own way."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in ("http", "websocket"):
            scope["user"] = User(username="by token")
        await self.app(scope, receive, send)


async def test_a_user_of_other_middleware_counts() -> None:
    await User.objects.create_user("ada")
    middleware = [*USERS, f"{__name__}.Token", f"{__name__}.Tool"]

    def view(request: Request) -> Any:
        return PlainTextResponse(str(request.user))

    async with serving(path("", view), *PATTERNS, MIDDLEWARE=middleware) as http:
        assert (await http.get("/")).text == "by token"
        assert seen[0]["before"][1][0] == "by token"
        # Whoever logs in within a request is the user from then on.
        assert (await http.get("/enter/?name=ada")).text == "ada"
        assert seen[1]["after"][1][0] == "ada"


# ----- Mounted apps, which know of no lazy user


async def who(request: StarlettesRequest) -> Any:
    at_once = [str(request.user), request.user.is_authenticated]
    fetched = await request.user
    return StarlettesJSONResponse([at_once, str(fetched), request.session.get("a")])


async def who_talks(connection: StarlettesWebSocket) -> None:
    await connection.accept()
    await connection.send_json([str(connection.user), str(await connection.user)])


async def set_session(request: Request) -> Any:
    (await request.session)["a"] = 5
    return PlainTextResponse("")


def mounted() -> Any:
    app = Starlette(routes=[Route("/", who), WebSocketRoute("/chat", who_talks)])
    return mount("app/", Tool(app))


async def test_a_mounted_app_finds_who_it_is_without_waiting() -> None:
    user = await User.objects.create_user("ada")
    async with serving(path("set/", set_session), mounted(), MIDDLEWARE=USERS) as http:
        await http.force_login(user)
        await http.get("/set/")
        seen.clear()
        answer = (await http.get("/app/")).json()
        assert answer == [["ada", True], "ada", 5]
        assert seen[0]["before"] == (True, ["ada", user.pk, "", True, None])
        async with http.websocket("/app/chat") as ws:
            assert await ws.receive_json() == ["ada", "ada"]


async def test_a_mounted_app_finds_an_anonymous_user_without_a_query() -> None:
    async with serving(mounted(), MIDDLEWARE=USERS) as http:
        with recording() as record:
            answer = (await http.get("/app/")).json()
        assert answer == [["AnonymousUser", False], "AnonymousUser", None]
        assert record.count == 0


async def test_an_application_in_an_application_has_its_own_user() -> None:
    """What the outer one found is not taken for what the inner one knows."""

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        await application(scope, receive, send)

    def show(request: Request) -> Any:
        return JSONResponse([str(request.user), "user" in request.scope])

    patterns = mount("inner/", inner), path("show/", show)
    async with serving(*patterns, MIDDLEWARE=USERS) as http:
        application = get_asgi_application()
        user = await User.objects.create_user("ada")
        await http.force_login(user)
        assert (await http.get("/inner/show/")).json() == ["ada", False]
        await User.objects.filter(pk=user.pk).update(is_active=False)
        found = (await http.get("/inner/show/")).json()
        assert found == [str(AnonymousUser()), False]
