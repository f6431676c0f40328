"""Server-sent events: what is written, when, and how a stream ends."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, misc"

from __future__ import annotations

import asyncio
import datetime
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.records.models import Artist
from tests.web.serving import serving, serving_on_a_socket
from vinyl.exceptions import NotAwaitedError
from vinyl.orm.pools.registry import pool_for
from vinyl.web import BackgroundTask, Event, EventSourceResponse, path

pytestmark = pytest.mark.anyio


class TestEvent:
    @pytest.mark.parametrize(
        ("event", "text"),
        [
            (Event("Hello"), "data: Hello\n\n"),
            (Event(), "data: \n\n"),
            (Event("a\nb\r\nc\rd\n"), "data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n"),
            (Event("a\u2028b"), "data: a\u2028b\n\n"),
            (
                Event({"day": datetime.date(1965, 10, 1)}),
                'data: {"day":"1965-10-01"}\n\n',
            ),
            (Event([1, None]), "data: [1,null]\n\n"),
            (
                Event("x", event="sale", id=7, retry=5000),
                "event: sale\nid: 7\nretry: 5000\ndata: x\n\n",
            ),
        ],
        ids=["text", "empty", "lines", "no line", "model values", "list", "fields"],
    )
    def test_is_written(self, event: Event, text: str) -> None:
        assert event.encode().decode() == text

    @pytest.mark.parametrize("name", ["event", "id"])
    @pytest.mark.parametrize("value", ["a\ndata: evil", "a\rb", "a\0b"])
    def test_no_field_can_be_smuggled_in(self, name: str, value: str) -> None:
        with pytest.raises(ValueError, match=f"The {name} .* Use text of one line"):
            Event("x", **{name: value})

    @pytest.mark.parametrize("retry", [-1, 1.5, "5\ndata: evil"])
    def test_retry_is_a_number(self, retry: Any) -> None:
        with pytest.raises(ValueError, match="non-negative integer"):
            Event("x", retry=retry)

    def test_a_call_in_it_has_to_be_awaited(self) -> None:
        async def encode() -> None:
            Event({"count": Artist.objects.count()}).encode()

        with pytest.raises(NotAwaitedError):
            asyncio.run(encode())


async def test_what_a_generator_may_give() -> None:
    async def events() -> AsyncIterator[Any]:
        yield "text"
        yield {"data": {"a": 1}, "event": "named"}
        yield Event("last", id=3)

    async def view(request: Any) -> Any:
        return EventSourceResponse(events(), headers={"x-a": "1"})

    async with serving(path("", view)) as http:
        response = await http.get("/")
        assert (await http.head("/")).text == ""
    assert response.text == (
        'data: text\n\nevent: named\ndata: {"a":1}\n\nid: 3\ndata: last\n\n'
    )
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["x-a"] == "1"


async def test_something_else_is_an_error() -> None:
    async def events() -> AsyncIterator[Any]:
        yield {"price": 3}

    async def view(request: Any) -> Any:
        return EventSourceResponse(events())

    async with serving(path("", view), raising=True) as http:
        with pytest.raises(TypeError, match=r"yielded \{'price': 3\}.*Event\(data="):
            await http.get("/")


async def test_a_plain_generator_runs_in_the_bridge(db: str) -> None:
    await Artist.objects.create(name="Nina Simone")
    closed = []

    def events(times: int | None) -> Iterator[Any]:
        try:
            for artist in Artist.objects.all():
                yield {"data": artist.name}
            yield from itertools.islice(itertools.repeat("again"), times)
        finally:
            closed.append(Artist.objects.count())

    def ends(request: Any) -> Any:
        return EventSourceResponse(events(1))

    def goes_on(request: Any) -> Any:
        return EventSourceResponse(events(None))

    async with serving(path("ends/", ends), path("goes-on/", goes_on)) as http:
        response = await http.get("/ends/")
        assert response.text == "data: Nina Simone\n\ndata: again\n\n"
        assert closed == [1]
        async with http.stream("GET", "/goes-on/") as response:
            await anext(response.aiter_lines())
    assert closed == [1, 1]


async def test_pings_while_nothing_happens() -> None:
    go_on = asyncio.Event()

    async def events() -> AsyncIterator[str]:
        yield "one"
        await go_on.wait()
        yield "two"

    async def view(request: Any) -> Any:
        return EventSourceResponse(events(), ping=0.01)

    async with serving(path("", view)) as http:
        async with http.stream("GET", "/") as response:
            pieces = response.aiter_text()
            assert await anext(pieces) == "data: one\n\n"
            for _ in range(3):
                assert await anext(pieces) == ": ping\n\n"
            go_on.set()
            rest = [piece async for piece in pieces if piece != ": ping\n\n"]
            assert rest == ["data: two\n\n"]


def endless(ended: asyncio.Event) -> Any:
    """A view whose stream cleans up in the database."""

    async def events() -> AsyncIterator[str]:
        try:
            yield "here"
            await asyncio.Event().wait()
        finally:
            await Artist.objects.create(name="gone")
            await asyncio.sleep(0)
            ended.set()

    async def view(request: Any) -> Any:
        return EventSourceResponse(events())

    return view


async def test_a_client_that_leaves_runs_the_finally(db: str) -> None:
    ended = asyncio.Event()
    async with serving(path("", endless(ended))) as http:
        async with http.stream("GET", "/") as response:
            assert await anext(response.aiter_lines()) == "data: here"
            assert pool_for("default").in_use == {}
        assert ended.is_set()
        assert await Artist.objects.filter(name="gone").exists()


async def test_a_client_that_does_not_read_runs_the_finally() -> None:
    ended = []

    async def events() -> AsyncIterator[str]:
        try:
            while True:
                yield "more"
        finally:
            await asyncio.sleep(0)
            ended.append("finally")

    async def view(request: Any) -> Any:
        return EventSourceResponse(events())

    async with serving(path("", view)) as http:
        async with http.stream("GET", "/"):
            pass
    assert ended == ["finally"]


async def test_through_a_server(db: str) -> None:
    ended = asyncio.Event()
    async with serving_on_a_socket(path("", endless(ended))) as http:
        async with http.stream("GET", "/") as response:
            assert await anext(response.aiter_lines()) == "data: here"
        async with asyncio.timeout(10):
            await ended.wait()


async def test_where_a_browser_left_off() -> None:
    async def view(request: Any) -> Any:
        last = int(request.headers.get("last-event-id", 0))

        async def events() -> AsyncIterator[Event]:
            yield Event("next", id=last + 1)

        return EventSourceResponse(events())

    async with serving(path("", view)) as http:
        response = await http.get("/", headers={"Last-Event-ID": "41"})
    assert response.text == "id: 42\ndata: next\n\n"


async def test_head_runs_nothing_of_the_stream() -> None:
    started = []

    async def events() -> AsyncIterator[str]:
        started.append("events")
        await asyncio.Event().wait()
        yield ""

    async def view(request: Any) -> Any:
        return EventSourceResponse(events())

    async with serving(path("", view)) as http, asyncio.timeout(10):
        response = await http.head("/")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert started == []


async def test_a_stream_that_ends_leaves_nothing_behind() -> None:
    order = []

    async def events() -> AsyncIterator[str]:
        yield "one"
        order.append("stream")

    async def view(request: Any) -> Any:
        task = BackgroundTask(order.append, "task")
        return EventSourceResponse(events(), background=task)

    async with serving(path("", view)) as http:
        before = asyncio.all_tasks()
        assert (await http.get("/")).text == "data: one\n\n"
        # No task that pings for ever.
        assert asyncio.all_tasks() == before
    assert order == ["stream", "task"]
