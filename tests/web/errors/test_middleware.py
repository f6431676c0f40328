"""The pass from an error to a response, over HTTP, and what ends up with the client."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, union-attr"

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import httpx
import pytest
from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpResponse
from starlette.exceptions import HTTPException
from starlette.types import Message

from tests.records.models import Artist
from tests.web.errors.failing import (
    DEBUG,
    JSON,
    TEXT,
    broken,
    make_album,
    missing,
    raising,
)
from tests.web.serving import serving, settings_for, templates
from vinyl.web import (
    EventSourceResponse,
    Request,
    Response,
    StreamingResponse,
    errors,
    get_asgi_application,
    path,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Http404("not here"), 404),
        (PermissionDenied("not you"), 403),
        (BadRequest("not so"), 400),
        (SuspiciousOperation("not honest"), 400),
        (HTTPException(429, headers={"Retry-After": "5"}), 429),
        (HTTPException(503), 503),
        (ValueError("not expected"), 500),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else type(value).__name__,
)
async def test_errors_and_their_status(
    error: Exception, status: int, debug: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(raising(error), DEBUG=debug) as http:
        response = await http.get("/")
    assert response.status_code == status
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    if status == 429:
        assert response.headers["retry-after"] == "5"
    if not debug:
        # What the error says may be for developers alone.
        assert "not " not in response.text.lower().replace("not found", "")
    [record] = [r for r in caplog.records if r.name.startswith("django.")]
    assert record.levelname == ("ERROR" if status >= 500 else "WARNING")
    assert (record.exc_info is not None) is (status >= 500)


class TestProduction:
    async def test_details_of_an_error_are_not_disclosed(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with serving(path("", broken), SECRET_KEY="not-to-be-shown") as http:
            response = await http.get("/")
        assert response.status_code == 500
        assert "Internal Server Error" in response.text
        for secret in ("ZeroDivisionError", "developers", "hunter2", "not-to-be-shown"):
            assert secret not in response.text
        assert "ZeroDivisionError: for <developers> only" in caplog.text

    async def test_the_projects_own_pages(self) -> None:
        files = {
            "404.html": "{{ status }} {{ phrase }} {{ request.url.path }}",
            "500.html": "Sorry",
        }
        patterns = (path("", broken), path("missing/", missing))
        async with serving(*patterns, **templates(files=files)) as http:
            not_found = await http.get("/elsewhere/")
            sorry = await http.get("/")
            assert (await http.get("/missing/")).text == "404 Not Found /missing/"
        assert (not_found.status_code, not_found.text) == (
            404,
            "404 Not Found /elsewhere/",
        )
        assert (sorry.status_code, sorry.text) == (500, "Sorry")

    async def test_a_page_may_use_the_database(self) -> None:
        files = {"404.html": "{{ artists().count() }} artists"}
        setting = templates(files=files, context_processors=[f"{__name__}.artists"])
        await make_album()
        async with serving(**setting) as http:
            assert (await http.get("/elsewhere/")).text == "1 artists"

    @pytest.mark.parametrize("text", ["{{ misspelt }}", "{% if %}"])
    async def test_a_broken_page_is_replaced_and_logged(
        self, text: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        setting = templates(files={"404.html": text, "500.html": text})
        async with serving(path("", broken), **setting) as http:
            missing, sorry = await http.get("/elsewhere/"), await http.get("/")
        assert (missing.status_code, sorry.status_code) == (404, 500)
        assert "404 Not Found" in missing.text
        assert "500 Internal Server Error" in sorry.text
        assert "The 404 page failed: GET /elsewhere/" in caplog.text
        assert "ZeroDivisionError" in caplog.text

    async def test_headers_that_cannot_be_sent_are_left_out_and_logged(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        error: Any = HTTPException(429, headers={"Retry-After": 5})  # type: ignore[dict-item]
        async with serving(raising(error)) as http:
            response = await http.get("/")
        assert response.status_code == 429
        assert "retry-after" not in response.headers
        assert "The 429 page failed: GET /" in caplog.text

    async def test_an_error_of_the_middleware(self) -> None:
        settings = {"MIDDLEWARE": [f"{__name__}.FailingMiddleware"]}
        async with serving(path("", broken), **settings) as http:
            response = await http.get("/")
        assert response.status_code == 500
        assert "of the middleware" not in response.text


def artists(request: Request) -> dict[str, Any]:
    return {"artists": Artist.objects.all}


class FailingMiddleware:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            raise RuntimeError("of the middleware")
        await self.app(scope, receive, send)


async def test_an_error_after_the_start_ends_the_response() -> None:
    async def parts() -> Any:
        yield "half a page"
        raise ZeroDivisionError("too late for a page")

    async def view(request: Request) -> Response:
        return StreamingResponse(parts())

    async with serving(path("", view)) as http:
        with pytest.raises(httpx.RemoteProtocolError, match="middle of its response"):
            await http.get("/")
    async with serving(path("", view), raising=True) as http:
        with pytest.raises(ZeroDivisionError, match="too late"):
            await http.get("/")


# ----- Clients that leave


async def endless(request: Request) -> Response:
    async def parts() -> Any:
        try:
            while True:
                yield "part"
        finally:
            ended.append("async")

    return StreamingResponse(parts())


def endless_plainly(request: Request) -> Response:
    def parts() -> Any:
        try:
            while True:
                yield "part"
        finally:
            ended.append("plain")

    return StreamingResponse(parts())


async def endless_events(request: Request) -> Response:
    async def events() -> Any:
        try:
            await asyncio.sleep(0.02)
            while True:
                yield "event"
        finally:
            ended.append("events")

    return EventSourceResponse(events(), ping=0.001)


async def whole(request: Request) -> Response:
    ended.append("whole")
    return Response("whole")


ended: list[str] = []


@pytest.mark.parametrize("name", ["async", "plain", "events", "whole"])
async def test_an_oserror_of_send_says_that_the_client_left(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """As ASGI 2.4 defines it; the error is not the site's."""
    views = {
        "async": endless,
        "plain": endless_plainly,
        "events": endless_events,
        "whole": whole,
    }
    sent = []

    async def receive() -> Message:
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message["type"])
        if len(sent) > 1:
            raise BrokenPipeError("of the server")

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(b"host", b"testserver")],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
    }
    caplog.set_level(logging.INFO)
    ended.clear()
    async with asyncio.timeout(20):
        with settings_for((path("", views[name]),), {}):
            await get_asgi_application()(scope, receive, send)
    assert ended == [name]
    assert sent[0] == "http.response.start"
    assert len(sent) <= 3
    gc.collect()
    assert [r.levelname for r in caplog.records if r.name != "asyncio"] == ["INFO"]
    assert "The client disconnected: '/'" in caplog.text
    assert "never retrieved" not in caplog.text


