"""WebSockets have the session and the user of the page that opens them."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc"

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import override_settings

from tests.web.serving import serving
from tests.web.users import AUTH, NINA, VIEWS
from vinyl.exceptions import NotAwaitedError, NotFetchedError
from vinyl.web import WebSocket, path, websocket
from vinyl.web.auth import AuthenticationMiddleware
from vinyl.web.sessions import SessionMiddleware

pytestmark = pytest.mark.anyio


async def talk(
    endpoint: Callable[[WebSocket], Awaitable[None]], key: str | None
) -> list[Any]:
    """What *endpoint* sends on a connection that brings the session *key*."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await endpoint(WebSocket(scope, receive, send))

    headers = [] if key is None else [(b"cookie", f"sessionid={key}".encode())]
    scope = {"type": "websocket", "path": "/", "headers": headers, "query_string": b""}
    await SessionMiddleware(AuthenticationMiddleware(app))(scope, receive, send)
    return sent


@pytest.fixture
async def key(db: Any) -> str:
    """The key of nina's session."""
    await User.objects.create_user(**NINA)
    async with serving(*VIEWS, **AUTH) as page:
        await page.post("/enter/", data=NINA)
        return page.cookies["sessionid"]


async def data(key: str) -> dict[str, Any]:
    return (await Session.objects.get(pk=key)).get_decoded()


async def test_the_user_of_a_socket(key: str) -> None:
    async def endpoint(socket: WebSocket) -> None:
        with pytest.raises(NotFetchedError):
            socket.user.username  # noqa: B018
        with pytest.raises(NotAwaitedError):
            socket.session["n"]
        user = await socket.user
        await socket.accept()
        await socket.send_text(user.username or "nobody")

    assert (await talk(endpoint, key))[1]["text"] == "nina"
    assert (await talk(endpoint, None))[1]["text"] == "nobody"
    assert (await talk(endpoint, "forged" * 6))[1]["text"] == "nobody"


async def test_what_is_changed_before_accept_is_saved_with_a_cookie(db: Any) -> None:
    async def endpoint(socket: WebSocket) -> None:
        (await socket.session)["n"] = 1
        await socket.accept()

    (accepted,) = await talk(endpoint, None)
    headers = dict(accepted["headers"])
    key = headers[b"set-cookie"].decode().split(";")[0].partition("=")[2]
    assert await data(key) == {"n": 1}


async def test_what_is_changed_later_is_saved_in_the_end(key: str) -> None:
    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        (await socket.session)["n"] = 2

    (accepted,) = await talk(endpoint, key)
    assert b"set-cookie" not in dict(accepted["headers"])
    assert (await data(key))["n"] == 2


async def test_a_logout_elsewhere_is_not_undone(key: str) -> None:
    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        (await socket.session)["n"] = 2
        await Session.objects.all().delete()

    await talk(endpoint, key)
    assert await Session.objects.count() == 0


async def test_a_session_that_cannot_be_saved_is_logged(
    db: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        (await socket.session)["n"] = 2

    await talk(endpoint, None)
    assert "too late to set a cookie" in caplog.text
    assert await Session.objects.count() == 0


async def test_a_signed_cookie_cannot_be_changed_any_more(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def endpoint(socket: WebSocket) -> None:
        (await socket.session)["n"] = 1
        await socket.accept()
        (await socket.session)["n"] = 2

    engine = "django.contrib.sessions.backends.signed_cookies"
    with override_settings(SESSION_ENGINE=engine):
        (accepted,) = await talk(endpoint, None)
    assert b"set-cookie" in dict(accepted["headers"])
    assert "too late to set a cookie" in caplog.text


async def test_access_is_decided_by_the_endpoint(key: str) -> None:
    @websocket
    async def view(websocket: Any) -> None:
        user = await websocket.user
        await websocket.accept()
        await websocket.send_text(user.username or "nobody")

    middleware = [*AUTH["MIDDLEWARE"], "vinyl.web.auth.LoginRequiredMiddleware"]
    async with serving(path("ws/", view), **{**AUTH, "MIDDLEWARE": middleware}) as http:
        async with http.websocket("/ws/") as ws:
            assert await ws.receive_text() == "nobody"
