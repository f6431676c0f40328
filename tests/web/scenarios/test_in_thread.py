"""Views in worker threads: the request, the database and errors, as in other views."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import functools
import threading
from typing import Any

import pytest
from django.db import connections
from django.views.decorators.http import require_POST

from tests.records.models import Artist
from tests.web.serving import serving
from vinyl.web import PlainTextResponse, Request, Response, in_thread, path

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


@in_thread
def create(request: Request) -> Response:
    assert threading.current_thread() is not threading.main_thread()
    Artist.objects.create(name=request.POST["name"])
    if request.GET.get("fail"):
        raise LookupError
    return PlainTextResponse(str(connections["default"].in_atomic_block))


def through_async(view: Any) -> Any:
    @functools.wraps(view)
    async def wrapper(request: Request) -> Response:
        return await view(request)

    return wrapper


VIEWS = {
    "itself": create,
    "decorated": require_POST(create),
    "awaited": through_async(create),
}


@pytest.fixture(params=VIEWS, ids=str)
def view(request: pytest.FixtureRequest) -> Any:
    return VIEWS[request.param]


async def test_the_form_and_the_database(view: Any) -> None:
    async with serving(path("", view)) as http:
        response = await http.post("/", data={"name": "Nina"})
        upload = {"cover": ("cover.png", b"png")}
        with_file = await http.post("/", data={"name": "Abbey"}, files=upload)
    assert response.text == with_file.text == "False"
    names = [artist.name async for artist in Artist.objects.order_by("pk")]
    assert names == ["Nina", "Abbey"]


async def test_the_body() -> None:
    @in_thread
    def echo(request: Request) -> Response:
        return Response(request.body() + str(request.json()).encode())

    async with serving(path("", echo)) as http:
        assert (await http.post("/", content=b"[1]")).content == b"[1][1]"


async def test_atomic_requests(view: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    async with serving(path("", view)) as http:
        response = await http.post("/", data={"name": "Nina"})
        failed = await http.post("/?fail=1", data={"name": "Abbey"})
    assert (response.text, failed.status_code) == ("True", 500)
    assert [artist.name async for artist in Artist.objects.all()] == ["Nina"]


async def test_other_views_are_in_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a view calls in a thread is outside the view's transaction."""

    @in_thread
    def inside() -> bool:
        return connections["default"].in_atomic_block

    async def view(request: Request) -> Response:
        return PlainTextResponse(str(await inside()))

    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    async with serving(path("", view)) as http:
        assert (await http.get("/")).text == "False"
