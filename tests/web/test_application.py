"""The application made from the settings: middleware, lifespan, many at once."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc"

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.test import override_settings
from starlette.applications import Starlette

from tests.fix_db import only_postgresql
from tests.records.models import Album, Artist, Track
from tests.web.serving import (
    serving,
    serving_on_a_socket,
    settings_for,
    templates,
)
from vinyl.orm import connection, run
from vinyl.orm.pools.registry import pool_for
from vinyl.web import (
    JSONResponse,
    PlainTextResponse,
    Request,
    Response,
    get_asgi_application,
    path,
    render,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


async def greeting(request: Request) -> Response:
    return PlainTextResponse("Hello")


class Marking:
    """Middleware that notes that it was passed."""

    mark = ""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def send_marked(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"].append((b"x-passed", self.mark.encode()))
            await send(message)

        await self.app(scope, receive, send_marked)


class First(Marking):
    mark = "first"


class Second(Marking):
    mark = "second"


class TestSettings:
    async def test_the_first_middleware_is_outermost(self) -> None:
        names = [f"{__name__}.First", f"{__name__}.Second"]
        async with serving(path("", greeting), MIDDLEWARE=names) as http:
            response = await http.get("/")
        assert response.headers.get_list("x-passed") == ["second", "first"]

    def test_no_urlconf(self) -> None:
        with override_settings(ROOT_URLCONF=None):
            with pytest.raises(ImproperlyConfigured, match=r"ROOT_URLCONF is not set"):
                get_asgi_application()

    @pytest.mark.parametrize(
        ("name", "remedy"),
        [
            (
                "django.middleware.security.SecurityMiddleware",
                r"Use 'vinyl\.web\.security\.SecurityMiddleware'",
            ),
            ("django.middleware.common.CommonMiddleware", "Remove it"),
            ("mysite.middleware.Missing", "cannot be imported.*mysite"),
        ],
    )
    def test_middleware_that_cannot_serve(self, name: str, remedy: str) -> None:
        with override_settings(MIDDLEWARE=[name]):
            with pytest.raises(ImproperlyConfigured, match=f"{name!r}.*{remedy}"):
                get_asgi_application()


async def test_the_pools_close_with_the_application() -> None:
    async def count(request: Request) -> Response:
        return JSONResponse(await Artist.objects.count())

    async with serving(path("", count)) as http:
        assert (await http.get("/")).json() == 0
        pool = pool_for("default")
        assert len(pool.idle) == 1
    assert pool.closed
    assert pool.idle == []


async def test_a_failing_view_gives_its_connection_back() -> None:
    def view(request: Request) -> Response:
        Artist.objects.create(name="Nina Simone")
        raise ZeroDivisionError

    async with serving(path("", view)) as http:
        assert (await http.get("/")).status_code == 500
        assert pool_for("default").in_use == {}


ALBUM = (
    "{{ album }}: {% for track in album.tracks.all() %}{{ track.title }} {% endfor %}"
)


async def page(request: Request, pk: int) -> Response:
    album = await Album.objects.get(pk=pk)
    return await render(request, "album.html", {"album": album})


def plain(request: Request, pk: int) -> Response:
    return PlainTextResponse(Album.objects.get(pk=pk).artist.name)


async def api(request: Request, pk: int) -> Response:
    album = await Album.objects.get(pk=pk)
    artist = await album.artist
    return JSONResponse({"title": album.title, "artist": artist.name})


PATTERNS = (
    path("page/<int:pk>/", page),
    path("plain/<int:pk>/", plain),
    path("api/<int:pk>/", api),
)


def make_album() -> Album:
    artist = Artist.objects.create(name="Nina Simone")
    album = Album.objects.create(title="Pastel Blues", artist=artist)
    Track.objects.create(album=album, title="Sinnerman")
    return album


@only_postgresql
async def test_200_requests_at_once_start_no_thread(started_threads: list[str]) -> None:
    album = await run(make_album)
    setting = templates(files={"album.html": ALBUM})
    async with serving_on_a_socket(*PATTERNS, **setting) as http:
        kinds = ["page", "plain", "api", "page"] * 50
        started_threads.clear()
        responses = await asyncio.gather(
            *(http.get(f"/{kind}/{album.pk}/") for kind in kinds)
        )
        assert started_threads == []
        pool = pool_for("default")
        assert len(pool.idle) == pool.max_size
    texts = {
        "page": "Pastel Blues by Nina Simone: Sinnerman ",
        "plain": "Nina Simone",
        "api": '{"title":"Pastel Blues","artist":"Nina Simone"}',
    }
    assert [r.text for r in responses] == [texts[kind] for kind in kinds]
    assert {r.status_code for r in responses} == {200}


# The key of an advisory lock.
LOCK = 20_779


def plain_wait(request: Request) -> Response:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [LOCK])
    return Response()


async def async_wait(request: Request) -> Response:
    return await run(plain_wait, request)


@pytest.fixture
def large_pool(db: str) -> Iterator[int]:
    """A pool with room for 50 connections; PostgreSQL allows for 100 by itself."""
    options = connections.settings["default"]["OPTIONS"]
    options["pool"] = {"max_size": 50}
    yield 50
    del options["pool"]


@only_postgresql
@pytest.mark.parametrize("view", [plain_wait, async_wait])
async def test_requests_wait_for_the_database_together(
    view: Any, large_pool: int, admin: psycopg.Connection
) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE objid = %s AND NOT granted"
    admin.execute("SELECT pg_advisory_lock(%s)", [LOCK])
    async with serving(path("", view)) as http:
        requests = [asyncio.ensure_future(http.get("/")) for _ in range(100)]
        while admin.execute(waiting, [LOCK]).fetchone() != (large_pool,):
            await asyncio.sleep(0.01)
        admin.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
        responses = await asyncio.gather(*requests)
    assert {response.status_code for response in responses} == {200}


@pytest.mark.parametrize("kind", ["plain", "with handlers", "Starlette 1.0"])
async def test_what_starlette_offers_still_works(kind: str) -> None:
    """Requests skip Starlette's layers only where nobody has given them work."""

    async def routed(request: Any) -> Response:
        assert request.scope["app"].state.found == "state"
        return PlainTextResponse(type(request.scope["router"]).__name__)

    async def handler(request: Any, error: Exception) -> Response:
        return PlainTextResponse(f"handled {error}", 418)

    async def failing(request: Request) -> Response:
        raise LookupError("it")

    urlpatterns = path("", greeting), path("failing", failing)
    with settings_for(urlpatterns, {}):
        application = get_asgi_application()
        application.state.found = "state"
        customized = kind == "with handlers"
        if kind == "Starlette 1.0":
            vars(application).pop("max_body_size", None)
        if customized:
            application.add_exception_handler(LookupError, handler)
        transport = httpx.ASGITransport(application, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://testserver"
        ) as http:
            assert (await http.get("/")).text == "Hello"
            # Routes may be added while the application serves.
            application.add_route("/routed", routed)
            assert (await http.get("/routed")).text == "Router"
            assert (await http.get("/")).text == "Hello"
            failed = await http.get("/failing")
            assert failed.status_code == (418 if customized else 500)
            assert (await http.get("/missing")).status_code == 404


async def test_packages_may_replace_starlettes_method(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As Sentry does, to trace requests, whenever it is set up."""
    original = Starlette.__call__
    seen: list[str] = []

    async def traced(self: Any, scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])
        await original(self, scope, receive, send)

    monkeypatch.setattr(Starlette, "__call__", traced)
    async with serving(path("greeting/", greeting)) as http:
        assert (await http.get("/greeting/")).text == "Hello"
    assert seen == ["http"]
