"""Django's ASGI handler with its sync code in the bridge."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, misc"

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIHandler
from django.core.signals import request_finished
from django.db import connections
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template import engines
from django.template.response import TemplateResponse
from django.test import AsyncClient, override_settings
from django.urls import path
from django.utils.decorators import (
    async_only_middleware,
    method_decorator,
    sync_only_middleware,
)
from django.utils.deprecation import MiddlewareMixin
from django.views import View

from tests.fix_db import only_postgresql
from tests.orm.scopes.test_lending import add, names
from tests.records.models import Artist
from vinyl.bridge.threads import in_thread
from vinyl.orm import await_, in_bridge, run
from vinyl.orm.asgi import BridgedASGIHandler

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

# Where each piece of code ran: "bridge", "loop" or "thread".
places: list[tuple[str, str]] = []


def place() -> str:
    if threading.current_thread() is not threading.main_thread():
        return "thread"
    return "bridge" if in_bridge() else "loop"


def note(name: str) -> None:
    places.append((name, place()))


class Hooks(MiddlewareMixin):
    """Django's kind of middleware, with every hook; it uses the database."""

    def process_request(self, request: HttpRequest) -> None:
        note("request")
        Artist.objects.get_or_create(name="request")

    def process_view(self, request: HttpRequest, *args: Any) -> None:
        note("view")

    def process_response(
        self, request: HttpRequest, response: HttpResponse
    ) -> HttpResponse:
        note("response")
        return response

    def process_template_response(
        self, request: HttpRequest, response: TemplateResponse
    ) -> TemplateResponse:
        note("template response")
        return response

    def process_exception(
        self, request: HttpRequest, error: Exception
    ) -> HttpResponse | None:
        note("exception")
        return HttpResponse("mended") if isinstance(error, LookupError) else None


@in_thread
class HooksInThread(Hooks):
    """The same in a thread."""


@sync_only_middleware
def sync_only(get_response: Callable[..., Any]) -> Callable[..., Any]:
    def respond(request: HttpRequest) -> HttpResponse:
        note("before")
        names()
        response = get_response(request)
        note("after")
        return response

    return respond


@sync_only_middleware
def sync_only_in_thread(get_response: Callable[..., Any]) -> Callable[..., Any]:
    return in_thread(sync_only(get_response))


