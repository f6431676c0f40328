"""What a request reads of headers, query and body."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import BadRequest

from tests.web.serving import serving
from vinyl.web import JSONResponse, PlainTextResponse, path
from vinyl.web.http.requests import Request

pytestmark = pytest.mark.anyio


class Looking:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            assert Request.of(scope, receive, send).method == "POST"
        await self.app(scope, receive, send)


async def test_a_form_is_in_POST_only_if_it_was_posted() -> None:
    def view(request: Any) -> Any:
        return JSONResponse([dict(request.POST), request.form()["title"]])

    async with serving(path("", view)) as page:
        put = await page.put("/", data={"title": "Pastel Blues"})
        assert put.json() == [{}, "Pastel Blues"]


async def test_what_is_too_long_is_answered_with_413() -> None:
    async def body(request: Any) -> Any:
        return PlainTextResponse(str(len(await request.body())))

    async def form(request: Any) -> Any:
        return PlainTextResponse(str(len(await request.form())))

    async def pieces() -> Any:
        for _ in range(30):
            yield b"x" * 10

    urls = path("body/", body), path("form/", form)
    form_type = {"content-type": "application/x-www-form-urlencoded"}
    async with serving(*urls, DATA_UPLOAD_MAX_MEMORY_SIZE=100) as page:
        assert (await page.post("/body/", content=b"x" * 100)).text == "100"
        assert (await page.post("/body/", content=b"x" * 101)).status_code == 413
        # Told by no header how long it will be.
        assert (await page.post("/body/", content=pieces())).status_code == 413
    async with serving(*urls, VINYL={"MAX_BODY_SIZE": 200}) as page:
        assert (await page.post("/body/", content=b"x" * 201)).status_code == 413
        response = await page.post("/form/", content=pieces(), headers=form_type)
        assert response.status_code == 413
        files = {"f": ("f", b"x" * 200)}
        assert (await page.post("/form/", files=files)).status_code == 413


async def test_malformed_json_is_answered_with_400() -> None:
    async def view(request: Any) -> Any:
        return JSONResponse(await request.json())

    async with serving(path("", view)) as page:
        for content in [b"{", b"", b"\xff", b"[" * 100_000]:
            assert (await page.post("/", content=content)).status_code == 400
        assert (await page.post("/", content=b"[1]")).json() == [1]


async def test_a_query_string_that_is_no_text_is_answered_with_400() -> None:
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"q=\xff",
        "headers": [],
    }
    with pytest.raises(BadRequest, match="UTF-8"):
        Request(scope).GET  # noqa: B018


class Shouting:
    """Changes the body on its way in, as middleware that decompresses it does."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def shout() -> Any:
            message = await receive()
            return {**message, "body": message.get("body", b"").upper()}

        own = {**scope, "own": True} if scope["type"] == "http" else scope
        await self.app(own, shout if scope["type"] == "http" else receive, send)


async def test_a_request_reads_through_the_middleware_around_the_view() -> None:
    async def view(request: Any) -> Any:
        body = await request.body()
        return PlainTextResponse(f"{body.decode()} {request.scope['own']}")

    # The first one has made the request when the second one comes.
    middleware = [f"{__name__}.Looking", f"{__name__}.Shouting"]
    async with serving(path("", view), MIDDLEWARE=middleware) as page:
        assert (await page.post("/", content=b"hello")).text == "HELLO True"
