"""Starlette's GZipMiddleware in settings.MIDDLEWARE: what it compresses."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.web.serving import serving, serving_on_a_socket
from vinyl.web import PlainTextResponse, Request, Response, StreamingResponse, path

pytestmark = pytest.mark.anyio

MIDDLEWARE = [
    "vinyl.web.conditional.ConditionalGetMiddleware",
    "starlette.middleware.gzip.GZipMiddleware",
]
TEXT = "Oh, sinnerman, where you gonna run to? " * 50


async def page(request: Request) -> Response:
    return PlainTextResponse(TEXT)


async def short(request: Request) -> Response:
    return PlainTextResponse("short")


PATTERNS = (path("page/", page), path("short/", short))


async def test_what_is_compressed() -> None:
    async with serving(*PATTERNS, MIDDLEWARE=MIDDLEWARE) as http:
        packed = await http.get("/page/")
        plain = await http.get("/page/", headers={"Accept-Encoding": "identity"})
        short = await http.get("/short/")
        tag = packed.headers["etag"]
        again = await http.get("/page/", headers={"If-None-Match": tag})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text == TEXT
    assert "content-encoding" not in plain.headers
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in short.headers
    # Listed above it, the other class sees the compressed page.
    assert tag != plain.headers["etag"]
    assert again.status_code == 304


@pytest.mark.parametrize("kind", ["text/event-stream", "text/plain"])
async def test_each_piece_of_a_stream_arrives_by_itself(kind: str) -> None:
    go_on = asyncio.Event()

    async def events(request: Request) -> Response:
        async def content() -> AsyncIterator[str]:
            yield "data: 1\n\n"
            await go_on.wait()
            yield "data: 2\n\n"

        return StreamingResponse(content(), media_type=kind)

    async with (
        serving_on_a_socket(path("", events), MIDDLEWARE=MIDDLEWARE) as http,
        http.stream("GET", "/", headers={"Accept-Encoding": "gzip"}) as response,
    ):
        pieces = response.aiter_text()
        first = ""
        while "\n\n" not in first:
            first += await anext(pieces)
        assert first == "data: 1\n\n"
        go_on.set()
        assert "".join([piece async for piece in pieces]) == "data: 2\n\n"
        is_packed = response.headers.get("content-encoding") == "gzip"
        assert is_packed is (kind == "text/plain")