@in_thread
class PlainInThread:
    """Django's kind of middleware for sync code alone, in a thread."""

    def __init__(self, get_response: Callable[..., Any]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        note("thread before")
        response: HttpResponse = self.get_response(request)
        note("thread after")
        return response


@sync_only_middleware
def blocking_middleware(get_response: Callable[..., Any]) -> Callable[..., Any]:
    def blocks(request: HttpRequest) -> HttpResponse:
        names()
        response = get_response(request)
        pass_time(2)
        return response

    return blocks


class BlockingHook(MiddlewareMixin):
    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse:
        pass_time(3)
        return HttpResponse("mended")


@async_only_middleware
def async_only(get_response: Callable[..., Any]) -> Callable[..., Any]:
    async def respond(request: HttpRequest) -> HttpResponse:
        note("async")
        return await get_response(request)

    return respond


def respond(*values: object) -> HttpResponse:
    return HttpResponse(" ".join(map(str, values)))


def sync_view(request: HttpRequest) -> HttpResponse:
    add("view")
    return respond(place(), *names())


async def async_view(request: HttpRequest) -> HttpResponse:
    await run(add, "view")
    return respond(place())


@in_thread
def view_in_thread(request: HttpRequest) -> HttpResponse:
    add("view")
    return respond(place(), *names())


class ClassView(View):
    def get(self, request: HttpRequest) -> HttpResponse:
        return respond(place(), *names())


@method_decorator(in_thread, name="dispatch")
class ClassViewInThread(ClassView):
    pass


def template(request: HttpRequest) -> TemplateResponse:
    found = engines["django"].from_string("{{ place }} {{ names|join:' ' }}")
    return TemplateResponse(request, found, {"place": place, "names": names})


def failing(request: HttpRequest) -> HttpResponse:
    add("failing")
    raise LookupError


async def failing_async(request: HttpRequest) -> HttpResponse:
    raise LookupError


def unmended(request: HttpRequest) -> HttpResponse:
    add("unmended")
    raise ValueError


@in_thread
def unmended_in_thread(request: HttpRequest) -> HttpResponse:
    return unmended(request)


def missing(request: HttpRequest) -> HttpResponse:
    raise Http404


def forbidden(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    return HttpResponse(f"404 {place()} {names()}", status=404)


def stream(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Iterator[str]:
        yield f"{place()} "
        yield from names()

    return StreamingHttpResponse(parts())


async def async_stream(request: HttpRequest) -> StreamingHttpResponse:
    async def parts() -> AsyncIterator[str]:
        yield f"{place()} "
        for name in await run(names):
            yield name

    return StreamingHttpResponse(parts())


# The connections of threads that requests have used.
of_threads: list[Any] = []


async def uses_a_thread(request: HttpRequest) -> HttpResponse:
    def use() -> str:
        add("thread")
        of_threads.append(connections["default"])
        return place()

    return respond(await sync_to_async(use)())


def nested(request: HttpRequest) -> HttpResponse:
    def innermost() -> list[str]:
        return [place(), *names()]

    async def inner() -> list[str]:
        return [place(), *await sync_to_async(innermost)()]

    add("nested")
    return respond(place(), *async_to_sync(inner)())


barrier: asyncio.Barrier
# The time by which steps are measured in TestReports, in seconds.
clock = 0.0


def pass_time(seconds: float) -> None:
    global clock
    clock += seconds


def meeting(request: HttpRequest) -> HttpResponse:
    await_(barrier.wait())
    return respond(place(), *names())


def blocking_view(request: HttpRequest) -> HttpResponse:
    pass_time(1)
    return respond("done")


async def blocking_async_view(request: HttpRequest) -> HttpResponse:
    pass_time(1)
    return respond("done")


urlpatterns = [
    path("sync/", sync_view),
    path("async/", async_view),
    path("thread/", view_in_thread),
    path("class/", ClassView.as_view()),
    path("class-thread/", ClassViewInThread.as_view()),
    path("template/", template),
    path("failing/", failing),
    path("failing-async/", failing_async),
    path("unmended/", unmended),
    path("unmended-thread/", unmended_in_thread),
    path("missing/", missing),
    path("forbidden/", forbidden),
    path("stream/", stream),
    path("async-stream/", async_stream),
    path("uses-a-thread/", uses_a_thread),
    path("nested/", nested),
    path("meeting/", meeting),
    path("blocking/", blocking_view),
    path("blocking-async/", blocking_async_view),
]


@contextmanager
def site(*middleware: str, **settings: Any) -> Iterator[None]:
    places.clear()
    django = {"BACKEND": "django.template.backends.django.DjangoTemplates"}
    with override_settings(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["testserver"],
        MIDDLEWARE=[f"{__name__}.{name}" for name in middleware],
        TEMPLATES=[django],
        **settings,
    ):
        yield


def client(handler: Any = None) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(handler or BridgedASGIHandler())
    return httpx.AsyncClient(transport=transport, base_url="http://testserver")


async def get(url: str, *middleware: str, **settings: Any) -> httpx.Response:
    with site(*middleware, **settings):
        async with client() as http:
            return await http.get(url)


@contextmanager
def atomic_requests() -> Iterator[None]:
    settings = connections.settings["default"]
    settings["ATOMIC_REQUESTS"] = True
    try:
        yield
    finally:
        settings["ATOMIC_REQUESTS"] = False


class TestWhereCodeRuns:
    async def test_a_sync_view_is_in_the_bridge(
        self, started_threads: list[str]
    ) -> None:
        await run(names)
        started_threads.clear()
        assert (await get("/sync/", "Hooks")).text == "bridge request view"
        assert places == [(name, "bridge") for name in ("request", "view", "response")]
        assert not started_threads

    async def test_an_async_view_is_on_the_loop(self) -> None:
        assert (await get("/async/", "async_only", "Hooks")).text == "loop"
        assert dict(places)["async"] == "loop"
        assert dict(places)["request"] == "bridge"

    @pytest.mark.parametrize("url", ["/sync/", "/async/"])
    async def test_sync_middleware_around(self, url: str) -> None:
        response = await get(url, "sync_only", "async_only", "Hooks")
        assert response.status_code == 200
        assert places[0] == ("before", "bridge")
        assert places[1] == ("async", "loop")
        assert places[-1] == ("after", "bridge")
        assert {place for name, place in places if name != "async"} == {"bridge"}

    async def test_requests_wait_side_by_side_in_one_thread(self) -> None:
        global barrier
        barrier = asyncio.Barrier(3)
        with site("Hooks"):
            async with client() as http, asyncio.timeout(30):
                pages = await asyncio.gather(*(http.get("/meeting/") for _ in "123"))
        assert {page.text.split()[0] for page in pages} == {"bridge"}

    async def test_templates_are_rendered_in_the_bridge(self) -> None:
        response = await get("/template/", "Hooks")
        assert response.text == "bridge request"
        assert ("template response", "bridge") in places

    async def test_django_s_own_handler_keeps_its_threads(self) -> None:
        with site("Hooks"):
            async with client(ASGIHandler()) as http:
                assert (await http.get("/sync/")).text == "thread request view"
        assert {place for _, place in places} == {"thread"}


class TestInThread:
    @pytest.mark.parametrize("url", ["/thread/", "/class-thread/"])
    async def test_a_view(self, url: str) -> None:
        assert (await get(url, "Hooks")).text.split()[0] == "thread"
        assert {place for _, place in places} == {"bridge"}

    async def test_a_middleware_class(self) -> None:
        response = await get("/failing/", "HooksInThread")
        assert response.text == "mended"
        assert {place for _, place in places} == {"thread"}
        response = await get("/class/", "HooksInThread")
        assert response.text.split()[0] == "bridge"

    async def test_a_middleware_function(self) -> None:
        response = await get("/class/", "sync_only_in_thread")
        assert response.text == "bridge"
        assert places == [("before", "thread"), ("after", "thread")]

    @pytest.mark.parametrize("inner", [(), ("sync_only",)])
    async def test_a_middleware_class_inside_of_other_sync_middleware(
        self, inner: tuple[str, ...]
    ) -> None:
        """Django runs sync middleware that is next to each other as one."""
        response = await get("/class/", "Hooks", "sync_only", "PlainInThread", *inner)
        assert response.text == "bridge request"
        assert ("thread before", "thread") in places
        assert ("thread after", "thread") in places
        assert places[0] == ("request", "bridge")
        assert [place for name, place in places if name == "before"] == [
            "bridge",
            # Called by code in the thread.
            *("thread" for _ in inner),
        ]


class TestErrors:
    @pytest.mark.parametrize("url", ["/failing/", "/failing-async/"])
    async def test_process_exception(self, url: str) -> None:
        assert (await get(url, "Hooks")).text == "mended"
        assert ("exception", "bridge") in places

    async def test_an_unhandled_error(self) -> None:
        assert (await get("/unmended/", "Hooks")).status_code == 500
        assert await run(names) == ["request", "unmended"]

    @pytest.mark.parametrize("url", ["/missing/", "/nowhere/"])
    async def test_the_project_s_page_uses_the_database(self, url: str) -> None:
        response = await get(url, "Hooks")
        assert response.status_code == 404
        assert response.text == "404 bridge ['request']"

    async def test_permission_denied(self) -> None:
        assert (await get("/forbidden/")).status_code == 403


class TestTransactions:
    @pytest.mark.parametrize("url", ["/unmended/", "/unmended-thread/"])
    async def test_atomic_requests_roll_back(self, url: str) -> None:
        with atomic_requests():
            assert (await get(url, "Hooks")).status_code == 500
        assert await run(names) == ["request"]

    @pytest.mark.parametrize("url", ["/sync/", "/thread/"])
    async def test_atomic_requests_commit(self, url: str) -> None:
        with atomic_requests():
            assert (await get(url)).text.split()[1:] == ["view"]
        assert await run(names) == ["view"]

    async def test_atomic_requests_refuse_async_views_as_in_django(self) -> None:
        with atomic_requests():
            assert (await get("/async/")).status_code == 500

    async def test_nested_calls_take_part(self) -> None:
        with atomic_requests():
            assert (await get("/nested/")).text == "bridge loop thread nested"


class TestResponses:
    async def test_streams(self) -> None:
        await run(add, "a", "b")
        # Django's warning.
        with pytest.warns(Warning, match="must consume synchronous iterators"):
            assert (await get("/stream/", "Hooks")).text == "thread abrequest"
        assert (await get("/async-stream/")).text == "loop abrequest"

    async def test_are_closed_in_the_bridge(self) -> None:
        def receiver(**kwargs: Any) -> None:
            note("finished")

        request_finished.connect(receiver)
        try:
            await get("/sync/")
        finally:
            request_finished.disconnect(receiver)
        assert places[-1] == ("finished", "bridge")

    @only_postgresql
    async def test_connections_of_threads_are_closed(self) -> None:
        of_threads.clear()
        assert (await get("/uses-a-thread/")).text == "thread"
        assert [wrapper.connection for wrapper in of_threads] == [None]


@pytest.mark.usefixtures("thread")
class TestTheSetting:
    @pytest.mark.parametrize(
        ("where", "place"), [("bridge", "bridge"), ("threads", "thread")]
    )
    async def test_holds_for_django_s_handler_and_test_client(
        self, where: str, place: str
    ) -> None:
        with site("Hooks", VINYL={"DJANGO_HANDLER": where}):
            response = await AsyncClient().get("/class/")
            assert response.content.decode().split()[0] == place
            async with client(ASGIHandler()) as http:
                assert (await http.get("/class/")).text.split()[0] == place
