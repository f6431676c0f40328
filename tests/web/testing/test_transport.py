"""Responses arrive while the application sends them, and leaving one ends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from vinyl.web.testing import Client, client

pytestmark = pytest.mark.anyio


class TestStreams:
    async def test_pieces_arrive_as_they_are_sent(self) -> None:
        asked = asyncio.Event()

        async def pieces() -> AsyncIterator[str]:
            yield "one"
            await asked.wait()
            yield "two"

        async def view(request: Request) -> Response:
            return StreamingResponse(pieces())

        async with client(Starlette(routes=[Route("/", view)])) as http:
            async with http.stream("GET", "/") as response:
                arriving = response.aiter_text()
                assert await anext(arriving) == "one"
                asked.set()
                assert await anext(arriving) == "two"
                with pytest.raises(StopAsyncIteration):
                    await anext(arriving)

    @pytest.mark.parametrize("waiting", [True, False])
    async def test_leaving_an_endless_stream_ends_it(self, waiting: bool) -> None:
        ended = False

        async def pieces() -> AsyncIterator[str]:
            nonlocal ended
            try:
                while True:
                    yield "more"
                    if waiting:
                        await asyncio.Event().wait()
            finally:
                ended = True

        async def view(request: Request) -> Response:
            return StreamingResponse(pieces())

        async with client(Starlette(routes=[Route("/", view)])) as http:
            async with http.stream("GET", "/") as response:
                assert await anext(response.aiter_text()) == "more"
        # Where Starlette is cancelled while it sends, the generator is closed later.
        assert ended or not waiting

    async def test_an_app_that_goes_on_without_its_client_is_an_error(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("vinyl.web.testing.transport.LEAVE_TIMEOUT", 0.05)
        cancelled = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200})
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(scope["path"])
                raise

        with pytest.raises(TimeoutError, match=r"still served '/endless/' 0\.05 s"):
            async with Client(app).stream("GET", "/endless/"):
                pass
        assert cancelled == ["/endless/"]

    async def test_a_cancelled_request_cancels_the_application(self) -> None:
        begun, cancelled = asyncio.Event(), []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(scope["path"])
                raise

        request = asyncio.create_task(Client(app).get("/slow/"))
        await begun.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert cancelled == ["/slow/"]

    async def test_what_runs_after_the_response_has_run_when_it_is_there(self) -> None:
        done = []

        async def later() -> None:
            await asyncio.sleep(0.01)
            done.append("later")

        async def view(request: Request) -> Response:
            return PlainTextResponse("", background=BackgroundTask(later))

        async with client(Starlette(routes=[Route("/", view)])) as http:
            await http.get("/")
            assert done == ["later"]
