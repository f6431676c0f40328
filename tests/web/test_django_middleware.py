"""Middleware of Django's kind beside pure ASGI middleware."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.core.exceptions import ImproperlyConfigured, MiddlewareNotUsed
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.test import override_settings
from django.utils.decorators import async_only_middleware
from django.utils.deprecation import MiddlewareMixin
from starlette.applications import Starlette
from starlette.routing import Route

from tests.records.models import Artist
from tests.web.serving import serving
from vinyl.bridge import blocking
from vinyl.orm import in_bridge
from vinyl.web import (
    EventSourceResponse,
    PlainTextResponse,
    StreamingResponse,
    get_asgi_application,
    in_thread,
    mount,
    path,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


def named(*names: str) -> dict[str, Any]:
    return {"MIDDLEWARE": [f"{__name__}.{name}" for name in names]}


class Hooked(MiddlewareMixin):
    """Writes down which of its methods was called, and in which mode."""

    def note(self, request: Any, text: str) -> None:
        assert in_bridge()
        trail = request.__dict__.setdefault("trail", [])
        trail.append(f"{type(self).__name__} {text}")

    def process_request(self, request: Any) -> None:
        self.note(request, "request")

    def process_view(self, request: Any, view: Any, args: Any, kwargs: Any) -> None:
        assert kwargs == request.resolver_match.kwargs
        self.note(request, "view")

    def process_response(self, request: Any, response: Any) -> Any:
        self.note(request, "response")
        response["X-Trail"] = ", ".join(request.trail)
        return response


class Templated(Hooked):
    def process_template_response(self, request: Any, response: Any) -> Any:
        response.context_data["word"] = "hooked"
        return response


class Rescuing(Hooked):
    def process_exception(self, request: Any, error: Exception) -> Any:
        self.note(request, "exception")
        if isinstance(error, ZeroDivisionError):
            return HttpResponse("rescued", status=503)
        return None


def counting(get_response: Any) -> Any:
    """A factory, whose middleware is sync and uses the database."""

    def middleware(request: Any) -> Any:
        Artist.objects.create(name="counted")
        response = get_response(request)
        response["X-Count"] = str(Artist.objects.count())
        return response

    return middleware


class Both:
    """As django-htmx: sync and async, with an attribute for the request."""

    sync_capable = async_capable = True

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: Any) -> Any:
        request.htmx = request.headers.get("HX-Request") == "true"
        return self.get_response(request)


@async_only_middleware
def asynchronous(get_response: Any) -> Any:
    async def middleware(request: Any) -> Any:
        assert not in_bridge()
        response = await get_response(request)
        response["X-Async"] = str(await Artist.objects.acount())
        return response

    return middleware


class Pure:
    """Pure ASGI middleware."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-pure", b"yes")]
            await send(message)

        await self.app(scope, receive, sending)


async def async_view(request: Any, **kwargs: Any) -> Any:
    return PlainTextResponse(f"htmx: {getattr(request, 'htmx', None)}")


def plain_view(request: Any, **kwargs: Any) -> Any:
    return HttpResponse(f"htmx: {getattr(request, 'htmx', None)}")


@pytest.mark.parametrize("view", [async_view, plain_view])
@pytest.mark.parametrize("pure", [0, 1, 4], ids=["outside", "between", "inside"])
async def test_each_kind_runs_in_its_place(view: Any, pure: int) -> None:
    names = ["Hooked", "Both", "counting", "asynchronous"]
    names.insert(pure, "Pure")
    async with serving(path("<int:pk>/", view), **named(*names)) as page:
        response = await page.get("/5/", headers={"HX-Request": "true"})
    assert response.text == "htmx: True"
    assert response.headers["x-trail"] == "Hooked request, Hooked view, Hooked response"
    assert response.headers["x-async"] == response.headers["x-count"] == "1"
    assert response.headers["x-pure"] == "yes"


async def test_the_order_of_the_methods_is_djangos() -> None:
    def view(request: Any) -> Any:
        return 1 / 0

    async with serving(path("", view), **named("Hooked", "Rescuing")) as page:
        response = await page.get("/")
    assert (response.status_code, response.text) == (503, "rescued")
    assert response.headers["x-trail"].split(", ") == [
        "Hooked request",
        "Rescuing request",
        "Hooked view",
        "Rescuing view",
        "Rescuing exception",
        "Rescuing response",
        "Hooked response",
    ]


async def test_errors_become_pages_which_pass_the_middleware() -> None:
    def missing(request: Any) -> Any:
        raise Http404

    urls = path("missing/", missing), path("slash/", plain_view)
    async with serving(*urls, **named("Rescuing", "failing")) as page:
        assert (await page.get("/missing/")).status_code == 404
        response = await page.get("/nowhere/")
        assert (response.status_code, "x-trail" in response.headers) == (404, True)
        response = await page.get("/slash")
        assert (response.status_code, response.headers["location"]) == (301, "/slash/")
        # An error of middleware passes the middleware around it.
        response = await page.get("/slash/?fail")
        assert (response.status_code, "x-trail" in response.headers) == (500, True)


