"""Tests log their client in and out without a login page."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc"

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session

from tests.web.serving import serving
from tests.web.users import AUTH, NINA, VIEWS
from vinyl.web import path, websocket

pytestmark = pytest.mark.anyio

ENGINES = ["db", "cached_db", "cache", "signed_cookies"]


@pytest.mark.parametrize("engine", ENGINES)
async def test_login_and_logout(db: Any, engine: str) -> None:
    nina = await User.objects.create_user(**NINA)
    settings = AUTH | {"SESSION_ENGINE": f"django.contrib.sessions.backends.{engine}"}
    async with serving(*VIEWS, **settings) as page:
        assert not await page.login(username="nina", password="wrong")
        assert (await page.get("/who/")).text == "nobody"
        assert await page.login(**NINA)
        assert (await page.get("/who/")).text == "nina"
        await page.logout()
        assert (await page.get("/who/")).text == "nobody"
        await page.force_login(nina)
        assert (await page.get("/who/")).text == "nina"
        # One cookie, which the application's answers replace.
        assert (await page.post("/leave/")).text == "bye"
        assert dict(page.cookies) == {}
        assert (await page.get("/who/")).text == "nobody"
    assert await Session.objects.count() == 0


async def test_another_user_gets_a_session_of_their_own(db: Any) -> None:
    nina = await User.objects.create_user(**NINA)
    bud = await User.objects.create_user("bud")
    async with serving(*VIEWS, **AUTH) as page:
        await page.force_login(nina)
        before = page.cookies["sessionid"]
        await page.force_login(bud)
        assert (await page.get("/who/")).text == "bud"
        assert page.cookies["sessionid"] != before


async def test_the_clients_own_methods(db: Any) -> None:
    @websocket
    async def who(websocket: Any) -> None:
        await websocket.accept()
        await websocket.send_text((await websocket.user).username)

    nina = await User.objects.create_user(**NINA)
    async with serving(*VIEWS, path("ws/", who), **AUTH) as page:
        assert not await page.login(username="nina", password="wrong")
        assert await page.login(**NINA)
        assert (await page.get("/who/")).text == "nina"
        await page.logout()
        assert (await page.get("/who/")).text == "nobody"
        await page.force_login(nina)
        async with page.websocket("/ws/") as ws:
            assert await ws.receive_text() == "nina"
