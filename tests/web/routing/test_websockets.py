"""WebSocket views in the urlpatterns: who may connect, and how it ends."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc"

from __future__ import annotations

import asyncio
import datetime
import logging
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.http import Http404
from starlette.exceptions import HTTPException
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedOK, InvalidStatus

from tests.records.models import Artist
from tests.web.serving import serving, serving_on_a_socket
from vinyl.orm.pools.registry import pool_for
from vinyl.web import (
    PlainTextResponse,
    WebSocket,
    include,
    mount,
    path,
    reverse,
    websocket,
)
from vinyl.web.testing import WebSocketDenied, WebSocketDisconnect

pytestmark = pytest.mark.anyio


@websocket
async def chat(websocket: WebSocket, room: str) -> None:
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_json([room, text])


async def page(request: Any) -> Any:
    return PlainTextResponse("a page")


PATTERNS = (
    path("ws/", include([path("<slug:room>/", chat, name="chat")])),
    path("page/", page),
)


def denied(status: int) -> Any:
    return pytest.raises(WebSocketDenied, match=f"response was {status}")


async def test_views_have_arguments_and_names() -> None:
    async with serving(*PATTERNS) as http:
        assert reverse("chat", args=["jazz"]) == "/ws/jazz/"
        async with http.websocket("/ws/jazz/") as ws:
            await ws.send_text("Hello")
            assert await ws.receive_json() == ["jazz", "Hello"]


async def test_the_decorator_serves_in_path_as_well() -> None:
    async def view(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text("here")

    async with serving(path("ws/", websocket(view))) as http:
        async with http.websocket("/ws/") as ws:
            assert await ws.receive_text() == "here"
            # The connection ends with the view.
            with pytest.raises(WebSocketDisconnect) as caught:
                await ws.receive_text()
    assert caught.value.code == 1000


def test_a_plain_function_is_refused() -> None:
    with pytest.raises(TypeError, match=r"view.*is not `async def`"):

        @websocket
        def view(websocket: Any) -> None:
            pass


async def test_http_for_a_websocket_and_the_other_way_round() -> None:
    async with serving(*PATTERNS) as http:
        response = await http.get("/ws/jazz/")
        assert response.status_code == 426
        assert response.headers["upgrade"] == "websocket"
        for address in ("/page/", "/nowhere/"):
            with denied(404):
                async with http.websocket(address):
                    pass


class Marking:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            scope["user"], scope["session"] = "Nina", {"cart": 3}
            assert WebSocket.of(scope, receive, send).resolver_match.url_name == "who"
        await self.app(scope, receive, send)


async def test_user_and_session() -> None:
    @websocket
    async def who(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_json([websocket.user, websocket.session])

    pattern = path("ws/", who, name="who")
    async with serving(pattern, MIDDLEWARE=[f"{__name__}.Marking"]) as http:
        async with http.websocket("/ws/") as ws:
            assert await ws.receive_json() == ["Nina", {"cart": 3}]
    async with serving(pattern, raising=True) as http:
        async with http.websocket("/ws/") as ws:
            with pytest.raises(AttributeError, match="AuthenticationMiddleware"):
                await ws.receive_text()


async def test_json_knows_model_values() -> None:
    @websocket
    async def values(websocket: Any) -> None:
        await websocket.accept()
        value = {"price": Decimal("1.50"), "day": datetime.date(1965, 10, 1)}
        await websocket.send_json(value)
        await websocket.send_json(value, mode="binary")
        with pytest.raises(ValueError, match="'pigeon'"):
            await websocket.send_json(value, mode="pigeon")

    async with serving(path("ws/", values), raising=True) as http:
        async with http.websocket("/ws/") as ws:
            for _ in range(2):
                answer = await ws.receive_json()
                assert answer == {"price": "1.50", "day": "1965-10-01"}


SITE = {"MIDDLEWARE": ["vinyl.web.csrf.CSRFMiddleware"]}


class TestOrigin:
    """A page of another site may not open a WebSocket with its visitor's cookies."""

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"origin": "http://testserver"},
            {"origin": "http://testserver", "sec-fetch-site": "same-origin"},
            {"origin": "https://www.partner.test", "sec-fetch-site": "cross-site"},
        ],
        ids=["no browser", "same host", "same origin", "trusted"],
    )
    async def test_allowed(self, headers: dict[str, str]) -> None:
        trusted = ["https://*.partner.test"]
        async with serving(*PATTERNS, **SITE, CSRF_TRUSTED_ORIGINS=trusted) as http:
            async with http.websocket("/ws/jazz/", headers=headers) as ws:
                await ws.send_text("Hello")
                assert await ws.receive_json() == ["jazz", "Hello"]

    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": "https://evil.test"},
            {"origin": "null"},
            {"origin": "http://sub.testserver", "sec-fetch-site": "same-site"},
        ],
        ids=["other host", "hidden", "same site"],
    )
    async def test_refused(
        self, headers: dict[str, str], caplog: pytest.LogCaptureFixture
    ) -> None:
        async with serving(*PATTERNS, **SITE) as http:
            with denied(403):
                async with http.websocket("/ws/jazz/", headers=headers):
                    pass
        assert "Forbidden" in caplog.text
        assert "Traceback" not in caplog.text

    async def test_a_view_may_be_exempt(self) -> None:
        async def view(websocket: Any) -> None:
            await websocket.accept()
            await websocket.send_text("all are welcome")

        view.csrf_exempt = True  # type: ignore[attr-defined]
        headers = {"origin": "https://evil.test"}
        async with serving(path("ws/", websocket(view)), **SITE) as http:
            async with http.websocket("/ws/", headers=headers) as ws:
                assert await ws.receive_text() == "all are welcome"


