"""A client that has the page already gets 304; streams are left alone."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.http import HttpResponse

from tests.web.serving import serving, serving_on_a_socket
from vinyl.web import PlainTextResponse, Request, Response, StreamingResponse, path

pytestmark = pytest.mark.anyio

MIDDLEWARE = {"MIDDLEWARE": ["vinyl.web.conditional.ConditionalGetMiddleware"]}
SEPTEMBER = "Mon, 01 Sep 2025 00:00:00 GMT"
OCTOBER = "Wed, 01 Oct 2025 00:00:00 GMT"


async def page(request: Request) -> Response:
    response = PlainTextResponse("Sinnerman")
    response.headers["Vary"] = "Cookie"
    response.headers["Cache-Control"] = "max-age=5"
    response.headers["X-Other"] = "1"
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


def djangos(request: Request) -> Any:
    return HttpResponse("Sinnerman")


async def own(request: Request) -> Response:
    return PlainTextResponse("own", headers={"ETag": '"mine"'})


async def dated(request: Request) -> Response:
    return PlainTextResponse("dated", headers={"Last-Modified": SEPTEMBER})


async def private(request: Request) -> Response:
    return PlainTextResponse("private", headers={"Cache-Control": "No-Store"})


async def missing(request: Request) -> Response:
    return PlainTextResponse("missing", 404)


async def empty(request: Request) -> Response:
    return Response(status_code=204)


async def stream(request: Request) -> Response:
    async def content() -> AsyncIterator[str]:
        yield "one"
        yield "two"

    return StreamingResponse(content(), headers={"ETag": 'W/"s"'})


VIEWS = (page, djangos, own, dated, private, missing, empty, stream)
PATTERNS = [path(f"{view.__name__}/", view) for view in VIEWS]


@pytest.mark.parametrize("url", ["/page/", "/djangos/"])
async def test_not_modified(url: str) -> None:
    async with serving(*PATTERNS, **MIDDLEWARE) as http:
        first = await http.get(url)
        tag = first.headers["etag"]
        again = await http.get(url, headers={"If-None-Match": tag})
        weak = await http.get(url, headers={"If-None-Match": f'"x", W/{tag}'})
        any_ = await http.get(url, headers={"If-None-Match": "*"})
        other = await http.get(url, headers={"If-None-Match": '"other"'})
    assert (first.status_code, first.text) == (200, "Sinnerman")
    for response in (again, weak, any_):
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == tag
        assert "content-type" not in response.headers
        assert "content-length" not in response.headers
    assert other.text == "Sinnerman"


async def test_what_a_304_says() -> None:
    async with serving(*PATTERNS, **MIDDLEWARE) as http:
        tag = (await http.get("/page/")).headers["etag"]
        headers = (await http.get("/page/", headers={"If-None-Match": tag})).headers
    assert headers["vary"] == "Cookie"
    assert headers["cache-control"] == "max-age=5"
    assert len(headers.get_list("set-cookie")) == 2
    assert "x-other" not in headers


@pytest.mark.parametrize(
    ("url", "headers", "status"),
    [
        ("/own/", {"If-None-Match": '"mine"'}, 304),
        ("/dated/", {"If-Modified-Since": SEPTEMBER}, 304),
        ("/dated/", {"If-Modified-Since": OCTOBER}, 304),
        ("/dated/", {"If-Modified-Since": "Fri, 01 Aug 2025 00:00:00 GMT"}, 200),
        ("/dated/", {"If-Modified-Since": "nonsense"}, 200),
        ("/dated/", {"If-None-Match": '"x"', "If-Modified-Since": OCTOBER}, 200),
        ("/own/", {"If-Match": '"other"'}, 412),
        ("/dated/", {"If-Unmodified-Since": "Fri, 01 Aug 2025 00:00:00 GMT"}, 412),
        ("/missing/", {"If-None-Match": "*"}, 404),
        ("/stream/", {"If-None-Match": '"s"'}, 304),
        ("/stream/", {"If-None-Match": '"t"'}, 200),
        ("/empty/", {"If-None-Match": '"x"'}, 204),
    ],
)
async def test_conditions(url: str, headers: dict[str, str], status: int) -> None:
    async with serving(*PATTERNS, **MIDDLEWARE) as http:
        response = await http.get(url, headers=headers)
    assert response.status_code == status
    if status in (304, 412):
        assert response.content == b""


async def test_no_tag_is_made() -> None:
    async with serving(*PATTERNS, **MIDDLEWARE) as http:
        for response in (
            await http.get("/private/"),
            await http.get("/missing/"),
            await http.get("/empty/"),
            await http.post("/page/"),
            await http.head("/page/"),
        ):
            assert "etag" not in response.headers
        assert (await http.get("/own/")).headers["etag"] == '"mine"'


async def test_a_stream_begins_at_once() -> None:
    """Its status arrives before there is anything to send."""
    go_on = asyncio.Event()

    async def events(request: Request) -> Response:
        async def content() -> AsyncIterator[str]:
            await go_on.wait()
            yield "data: 1\n\n"

        return StreamingResponse(content(), media_type="text/event-stream")

    async with (
        serving_on_a_socket(path("", events), **MIDDLEWARE) as http,
        http.stream("GET", "/") as response,
    ):
        assert response.status_code == 200
        go_on.set()
        assert await response.aread() == b"data: 1\n\n"
