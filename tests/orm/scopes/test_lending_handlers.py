"""Django's handlers take sync middleware and sync views to a thread, inside a block."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined"

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from django.core.handlers.asgi import ASGIHandler
from django.db import connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, override_settings
from django.urls import path
from django.utils.decorators import sync_only_middleware

from tests.orm.scopes.test_lending import add, names
from vinyl.orm import run, transaction

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("thread")]


@sync_only_middleware
def middleware(get_response: Callable[..., Any]) -> Callable[..., Any]:
    def respond(request: HttpRequest) -> HttpResponse:
        add("middleware")
        return get_response(request)

    return respond


def view(request: HttpRequest) -> HttpResponse:
    add("view")
    return JsonResponse(names(), safe=False)


urlpatterns = [path("", view)]

DJANGO = {"ROOT_URLCONF": __name__, "MIDDLEWARE": [f"{__name__}.middleware"]}


class TestDjangosHandler:
    @override_settings(**DJANGO)
    async def test_sync_middleware_and_views(self) -> None:
        async with transaction.atomic():
            await run(add, "test")
            response = await AsyncClient().get("/")
            assert response.json() == ["middleware", "test", "view"]
            transaction.set_rollback(True)
        assert await run(names) == []

    @override_settings(**DJANGO)
    async def test_atomic_requests(self) -> None:
        settings = connections.settings["default"]
        settings["ATOMIC_REQUESTS"] = True
        try:
            async with transaction.atomic():
                await AsyncClient().get("/")
                assert await run(names) == ["middleware", "view"]
                transaction.set_rollback(True)
        finally:
            settings["ATOMIC_REQUESTS"] = False
        assert await run(names) == []

    @override_settings(**DJANGO)
    async def test_the_asgi_handler(self) -> None:
        transport = httpx.ASGITransport(ASGIHandler())
        async with (
            transaction.atomic(),
            httpx.AsyncClient(transport=transport, base_url="http://test") as http,
        ):
            assert (await http.get("/")).json() == ["middleware", "view"]
            assert await run(names) == ["middleware", "view"]
            transaction.set_rollback(True)
        assert await run(names) == []
