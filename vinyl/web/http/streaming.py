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

__all__ = ["PlainContent", "StreamingResponse", "cancel_and_wait", "aclose_iterator"]


class StreamingResponse(Response, starlette.responses.StreamingResponse):
    """
    A response whose content is sent piece by piece.

    If the client disconnects or the server shuts down, the content is cancelled where
    it waits. Its `finally` blocks run, and may use the database.

    Args:
        content: An async iterable of text or bytes; or a plain one, which runs in the
            bridge: it may use the ORM, and holds one connection until its end.
        status_code, headers, media_type, background: As for `Response`.
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
            content = PlainContent(content)
        starlette.responses.StreamingResponse.__init__(
            self, content, status_code, headers, media_type, background
        )

    @property
    def is_async(self) -> bool:
        """Whether the content is an async iterable, as in Django."""
        return not isinstance(self.body_iterator, PlainContent)

    @property
    def streaming_content(self) -> Any:
        """The pieces in bytes, as in Django; an async iterator if `is_async`."""
        if isinstance(self.body_iterator, PlainContent):
            return map(self._encoded, self.body_iterator.content)
        return (self._encoded(chunk) async for chunk in self.body_iterator)

    @streaming_content.setter
    def streaming_content(self, content: Any) -> None:
        is_async = isinstance(content, AsyncIterable)
        self.body_iterator = cast(Any, content if is_async else PlainContent(content))

    def _encoded(self, chunk: Any) -> bytes:
        return chunk.encode(self.charset) if isinstance(chunk, str) else bytes(chunk)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # It refuses the WebSocket, after which no message comes.
            await super().__call__(scope, receive, send)
            return
        # Not in a task group: that would cancel each `await` of a `finally` block, too.
        streaming = asyncio.ensure_future(self.stream_response(send))
        leaving = asyncio.ensure_future(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait(
                {streaming, leaving}, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            await cancel_and_wait(leaving)
            await cancel_and_wait(streaming)
        for task in (streaming, leaving):
            if not task.cancelled():
                task.result()
        if self.background is not None:
            await self.background()

    async def stream_response(self, send: Send) -> None:
        """Send the head, the pieces and the end. Switches to the event loop."""
        content = self.body_iterator
        if isinstance(content, PlainContent):
            await run(self._send_with_head, content.content, send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            async with aclose_iterator(aiter(content)) as self.body_iterator:
                await super().stream_response(send)

    def _send_with_head(self, content: Iterable[Any], send: Send) -> None:
        """
        In the bridge: send the head together with the first piece. Before that, an
        error gets its page, and changes of session and messages are stored.
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

        self._send_pieces(begun(), send)

    def _head(self) -> dict[str, Any]:
        return {
            "type": "http.response.start",
            "status": self.status_code,
            "headers": self.raw_headers,
        }

    def _send_pieces(self, content: Iterable[Any], send: Send) -> None:
        """In the bridge: send each piece of *content*."""
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
            # The `finally` blocks of a generator run here, and may use the database.
            _close(iterator)


def _close(iterator: Any) -> None:
    if (close := getattr(iterator, "close", None)) is not None:
        close()


@asynccontextmanager
async def aclose_iterator(
    iterator: AsyncIterator[Any],
) -> AsyncIterator[AsyncIterator[Any]]:
    """
    Close *iterator* at the end of the block, if it has an `aclose()`, not when it is
    garbage-collected. Switches to the event loop.
    """
    try:
        yield iterator
    finally:
        if (close := getattr(iterator, "aclose", None)) is not None:
            await close()


async def cancel_and_wait(task: asyncio.Future[Any]) -> None:
    """
    Cancel *task* and wait until it has ended, even if the caller is cancelled. Switches
    to the event loop.
    """
    task.cancel()
    with anyio.CancelScope(shield=True):
        await asyncio.wait({task})


class PlainContent:
    """A plain iterable, over which the bridge iterates."""

    def __init__(self, content: Iterable[Any]) -> None:
        self.content = content

    def __aiter__(self) -> NoReturn:
        raise TypeError(
            f"The content {self.content!r} cannot be iterated over with `async for`: "
            f"it is a plain iterable, which runs in the bridge while it is sent. Use "
            f"`streaming_content`."
        )
