"""Bodies: how long they may take, and who reads them first."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import asyncio
import json
import logging
import pickle
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from django.test import override_settings
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request as StarlettesRequest
from starlette.responses import JSONResponse as StarlettesResponse
from starlette.routing import Route

from tests.web.http.slow_clients import FORM, JSON, MULTIPART, RAW, SlowClient
from tests.web.serving import serving, serving_on_a_socket
from vinyl.web import (
    JSONResponse,
    PlainTextResponse,
    Request,
    StreamingResponse,
    in_thread,
    mount,
    path,
)
from vinyl.web.http.bodies import Body
from vinyl.web.http.limits import BodyTimeout

pytestmark = pytest.mark.anyio


# ----- How long they may take


async def by_form(request: Any) -> Any:
    return PlainTextResponse((await request.form())["name"])


async def by_json(request: Any) -> Any:
    return PlainTextResponse((await request.json())["name"])


async def by_body(request: Any) -> Any:
    return PlainTextResponse((await request.body()).decode())


async def by_stream(request: Any) -> Any:
    pieces = [piece async for piece in request.stream()]
    return PlainTextResponse(b"".join(pieces).decode())


def by_plain_form(request: Any) -> Any:
    return PlainTextResponse(request.POST["name"])


def by_plain_body(request: Any) -> Any:
    return PlainTextResponse(request.body().decode())


VIEWS = {
    "form": (by_form, FORM),
    "upload": (by_form, MULTIPART),
    "JSON": (by_json, JSON),
    "body": (by_body, RAW),
    "stream": (by_stream, RAW),
    "plain form": (by_plain_form, FORM),
    "plain body": (by_plain_body, RAW),
    "thread": (in_thread(by_plain_form), FORM),
}


@pytest.mark.parametrize(("view", "kind"), VIEWS.values(), ids=VIEWS)
async def test_a_body_that_does_not_come_is_answered_with_408(
    view: Callable[..., Any], kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings: Any = {"VINYL": {"BODY_TIMEOUT": 0.2}}
    async with serving_on_a_socket(path("slow/", view), **settings) as http:
        async with asyncio.timeout(30), SlowClient(http, "/slow/", kind) as client:
            status, head, _ = await client.answer()
            assert await client.is_closed()
    assert status == 408
    assert "connection: close" in head
    [record] = [r for r in caplog.records if r.name == "django.request"]
    assert record.levelno == logging.WARNING
    assert "Request Timeout: POST /slow/: The request body did not arrive in time" in (
        record.getMessage()
    )


class Reading:
    """Pure ASGI middleware, which reads the body with a request of its own."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            request = Request(scope, receive)
            await read(request, request.headers.get("x-read", "form"))
        await self.app(scope, receive, send)


class StarlettesReading(Reading):
    """The same with Starlette's request."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            request = StarlettesRequest(scope, receive)
            await read(request, request.headers.get("x-read", "form"))
        await self.app(scope, receive, send)


class BaseReading(BaseHTTPMiddleware):
    async def dispatch(self, request: Any, call_next: Any) -> Any:
        await read(request, request.headers.get("x-read", "form"))
        return await call_next(request)


async def read(request: Any, how: str) -> None:
    match how:
        case "form":
            assert len(await request.form())
        case "body":
            assert await request.body()
        case "json":
            assert await request.json()
        case "stream":
            assert [piece async for piece in request.stream()]
        case "first piece":
            async for _ in request.stream():
                break


MIDDLEWARE = [Reading, StarlettesReading, BaseReading]


@pytest.mark.parametrize("middleware", MIDDLEWARE)
async def test_middleware_waits_no_longer(middleware: type) -> None:
    settings: Any = {
        "VINYL": {"BODY_TIMEOUT": 0.2},
        "MIDDLEWARE": [f"{__name__}.{middleware.__name__}"],
    }
    async with serving_on_a_socket(path("slow/", by_form), **settings) as http:
        async with asyncio.timeout(30), SlowClient(http, "/slow/", FORM) as client:
            assert (await client.answer())[0] == 408


async def starlettes(request: Any) -> Any:
    form = await request.form()
    return StarlettesResponse(form.multi_items())


async def test_a_mounted_app_waits_no_longer() -> None:
    app = Starlette(routes=[Route("/", starlettes, methods=["POST"])])
    settings: Any = {"VINYL": {"BODY_TIMEOUT": 0.2}}
    async with serving_on_a_socket(mount("slow/", app), **settings) as http:
        async with asyncio.timeout(30), SlowClient(http, "/slow/", FORM) as client:
            assert (await client.answer())[0] == 408


async def test_a_stream_is_broken_off_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The view has answered already, without the body."""

    async def endless() -> AsyncIterator[str]:
        yield "begun"
        await asyncio.Event().wait()

    async def view(request: Request) -> Any:
        return StreamingResponse(endless())

    settings: Any = {"VINYL": {"BODY_TIMEOUT": 0.2}}
    async with serving_on_a_socket(path("slow/", view), **settings) as http:
        async with asyncio.timeout(30), SlowClient(http, "/slow/", RAW) as client:
            answer = await client.reader.read()
    assert b"begun" in answer
    assert not answer.endswith(b"0\r\n\r\n")
    levels = {r.levelno for r in caplog.records if r.name == "django.request"}
    assert levels == {logging.WARNING}


