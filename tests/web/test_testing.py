"""The client for tests: in the test's own loop, around the application's lifespan."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from vinyl.web.testing import client

pytestmark = pytest.mark.anyio


async def test_runs_the_lifespan_around_the_requests() -> None:
    events = []

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        events.append("startup")
        yield
        events.append("shutdown")

    async def home(request: object) -> PlainTextResponse:
        events.append("request")
        return PlainTextResponse(str(request.url))  # type: ignore[attr-defined]

    app = Starlette(routes=[Route("/", home)], lifespan=lifespan)
    async with client(app) as http:
        assert (await http.get("/")).text == "http://testserver/"
    async with client(app, base_url="https://shop.test", headers={"a": "b"}) as http:
        response = await http.get("/")
        assert response.text == "https://shop.test/"
        assert response.request.headers["a"] == "b"
    assert events == ["startup", "request", "shutdown"] * 2