def failing(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        return 1 / 0 if "fail" in request.GET else get_response(request)

    return middleware


DJANGO_TEMPLATES = {"BACKEND": "django.template.backends.django.DjangoTemplates"}


async def test_a_template_response_is_changed_before_it_is_rendered() -> None:
    def view(request: Any) -> Any:
        template = engines["django"].from_string("{{ word }}")
        return TemplateResponse(request, template, {"word": "view"})

    settings = named("Templated", "Both") | {"TEMPLATES": [DJANGO_TEMPLATES]}
    async with serving(path("", view), **settings) as page:
        assert (await page.get("/")).text == "hooked"


@pytest.mark.parametrize("names", [["Hooked"], ["Hooked", "Pure"]])
async def test_streams_and_mounted_apps_pass(names: list[str]) -> None:
    async def pieces() -> Any:
        yield b"one "
        yield b"two"

    def djangos(request: Any) -> Any:
        return StreamingHttpResponse(iter([b"one ", b"two"]))

    async def inner(request: Any) -> Any:
        return PlainTextResponse(f"mounted {request.url.path}")

    urls = (
        path("own/", lambda request: StreamingResponse(pieces())),
        path("django/", djangos),
        mount("app/", Starlette(routes=[Route("/x", inner)])),
    )
    async with serving(*urls, **named(*names)) as page:
        for url in ("/own/", "/django/"):
            response = await page.get(url)
            assert (response.text, "x-trail" in response.headers) == ("one two", True)
        response = await page.get("/app/x")
        assert (response.text, "x-trail" in response.headers) == (
            "mounted /app/x",
            True,
        )


async def test_a_stream_that_middleware_drops_is_closed() -> None:
    closed: list[bool] = []

    async def events(request: Any) -> Any:
        async def forever() -> Any:
            try:
                while True:
                    yield {"data": "x"}
                    await asyncio.sleep(0)
            finally:
                closed.append(True)

        return EventSourceResponse(forever())

    async with serving(path("", events), **named("dropping", "Pure")) as page:
        assert (await page.get("/")).text == "dropped"
    assert closed == [True]


async def test_each_captured_app_is_ended_even_if_another_fails() -> None:
    closed: list[bool] = []

    async def view(request: Any) -> Any:
        async def forever() -> Any:
            try:
                while True:
                    yield b"x"
            finally:
                closed.append(True)

        if request.attempt == 1:
            return PlainTextResponse("first")
        return StreamingResponse(forever())

    async with serving(
        path("", view), **named("calling_twice", "FailingAfter")
    ) as page:
        assert (await page.get("/")).text == "dropped"
    assert closed == [True]


class FailingAfter(Pure):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await super().__call__(scope, receive, send)
        raise ZeroDivisionError("after the response")


def calling_twice(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        for request.attempt in (1, 2):
            get_response(request)
        return HttpResponse("dropped")

    return middleware


def dropping(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        get_response(request)
        return HttpResponse("dropped")

    return middleware


async def test_a_view_sees_what_middleware_has_changed() -> None:
    def rewritten(request: Any) -> Any:
        return PlainTextResponse(f"{request.method} {request.path_info}")

    async with serving(path("new/", rewritten), **named("rewriting")) as page:
        assert (await page.post("/old/")).text == "DELETE /new/"


def rewriting(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        request.method, request.path_info = "DELETE", "/new/"
        return get_response(request)

    return middleware


# The time by which vinyl.bridge.blocking measures, in seconds.
clock = 0.0


async def test_what_blocks_the_loop_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(blocking, "perf_counter", lambda: clock)
    monkeypatch.setattr(blocking, "_reported", set())
    settings = named("Both", "blocking_one", "asynchronous")
    async with serving(path("", async_view), **settings) as page:
        assert (await page.get("/")).status_code == 200
    messages = [r.getMessage() for r in caplog.records if r.name == "vinyl.bridge"]
    assert len(messages) == 1
    assert messages[0].startswith(f"{__name__}.blocking_one blocked the event loop")


def blocking_one(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        global clock
        clock += 1
        return get_response(request)

    return middleware


@in_thread
def threaded(get_response: Any) -> Any:
    def middleware(request: Any) -> Any:
        with pytest.raises(RuntimeError):
            asyncio.get_running_loop()
        response = get_response(request)
        response["X-Thread"] = "yes"
        return response

    return middleware


async def test_what_is_marked_runs_in_a_thread() -> None:
    async with serving(path("", async_view), **named("threaded", "Both")) as page:
        response = await page.get("/")
    assert (response.text, response.headers["x-thread"]) == ("htmx: False", "yes")


class Unused:
    def __init__(self, get_response: Any) -> None:
        raise MiddlewareNotUsed("not here")

    def __call__(self, request: Any) -> Any: ...


def without_result(get_response: Any) -> Any:
    return None


def undecorated(get_response: Any) -> Any:
    async def middleware(request: Any) -> Any:
        return get_response(request)

    return middleware


async def test_what_is_not_used_is_left_out() -> None:
    async with serving(path("", async_view), **named("Unused")) as page:
        assert (await page.get("/")).text == "htmx: None"


def test_a_factory_that_returns_nothing_is_refused_at_start() -> None:
    with (
        override_settings(**named("without_result")),
        pytest.raises(ImproperlyConfigured, match="without_result', which returned"),
    ):
        get_asgi_application()


async def test_what_is_no_response_is_named() -> None:
    async with serving(path("", async_view), raising=True, **named("undecorated")) as p:
        with pytest.raises(TypeError, match="undecorated' returned .*async_only"):
            await p.get("/")