def body_of(*pieces: bytes, pause: float = 0.0) -> Body:
    """A body of *pieces*, with a pause before each but the first, in seconds."""
    messages = [
        {"type": "http.request", "body": piece, "more_body": True} for piece in pieces
    ]
    messages.append({"type": "http.request", "body": b""})
    messages.reverse()
    number = len(messages)

    async def receive() -> Any:
        if len(messages) < number:
            await asyncio.sleep(pause)
        return messages.pop()

    return Body({"type": "http", "headers": []}, receive)


async def test_a_long_body_may_take_longer() -> None:
    """Ten times as long as a short one may."""
    with override_settings(VINYL={"BODY_TIMEOUT": 0.05}):
        long = body_of(*[b"x" * 1000] * 10, pause=0.05)
        assert len(await long.content(long.receive)) == 10_000


async def test_drops_do_not_make_a_body_long() -> None:
    with override_settings(VINYL={"BODY_TIMEOUT": 0.2}):
        drops = body_of(*[b"x"] * 100, pause=0.05)
        with pytest.raises(BodyTimeout, match=r"not arrive in time: \d+ bytes in \d"):
            await drops.content(drops.receive)
    # It is not waited for once more.
    drops.waited += 300
    with override_settings(VINYL={"BODY_TIMEOUT": 300}):
        with pytest.raises(BodyTimeout):
            await drops.content(drops.receive)


async def test_the_time_that_the_reader_takes_does_not_count() -> None:
    with override_settings(VINYL={"BODY_TIMEOUT": 0.1}):
        body = body_of(b"a", b"b", b"c")
        async for _ in body.pieces(body.receive):
            await asyncio.sleep(0.15)


async def test_without_a_limit_a_body_may_take_for_ever() -> None:
    with override_settings(VINYL={"BODY_TIMEOUT": None}):
        body = body_of(b"a", b"b", pause=0.05)
        assert await body.content(body.receive) == b"ab"


async def test_a_reader_that_is_cancelled_may_read_again() -> None:
    body = body_of(b"a", b"b", b"c", pause=0.1)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.15):
            await body.content(body.receive)
    assert await body.content(body.receive) == b"abc"


async def test_http_2_closes_no_connection_by_a_header() -> None:
    assert BodyTimeout(1, 2.0, "2").headers is None
    assert isinstance(BodyTimeout(1, 2.0, "2"), HTTPException)


# ----- Who reads them first


async def in_async_view(request: Any) -> Any:
    how = request.headers.get("x-then", "form")
    if how == "json":
        return JSONResponse(await request.json())
    if how == "form":
        form = await request.form()
        return JSONResponse([form["name"], request.POST["name"]])
    return PlainTextResponse(await request.body())


def in_plain_view(request: Any) -> Any:
    how = request.headers.get("x-then", "form")
    if how == "json":
        return JSONResponse(request.json())
    if how == "form":
        return JSONResponse([request.form()["name"], request.POST["name"]])
    return PlainTextResponse(request.body())


READ = ["form", "body", "stream", "first piece", "nothing"]


@pytest.mark.parametrize("view", [in_async_view, in_plain_view])
@pytest.mark.parametrize("then", ["form", "body"])
@pytest.mark.parametrize("how", READ)
@pytest.mark.parametrize("middleware", MIDDLEWARE)
async def test_a_view_gets_the_form_that_middleware_has_read(
    middleware: type, how: str, then: str, view: Any
) -> None:
    names = [f"{__name__}.{middleware.__name__}"]
    headers = {"x-read": how, "x-then": then, "content-type": FORM}
    async with asyncio.timeout(30), serving(path("", view), MIDDLEWARE=names) as http:
        response = await http.post("/", content=b"name=Nina", headers=headers)
    expected = '["Nina","Nina"]' if then == "form" else "name=Nina"
    assert response.text == expected


