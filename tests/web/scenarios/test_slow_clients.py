"""A client that is slow to send its body holds up nobody but itself."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from django import forms
from django.contrib.auth.models import User
from django.db import connections, transaction
from django.utils.decorators import method_decorator

from tests.fix_db import only_postgresql
from tests.records.models import Label
from tests.web.http.slow_clients import FORM, JSON, MULTIPART, RAW, SlowClient, Waiting
from tests.web.serving import serving_on_a_socket
from vinyl.orm import run
from vinyl.orm.pools.registry import pool_for
from vinyl.web import PlainTextResponse, Request, in_thread, path
from vinyl.web.views import FormView, View

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

MIDDLEWARE = [
    f"{Waiting.__module__}.Waiting",
    "vinyl.web.sessions.SessionMiddleware",
    "vinyl.web.auth.AuthenticationMiddleware",
]
# As many as the pool has connections.
CLIENTS = 10


def named(request: Any) -> str:
    """The name that was sent, in sync code."""
    if request.content_type == JSON:
        return request.json()["name"]
    if request.content_type == RAW:
        return request.body().decode()
    return request.POST["name"]


async def awaited_name(request: Any) -> str:
    if request.content_type == JSON:
        return (await request.json())["name"]
    if request.content_type == RAW:
        return (await request.body()).decode()
    return (await request.form())["name"]


async def asynchronous(request: Any) -> Any:
    await User.objects.count()
    await Label.objects.create(name=await awaited_name(request))
    return PlainTextResponse("created")


def plain(request: Any) -> Any:
    """Has a connection in hand before it reads the body."""
    User.objects.count()
    Label.objects.create(name=named(request))
    return PlainTextResponse("created")


class Plain(View):
    def post(self, request: Any) -> Any:
        return plain(request)


class Asynchronous(View):
    def setup(self, request: Any, *args: Any, **kwargs: Any) -> None:
        # Inside the bridge, around the handler.
        super().setup(request, *args, **kwargs)
        User.objects.count()

    async def post(self, request: Any) -> Any:
        return await asynchronous(request)


class Form(forms.Form):
    name = forms.CharField()


class Generic(FormView):
    form_class = Form

    def form_valid(self, form: Any) -> Any:
        Label.objects.create(name=form.cleaned_data["name"])
        return PlainTextResponse("created")


async def streaming(request: Any) -> Any:
    await User.objects.count()
    pieces = [piece async for piece in request.stream()]
    assert b"Nina" in b"".join(pieces)
    await Label.objects.create(name="Nina")
    return PlainTextResponse("created")


async def bridging(request: Any) -> Any:
    return await run(plain, request)


VIEWS: dict[str, Callable[..., Any]] = {
    "async": asynchronous,
    "plain": plain,
    "plain class": Plain.as_view(),
    "async class": Asynchronous.as_view(),
    "form view": Generic.as_view(),
    "stream": streaming,
    "run in an async view": bridging,
    "decorated async": transaction.atomic(asynchronous),
    "decorated plain": transaction.atomic(plain),
    "decorated class": method_decorator(transaction.atomic, "dispatch")(
        Plain
    ).as_view(),
    "thread": in_thread(plain),
}


async def read_and_write(request: Request) -> Any:
    async with transaction.atomic():
        label = await Label.objects.create(name="of another request")
        await label.delete()
    return PlainTextResponse("served")


@asynccontextmanager
async def serving(view: Callable[..., Any], **settings: Any) -> AsyncIterator[Any]:
    patterns = path("slow/", view), path("other/", read_and_write)
    settings.setdefault("MIDDLEWARE", MIDDLEWARE)
    async with serving_on_a_socket(*patterns, **settings) as http:
        Waiting.number, Waiting.changed = 0, asyncio.Condition()
        yield http


async def others_are_served(view: Callable[..., Any], kind: str) -> None:
    """While as many clients as there are connections have sent half a body."""
    async with asyncio.timeout(60), serving(view) as http, AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(SlowClient(http, "/slow/", kind))
            for _ in range(CLIENTS)
        ]
        await Waiting.until(CLIENTS)
        assert pool_for("default").stats()["in_use"] == 0
        assert (await http.get("/other/")).text == "served"
        for client in clients:
            await client.finish()
        for client in clients:
            status, _, body = await client.answer()
            assert (status, body) == (200, "created")
    assert await Label.objects.filter(name="Nina").count() == CLIENTS


@pytest.mark.parametrize("atomic", [True, False], ids=["atomic requests", ""])
@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
async def test_half_a_form_holds_no_connection(
    view: Callable[..., Any], atomic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", atomic)
    await others_are_served(view, FORM)


@pytest.mark.parametrize("kind", [MULTIPART, JSON, RAW])
@pytest.mark.parametrize("view", [asynchronous, plain])
async def test_half_a_body_of_another_kind_holds_no_connection(
    view: Callable[..., Any], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    await others_are_served(view, kind)


@only_postgresql
async def test_an_upload_is_streamed_to_a_view_outside_atomic_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first half is there before the second one is sent."""
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    pieces: asyncio.Queue[bytes] = asyncio.Queue()

    @transaction.non_atomic_requests
    async def view(request: Request) -> Any:
        async for piece in request.stream():
            pieces.put_nowait(piece)
        return PlainTextResponse("received")

    async with asyncio.timeout(60), serving(view) as http:
        async with SlowClient(http, "/slow/", RAW) as client:
            assert await pieces.get() == b"Ni"
            await client.finish()
            assert await pieces.get() == b"na"
            assert (await client.answer())[2] == "received"


@only_postgresql
async def test_a_view_that_does_not_read_need_not_wait() -> None:
    """An async one, which may refuse an upload before it comes."""

    async def view(request: Request) -> Any:
        return PlainTextResponse("no", 403)

    async with asyncio.timeout(60), serving(view) as http:
        async with SlowClient(http, "/slow/", RAW) as client:
            assert (await client.answer())[0] == 403