async def test_a_host_that_is_not_ours_is_refused() -> None:
    middleware = ["vinyl.web.security.SecurityMiddleware"]
    async with serving(*PATTERNS, MIDDLEWARE=middleware) as http:
        with denied(400):
            async with http.websocket("/ws/jazz/", headers={"host": "evil.test"}):
                pass


class TestErrors:
    @pytest.mark.parametrize(
        ("error", "status", "code", "level"),
        [
            (ZeroDivisionError("secret"), 500, 1011, logging.ERROR),
            (PermissionDenied(), 403, 1008, logging.WARNING),
            (Http404(), 404, 1008, logging.WARNING),
            (HTTPException(418, "short and stout"), 418, 1008, logging.WARNING),
        ],
        ids=["mistake", "denied", "not found", "HTTPException"],
    )
    async def test_before_and_after_accept(
        self,
        error: Exception,
        status: int,
        code: int,
        level: int,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        @websocket
        async def view(websocket: Any) -> None:
            if "accept" in websocket.query_params:
                await websocket.accept()
            raise error

        async with serving(path("ws/", view)) as http:
            with denied(status) as caught:
                async with http.websocket("/ws/"):
                    pass
            assert "secret" not in caught.value.response.text
            async with http.websocket("/ws/?accept=1") as ws:
                with pytest.raises(WebSocketDisconnect) as closed:
                    await ws.receive_text()
            assert closed.value.code == code
        records = [r for r in caplog.records if r.name == "django.request"]
        assert [record.levelno for record in records] == [level] * 2
        assert all(bool(record.exc_info) is (status == 500) for record in records)

    async def test_a_client_that_leaves_is_none(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        ended = []

        @websocket
        async def view(websocket: Any) -> None:
            await websocket.accept()
            try:
                await websocket.receive_text()
            finally:
                ended.append("finally")

        async with serving(path("ws/", view), raising=True) as http:
            async with http.websocket("/ws/"):
                pass
        assert ended == ["finally"]
        assert [r for r in caplog.records if r.levelno > logging.INFO] == []

    async def test_a_view_that_answers_nothing_is_one(self) -> None:
        @websocket
        async def view(websocket: Any) -> None:
            pass

        async with serving(path("ws/", view), raising=True) as http:
            with pytest.raises(
                RuntimeError, match=r"view .*test_websockets\.py, line .*accept\(\)"
            ):
                async with http.websocket("/ws/"):
                    pass


async def test_no_connection_to_the_database_is_held_between_messages(
    db: str,
) -> None:
    @websocket
    async def count(websocket: Any) -> None:
        await websocket.accept()
        async for name in websocket.iter_text():
            await Artist.objects.create(name=name)
            await websocket.send_json(await Artist.objects.count())

    async with serving(path("ws/", count)) as http:
        # More at once than the pool has connections.
        size = pool_for("default").max_size + 5
        sessions = [http.websocket("/ws/") for _ in range(size)]
        for number, session in enumerate(sessions, 1):
            ws = await session.__aenter__()
            await ws.send_text(f"Artist {number}")
            assert await ws.receive_json() == number
            assert pool_for("default").in_use == {}
        for session in sessions:
            await session.__aexit__(None, None, None)


class TestOnASocket:
    """Through uvicorn, with another's client."""

    async def test_messages_and_the_end(self) -> None:
        async with serving_on_a_socket(*PATTERNS, ws="auto") as http:
            address = f"ws://{http.base_url.netloc.decode()}/ws/jazz/"
            async with connect(address, proxy=None) as ws:
                await ws.send("Hello")
                assert await ws.recv() == '["jazz","Hello"]'

    async def test_the_view_ends_the_connection(self) -> None:
        @websocket
        async def view(websocket: Any) -> None:
            await websocket.accept()

        async with serving_on_a_socket(path("ws/", view), ws="auto") as http:
            address = f"ws://{http.base_url.netloc.decode()}/ws/"
            async with connect(address, proxy=None) as ws:
                with pytest.raises(ConnectionClosedOK):
                    await ws.recv()

    async def test_refusals_have_their_status(self) -> None:
        async with serving_on_a_socket(*PATTERNS, **SITE, ws="auto") as http:
            base = f"ws://{http.base_url.netloc.decode()}"
            for address, origin, status in [
                ("/nowhere/", None, 404),
                ("/page/", None, 404),
                ("/ws/jazz/", "https://evil.test", 403),
            ]:
                with pytest.raises(InvalidStatus) as caught:
                    await connect(base + address, origin=origin, proxy=None)
                assert caught.value.response.status_code == status

    async def test_a_client_that_vanishes_ends_the_view(self) -> None:
        ended = asyncio.Event()

        @websocket
        async def view(websocket: Any) -> None:
            await websocket.accept()
            try:
                await websocket.receive_text()
            finally:
                ended.set()

        async with serving_on_a_socket(path("ws/", view), ws="auto") as http:
            address = f"ws://{http.base_url.netloc.decode()}/ws/"
            ws = await connect(address, proxy=None)
            ws.transport.abort()
            async with asyncio.timeout(10):
                await ended.wait()


async def test_mounted_apps_have_their_errors_told_alike() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "websocket"
        await send({"type": "websocket.accept"})
        raise ZeroDivisionError

    async with serving(mount("app/", app)) as http:
        async with http.websocket("/app/x") as ws:
            with pytest.raises(WebSocketDisconnect) as caught:
                await ws.receive_text()
    assert caught.value.code == 1011


async def test_a_server_that_can_tell_no_status_closes() -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/nowhere/",
        "headers": [(b"host", b"testserver")],
        "query_string": b"",
    }
    async with serving(*PATTERNS) as http:
        await http.app(scope, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
