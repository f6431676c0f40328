"""Responses that are sent piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NoReturn, cast

import anyio
import starlette.responses
from starlette.background import BackgroundTask
from starlette.types import Receive, Scope, Send

from vinyl.bridge.greenlets import await_, run
from vinyl.web.http.responses import Response

__all__ = ["Pumped", "StreamingResponse", "cancelled", "closing"]


class StreamingResponse(Response, starlette.responses.StreamingResponse):
    """
    A response whose *content*, text or bytes, is sent piece by piece.

    When the client leaves, or the server has to stop, the content is cancelled where
    it waits; its `finally` runs, and may wait for the database.

    Args:
        content: An async iterable, or a plain one. The plain one runs inside the
            bridge: it may use the ORM, and holds one connection until its end.
    """

    streaming = True

    def __init__(
        self,
        content: AsyncIterable[Any] | Iterable[Any],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        background: BackgroundTask | None = None,
    ) -> None:
        if not isinstance(content, AsyncIterable):
            content = Pumped(content)
        super().__init__(content, status_code, headers, media_type, background)

    @property
    def is_async(self) -> bool:
        return not isinstance(self.body_iterator, Pumped)

    @property
    def streaming_content(self) -> Any:
        """The pieces in bytes, under Django's name; asynchronous if `is_async`."""
        if isinstance(self.body_iterator, Pumped):
            return map(self._encoded, self.body_iterator.content)
        return (self._encoded(chunk) async for chunk in self.body_iterator)

    @streaming_content.setter
    def streaming_content(self, content: Any) -> None:
        is_async = isinstance(content, AsyncIterable)
        self.body_iterator = cast(Any, content if is_async else Pumped(content))

    def _encoded(self, chunk: Any) -> bytes:
        return chunk.encode(self.charset) if isinstance(chunk, str) else bytes(chunk)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # A refusal, after which there is nobody to listen to.
            await super().__call__(scope, receive, send)
            return
        # Not in a task group: it would cancel each wait of a `finally` as well.
        streaming = asyncio.ensure_future(self.stream_response(send))
        leaving = asyncio.ensure_future(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait(
                {streaming, leaving}, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            await cancelled(leaving)
            await cancelled(streaming)
        for task in (streaming, leaving):
            if not task.cancelled():
                task.result()
        if self.background is not None:
            await self.background()

    async def stream_response(self, send: Send) -> None:
        """Send all of it, head and end included. Switches to the event loop."""
        content = self.body_iterator
        if isinstance(content, Pumped):
            await run(self._start_and_pump, content.content, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            async with closing(aiter(content)) as self.body_iterator:
                await super().stream_response(send)

    def _start_and_pump(self, content: Iterable[Any], send: Send) -> None:
        """
        Inside the bridge: send the head with the first piece. Until then an error gets
        its page, and what happens to the session and the messages is kept.
        """

        def begun() -> Iterator[Any]:
            pieces = iter(content)
            try:
                first = next(pieces, b"")
                await_(send(self._head()))
                yield first
                # Not `yield from`, which would close them a second time.
                for piece in pieces:  # noqa: UP028
                    yield piece
            finally:
                _close(pieces)

        self._pump(begun(), send)

    def _head(self) -> dict[str, Any]:
        return {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }

    def _pump(self, content: Iterable[Any], send: Send) -> None:
        """Inside the bridge: send each piece of *content*."""
        iterator = iter(content)
        try:
            for chunk in iterator:
                body = self._encoded(chunk)
                await_(
                    send(
                        {"type": "http.response.body", "body": body, "more_body": True}
                    )
                )
        finally:
            # A generator's own clean-up runs here, where it may use the database.
            _close(iterator)


def _close(iterator: Any) -> None:
    if (close := getattr(iterator, "close", None)) is not None:
        close()


@asynccontextmanager
async def closing(iterator: AsyncIterator[Any]) -> AsyncIterator[AsyncIterator[Any]]:
    """Close *iterator*, if it can be, at the end of the block, not some time later."""
    try:
        yield iterator
    finally:
        if (close := getattr(iterator, "aclose", None)) is not None:
            await close()


async def cancelled(task: asyncio.Future[Any]) -> None:
    """Cancel *task*, and wait until it has ended. Switches to the event loop."""
    task.cancel()
    with anyio.CancelScope(shield=True):
        await asyncio.wait({task})


class Pumped:
    """A plain iterable, which the bridge iterates over."""

    def __init__(self, content: Iterable[Any]) -> None:
        self.content = content

    def __aiter__(self) -> NoReturn:
        raise TypeError(
            f"{self.content!r} is iterated over while it is sent, inside the bridge."
        )
