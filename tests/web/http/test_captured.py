"""What an ASGI app sends, as a response."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import starlette.responses
from django.http import HttpResponse
from starlette.requests import ClientDisconnect

from vinyl.web.http.background import BackgroundTask
from vinyl.web.http.captured import Capture, as_response
from vinyl.web.http.responses import PlainTextResponse
from vinyl.web.http.streaming import StreamingResponse

pytestmark = pytest.mark.anyio


async def receive() -> Any:
    await asyncio.Event().wait()


def capture(app: Any, receive: Any = receive) -> Capture:
    scope: Any = {"type": "http", "method": "GET", "path": "/", "headers": []}
    scope["extensions"] = {"http.response.pathsend": {}, "http.response.debug": {}}
    return Capture(app, scope, receive)


async def test_a_response_with_what_happens_after_it() -> None:
    done: list[str] = []
    task = BackgroundTask(done.append, "done")
    captured = capture(PlainTextResponse("x", 201, {"X-A": "b"}, background=task))
    response = await captured.response()
    assert (response.status_code, response.content) == (201, b"x")
    assert (response["X-A"], response["Content-Length"]) == ("b", "1")
    await captured.end()
    assert done == ["done"]


async def test_a_stream_waits_for_its_reader() -> None:
    made: list[int] = []

    async def pieces() -> Any:
        for number in range(5):
            made.append(number)
            yield str(number)

    captured = capture(StreamingResponse(pieces()))
    response: Any = await captured.response()
    assert response.streaming
    assert len(made) < 5
    assert b"".join([piece async for piece in response.streaming_content]) == b"01234"
    await captured.end()


async def test_a_stream_that_nobody_reads_is_cancelled() -> None:
    closed: list[bool] = []

    async def pieces() -> Any:
        try:
            while True:
                yield b"x"
        finally:
            closed.append(True)

    captured = capture(StreamingResponse(pieces()))
    await captured.response()
    await captured.end()
    assert closed == [True]
    assert captured._task.cancelled()


async def test_an_error_is_raised() -> None:
    async def fails(*args: Any) -> None:
        raise ZeroDivisionError

    async def silent(*args: Any) -> None:
        pass

    for app, error in ((fails, ZeroDivisionError), (silent, RuntimeError)):
        captured = capture(app)
        with pytest.raises(error):
            await captured.response()
        await captured.end()


async def test_more_than_a_response_is_refused() -> None:
    """The app does not wait for a reader that does not come."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(3):
            await PlainTextResponse("x")(scope, receive, send)

    captured = capture(app)
    assert (await captured.response()).content == b"x"
    with pytest.raises(RuntimeError, match="after the end of its response"):
        await asyncio.wait_for(captured.end(), 10)


async def test_the_client_leaves_and_only_the_app_is_told() -> None:
    """Some servers have a queue, which gives each message to one reader."""
    closed: list[bool] = []

    async def pieces() -> Any:
        try:
            yield b"x"
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    messages: asyncio.Queue[Any] = asyncio.Queue()
    captured = capture(StreamingResponse(pieces()), messages.get)
    response: Any = await captured.response()
    content = aiter(response.streaming_content)
    assert await anext(content) == b"x"
    messages.put_nowait({"type": "http.disconnect"})
    with pytest.raises(ClientDisconnect):
        await anext(content)
    assert closed == [True]
    await captured.end()
    assert captured._task.done()


async def test_files_are_sent_by_content() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["extensions"] == {"http.response.debug": {}}
        await PlainTextResponse("")(scope, receive, send)

    captured = capture(app)
    await captured.response()
    await captured.end()


def test_responses_need_no_capture() -> None:
    for own in (PlainTextResponse("x"), HttpResponse("x")):
        assert as_response(own) is own
    other = starlette.responses.PlainTextResponse("x", 201, {"X-A": "b"})
    copied: Any = as_response(other)
    assert (copied.content, copied.status_code, copied["X-A"]) == (b"x", 201, "b")
    assert as_response(starlette.responses.StreamingResponse(iter(()))) is None
