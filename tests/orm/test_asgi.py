"""Django's ASGI application with its sync code in the bridge, as servers use it."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, misc"

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
import uvicorn
from django.contrib.auth.models import User
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.test import override_settings
from django.urls import path
from django.utils.deprecation import MiddlewareMixin

from tests.fix_db import only_postgresql
from tests.orm.scopes.test_lending import add, names
from vinyl.bridge import threads
from vinyl.orm import asgi, in_bridge, run
from vinyl.orm.asgi import get_asgi_application, in_thread

pytestmark = pytest.mark.anyio

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
LOCK = 20_777

state: dict[str, Any] = {}


class KeepsState(MiddlewareMixin):
    """Middleware of a module with a `threading.local`, for one test."""


def visits(request: HttpRequest) -> JsonResponse:
    """Session, user and database in sync code."""
    request.session["visits"] = request.session.get("visits", 0) + 1
    user = request.user.get_username()
    place = "bridge" if in_bridge() else threading.current_thread().name
    return JsonResponse(
        {"user": user, "visits": request.session["visits"], "place": place}
    )


@in_thread
def visits_in_thread(request: HttpRequest) -> JsonResponse:
    return visits(request)


async def async_visits(request: HttpRequest) -> JsonResponse:
    user = await request.auser()
    await request.session.aset("visits", await request.session.aget("visits", 0) + 1)
    visits = await request.session.aget("visits")
    return JsonResponse(
        {"user": user.get_username(), "visits": visits, "place": "loop"}
    )


def writes_twice(request: HttpRequest) -> HttpResponse:
    add("first")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])
    add("second")
    return HttpResponse("done")


async def waits_forever(request: HttpRequest) -> HttpResponse:
    state["waits"].set()
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        state["cancelled"] = True
        raise
    return HttpResponse("never")


def download(request: HttpRequest) -> FileResponse:
    return FileResponse(open(__file__, "rb"))


urlpatterns = [
    path("visits/", visits),
    path("visits-in-thread/", visits_in_thread),
    path("async-visits/", async_visits),
    path("writes-twice/", writes_twice),
    path("waits-forever/", waits_forever),
    path("download/", download),
]


@pytest.fixture(autouse=True)
def project(db: str) -> Iterator[None]:
    with override_settings(
        ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], MIDDLEWARE=MIDDLEWARE
    ):
        yield


class Request:
    """A request by the ASGI protocol, of a client that can leave."""

    def __init__(self, url: str) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.messages.put_nowait({"type": "http.request", "body": b""})
        self.sent: list[Any] = []
        scope = {
            "type": "http",
            "method": "GET",
            "path": url,
            "headers": [(b"host", b"127.0.0.1")],
        }
        app: Any = get_asgi_application()
        self.served = asyncio.ensure_future(app(scope, self.messages.get, self.send))

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    def leave(self) -> None:
        self.messages.put_nowait({"type": "http.disconnect"})


class TestAClientThatLeaves:
    @only_postgresql
    async def test_does_not_interrupt_a_sync_view(self, postgres_url: str) -> None:
        waiting = "SELECT count(*) FROM pg_locks WHERE objid = %s AND NOT granted"
        async with asyncio.timeout(30):
            with psycopg.connect(postgres_url, autocommit=True) as other:
                other.execute("SELECT pg_advisory_lock(%s)", [LOCK])
                request = Request("/writes-twice/")
                while other.execute(waiting, [LOCK]).fetchone() != (1,):
                    await asyncio.sleep(0.01)
                request.leave()
                await asyncio.sleep(0.01)
                assert await run(names) == ["first"]
            await request.served
        assert await run(names) == ["first", "second"]
        assert not request.sent

    async def test_cancels_an_async_view_as_in_django(self) -> None:
        state["waits"] = asyncio.Event()
        async with asyncio.timeout(30):
            request = Request("/waits-forever/")
            await state["waits"].wait()
            request.leave()
            await request.served
        assert state["cancelled"]


# A warning of Django's, about files.
@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume synchronous")
async def test_over_http() -> None:
    user = await User.objects.acreate_user("ada", password="correct horse")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        app = ASGIStaticFilesHandler(get_asgi_application())
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="error", lifespan="off", ws="none")
        )
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            page = (await http.get("/visits/")).json()
            assert page == {"user": "", "visits": 1, "place": "bridge"}
            page = (await http.get("/async-visits/")).json()
            assert page == {"user": "", "visits": 2, "place": "loop"}
            page = (await http.get("/visits-in-thread/")).json()
            assert page.pop("place") not in ("bridge", "loop", "MainThread")
            assert page == {"user": "", "visits": 3}
            answers = await asyncio.gather(*(http.get("/visits/") for _ in range(8)))
            assert {answer.status_code for answer in answers} == {200}

            assert (await http.get("/nowhere/")).status_code == 404
            assert (await http.post("/visits/")).status_code == 403
            file = await http.get("/download/")
            assert b"def download" in file.content
            static = await http.get("/static/vinyl/admin.css")
            assert static.status_code == 200
        server.should_exit = True
        await serving
    assert user.pk


def test_needs_the_app() -> None:
    with (
        override_settings(INSTALLED_APPS=["django.contrib.contenttypes"]),
        pytest.raises(ImproperlyConfigured, match="Add 'vinyl.orm' to INSTALLED_APPS"),
    ):
        get_asgi_application()


def test_names_middleware_that_keeps_state_in_a_thread_local(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.state", threading.local())
    with override_settings(MIDDLEWARE=[*MIDDLEWARE, f"{__name__}.KeepsState"]):
        get_asgi_application()
    [told] = caplog.messages
    assert told.startswith(
        f"settings.MIDDLEWARE contains '{__name__}.KeepsState', whose state is in a "
        f"threading.local of {__name__!r}."
    )


def test_in_thread_is_that_of_the_web_layer() -> None:
    assert asgi.in_thread is threads.in_thread