@pytest.mark.parametrize("view", [in_async_view, in_plain_view])
@pytest.mark.parametrize("how", ["json", "body", "stream", "first piece"])
@pytest.mark.parametrize("middleware", MIDDLEWARE)
async def test_a_view_gets_the_json_that_middleware_has_read(
    middleware: type, how: str, view: Any
) -> None:
    names = [f"{__name__}.{middleware.__name__}"]
    headers = {"x-read": how, "x-then": "json"}
    async with asyncio.timeout(30), serving(path("", view), MIDDLEWARE=names) as http:
        response = await http.post("/", json=["Nina"], headers=headers)
    assert response.json() == ["Nina"]


# Starlette's own requests know nothing of one another.
PAIRS = [(Reading, cls) for cls in MIDDLEWARE] + [
    (cls, Reading) for cls in (StarlettesReading, BaseReading)
]


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
@pytest.mark.parametrize("how", ["form", "body", "stream"])
async def test_two_layers_of_middleware_read_it(
    how: str, outer: type, inner: type
) -> None:
    names = [f"{__name__}.{cls.__name__}" for cls in (outer, inner)]
    headers = {"x-read": how, "content-type": FORM}
    settings = {"MIDDLEWARE": names}
    async with asyncio.timeout(30), serving(path("", by_form), **settings) as http:
        response = await http.post("/", content=b"name=Nina", headers=headers)
    assert response.text == "Nina"


@pytest.mark.parametrize("how", READ)
@pytest.mark.parametrize("middleware", MIDDLEWARE)
async def test_a_mounted_app_gets_the_form_that_middleware_has_read(
    middleware: type, how: str
) -> None:
    app = Starlette(routes=[Route("/", starlettes, methods=["POST"])])
    names = [f"{__name__}.{middleware.__name__}"]
    headers = {"x-read": how, "content-type": FORM}
    async with asyncio.timeout(30):
        async with serving(mount("api/", app), MIDDLEWARE=names) as http:
            response = await http.post("/api/", content=b"name=Nina", headers=headers)
    assert response.json() == [["name", "Nina"]]


@pytest.mark.parametrize("middleware", [StarlettesReading, BaseReading])
async def test_a_form_that_is_too_long_to_be_kept_is_an_error(middleware: type) -> None:
    options: Any = {
        "MIDDLEWARE": [f"{__name__}.{middleware.__name__}"],
        "FILE_UPLOAD_MAX_MEMORY_SIZE": 8,
        "raising": True,
    }
    async with asyncio.timeout(30), serving(path("", by_form), **options) as http:
        with pytest.raises(RuntimeError, match="9 bytes exceed FILE_UPLOAD") as caught:
            await http.post("/", data={"name": "Nina"})
    assert "vinyl.web.Request.of" in str(caught.value)


async def test_a_stream_listens_for_the_client_and_not_for_the_body() -> None:
    """What has been received comes once more for nobody after the view."""

    async def pieces() -> AsyncIterator[str]:
        for piece in ("a", "b"):
            await asyncio.sleep(0)
            yield piece

    def view(request: Request) -> Any:
        assert request.POST["name"] == "Nina"
        return StreamingResponse(pieces())

    names = [f"{__name__}.BaseReading"]
    async with asyncio.timeout(30), serving(path("", view), MIDDLEWARE=names) as http:
        assert (await http.post("/", data={"name": "Nina"})).text == "ab"
    async with asyncio.timeout(30), serving(path("", view)) as http:
        assert (await http.post("/", data={"name": "Nina"})).text == "ab"


# ----- request.body


def as_djangos(request: Any) -> Any:
    body = request.body
    assert isinstance(body, bytes)
    assert request.body() == body == b'{"name": "Nina"}'
    assert type(request.body()) is bytes
    assert pickle.loads(pickle.dumps(body)) == body
    return JSONResponse(json.loads(request.body))


@pytest.mark.parametrize("view", [as_djangos, in_thread(as_djangos)])
@pytest.mark.parametrize("kind", [JSON, RAW])
async def test_the_body_is_djangos_property_in_a_plain_view(
    view: Any, kind: str
) -> None:
    async with serving(path("", view)) as http:
        response = await http.post(
            "/", content=b'{"name": "Nina"}', headers={"content-type": kind}
        )
    assert response.json() == {"name": "Nina"}
