"""Each request is a unit of work: with vinyl.web and with Django's own handlers."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from django.http import JsonResponse as DjangosResponse
from django.http import StreamingHttpResponse
from django.test import AsyncClient, Client
from django.urls import path as djangos_path

from tests.records.models import Artist, Label
from tests.web.serving import serving, settings_for
from vinyl.orm import use_driver
from vinyl.web import JSONResponse, path

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("router")]

# Before and after a write. The next request begins with the replica again.
EXPECTED = ["replica", "default"]


@use_driver
def where() -> str:
    """The alias of the database that a read goes to."""
    return Artist.objects.get(pk=1).name


@use_driver
def write() -> None:
    Label.objects.create(name="Philips")


async def native() -> list[str]:
    """Writes in a child task, of which only the unit can know."""
    before = await where()
    await asyncio.gather(write(), asyncio.sleep(0))
    return [before, await where()]


def plain() -> list[str]:
    before = where()
    write()
    return [before, where()]


async def vinyls_native(request: Any) -> Any:
    return JSONResponse(await native())


def vinyls_plain(request: Any) -> Any:
    return JSONResponse(plain())


async def djangos_native(request: Any) -> Any:
    return DjangosResponse(await native(), safe=False)


def djangos_plain(request: Any) -> Any:
    return DjangosResponse(plain(), safe=False)


async def streaming(request: Any) -> Any:
    await write()

    async def body() -> AsyncIterator[str]:
        yield await where()

    return StreamingHttpResponse(body())


class WritingMiddleware:
    """Writes before the view is called, as one that logs people in does."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await write()
        await self.app(scope, receive, send)


VINYLS = (path("native/", vinyls_native), path("plain/", vinyls_plain))
DJANGOS = (
    djangos_path("native/", djangos_native),
    djangos_path("plain/", djangos_plain),
    djangos_path("streaming/", streaming),
)

kinds = pytest.mark.parametrize("kind", ["native", "plain"])


@kinds
async def test_with_vinyl_web(kind: str) -> None:
    async with serving(*VINYLS) as http:
        for _ in range(2):
            assert (await http.get(f"/{kind}/")).json() == EXPECTED
        both = await asyncio.gather(*(http.get(f"/{kind}/") for _ in range(4)))
        assert [response.json() for response in both] == [EXPECTED] * 4


async def test_what_middleware_wrote_the_view_reads() -> None:
    settings = {"MIDDLEWARE": [f"{__name__}.WritingMiddleware"]}
    async with serving(*VINYLS, **settings) as http:
        assert (await http.get("/native/")).json() == ["default", "default"]


@kinds
async def test_with_djangos_asgi_handler(kind: str) -> None:
    with settings_for(DJANGOS, {}):
        transport = httpx.ASGITransport(ASGIHandler())
        async with httpx.AsyncClient(
            transport=transport, base_url="http://testserver"
        ) as http:
            for _ in range(2):
                assert (await http.get(f"/{kind}/")).json() == EXPECTED


async def test_a_streamed_response_reads_what_its_view_wrote() -> None:
    with settings_for(DJANGOS, {}):
        transport = httpx.ASGITransport(ASGIHandler())
        async with httpx.AsyncClient(
            transport=transport, base_url="http://testserver"
        ) as http:
            assert (await http.get("/streaming/")).text == "default"


@kinds
def test_with_djangos_wsgi_handler(kind: str) -> None:
    with settings_for(DJANGOS, {}):
        transport = httpx.WSGITransport(WSGIHandler())
        base_url = "http://testserver"
        with httpx.Client(transport=transport, base_url=base_url) as http:
            for _ in range(2):
                assert http.get(f"/{kind}/").json() == EXPECTED
    connections.close_all()


@kinds
async def test_with_djangos_async_test_client(kind: str) -> None:
    # A thread of its own for sync views, with connections that go with it.
    async with ThreadSensitiveContext():
        with settings_for(DJANGOS, {}):
            for _ in range(2):
                response = await AsyncClient().get(f"/{kind}/")
                assert response.json() == EXPECTED
            # The test itself reads what the request has written.
            assert await where() == "default"
        await sync_to_async(connections.close_all)()


@kinds
def test_with_djangos_test_client(kind: str) -> None:
    with settings_for(DJANGOS, {}):
        for _ in range(2):
            assert Client().get(f"/{kind}/").json() == EXPECTED
        assert where() == "default"
    connections.close_all()