async def test_an_oserror_of_the_content_is_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def parts() -> Any:
        yield "half a page"
        raise FileNotFoundError("the other half")

    async def view(request: Request) -> Response:
        return StreamingResponse(parts())

    async with serving(path("", view)) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get("/")
    assert "Response interrupted: GET /" in caplog.text
    assert "FileNotFoundError" in caplog.text


# ----- What clients and projects ask for


class TestKinds:
    async def test_json_and_text_for_visitors(self) -> None:
        limited = HTTPException(429, "Slow down.", headers={"Retry-After": "5"})
        files = {"404.html": "a page"}
        patterns = (raising(limited), path("broken/", broken))
        async with serving(*patterns, **templates(files=files)) as http:
            told = await http.get("/", headers=JSON)
            missing = await http.get("/none/", headers=JSON)
            sorry = await http.get("/broken/", headers=TEXT)
            page = await http.get("/none/", headers={"Accept": "text/html, */*;q=0.1"})
        assert told.status_code == 429
        assert told.headers["retry-after"] == "5"
        assert told.json() == {
            "status": 429,
            "title": "Too Many Requests",
            "detail": "Slow down.",
        }
        assert missing.json() == {"status": 404, "title": "Not Found"}
        assert sorry.headers["content-type"].startswith("text/plain")
        assert (sorry.status_code, sorry.text) == (500, "500 Internal Server Error\n")
        assert page.text == "a page"

    @pytest.mark.parametrize("accept", ["", "rubbish", ";;;", "text/html;" * 3000])
    async def test_a_malformed_accept_header(self, accept: str) -> None:
        async with serving() as http:
            response = await http.get("/none/", headers={"Accept": accept})
        assert response.status_code == 404


async def teapot(request: Request, exception: Exception) -> Response:
    return Response(f"teapot: {type(exception).__name__}", 418)


def plain_sorry(request: Request) -> Any:
    return HttpResponse(f"sorry, {Artist.objects.count()} artists", status=503)


class TestHandlers:
    """`handler404` and so on in the root urlconf."""

    def urlconf(self, *patterns: Any, **handlers: Any) -> Any:
        module = ModuleType("tests.with_handlers")
        vars(module).update(urlpatterns=list(patterns), **handlers)
        return {"ROOT_URLCONF": module}

    async def test_async_and_plain_ones(self) -> None:
        handlers = {"handler404": teapot, "handler500": f"{__name__}.plain_sorry"}
        settings = self.urlconf(path("", broken), **handlers)
        async with serving(**settings) as http:
            missing, sorry = await http.get("/none/"), await http.get("/")
        assert (missing.status_code, missing.text) == (418, "teapot: Resolver404")
        assert (sorry.status_code, sorry.text) == (503, "sorry, 0 artists")

    async def test_one_that_fails(self, caplog: pytest.LogCaptureFixture) -> None:
        async def fails(request: Request, exception: Any = None) -> None:
            raise RuntimeError("in the handler")

        settings = self.urlconf(path("", broken), handler404=fails, handler500=fails)
        async with serving(**settings) as http:
            missing, sorry = await http.get("/none/"), await http.get("/")
        assert (missing.status_code, sorry.status_code) == (404, 500)
        assert "404 Not Found" in missing.text
        told = [r.exc_info[0].__name__ for r in caplog.records if r.exc_info]
        assert told == ["RuntimeError", "ZeroDivisionError", "RuntimeError"]

    async def test_they_are_for_visitors(self) -> None:
        settings = self.urlconf(path("", broken), handler404=teapot)
        async with serving(**settings, **DEBUG) as http:
            assert (await http.get("/none/")).status_code == 404


# ----- The pass


async def test_each_step_is_taken_once() -> None:
    """No step goes back to an earlier one: the room has one pass."""
    folder = str(Path(errors.__file__).parent)
    steps: list[str] = []

    def follow(frame: FrameType, event: str, arg: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and str(path.parent) == folder:
            # The log record passes the filters of logging_setup.
            if path.stem not in ("middleware", "logging_setup", *steps[-1:]):
                steps.append(path.stem)

    async def view(request: Request) -> Response:
        sys.setprofile(follow)
        raise ZeroDivisionError

    async with serving(path("", view)) as http:
        try:
            assert (await http.get("/")).status_code == 500
        finally:
            sys.setprofile(None)
    assert steps == ["problem", "report", "framed", "plain_pages"]
