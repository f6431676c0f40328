"""Server-sent events: a response that sends events to a page as they happen."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.background import BackgroundTask
from starlette.types import Receive, Scope, Send

from vinyl.bridge.greenlets import run
from vinyl.web.http.streaming import (
    PlainContent,
    StreamingResponse,
    aclose_iterator,
    cancel_and_wait,
)
from vinyl.web.http.strict_json import dump_json

__all__ = ["Event", "EventSourceResponse"]

# A comment, for proxies and browsers that close an idle connection.
PING = b": ping\n\n"
LINE_END = re.compile(r"\r\n|\r|\n")
NAMES = frozenset({"data", "event", "id", "retry"})


@dataclass(frozen=True, slots=True)
class Event:
    """
    One event.

    Args:
        data: Text is sent as it is, other values as JSON, as by `JSONResponse`.
        event: Its name, for `addEventListener()`; "message" if None.
        id: The value that the browser sends as `Last-Event-ID` when it reconnects.
        retry: How long the browser waits before it reconnects, in milliseconds.

    Raises:
        ValueError: *event* or *id* contains a line break or a NUL; or *retry* is not a
            non-negative integer.
    """

    data: Any = ""
    event: str | None = None
    id: str | int | None = None
    retry: int | None = None

    def __post_init__(self) -> None:
        for name in ("event", "id"):
            value = str(getattr(self, name))
            if "\n" in value or "\r" in value or "\0" in value:
                raise ValueError(
                    f"The {name} of a server-sent event is {value!r}, which contains a "
                    f"line break or a NUL, so the browser would read it as several "
                    f"fields. Use text of one line."
                )
        if self.retry is not None and not (
            isinstance(self.retry, int) and self.retry >= 0
        ):
            raise ValueError(
                f"The retry of a server-sent event is {self.retry!r}, but it must be a "
                f"non-negative integer, in milliseconds."
            )

    def encode(self) -> bytes:
        """
        Return the bytes that are sent for the event.

        Raises:
            NotFetchedError, NotAwaitedError, TypeError, ValueError: As for
                `JSONResponse`.

        Switches to the event loop in the bridge, to fetch a queryset.
        """
        lines = []
        if self.event is not None:
            lines.append(f"event: {self.event}")
        if self.id is not None:
            lines.append(f"id: {self.id}")
        if self.retry is not None:
            lines.append(f"retry: {self.retry}")
        data = self.data
        text = data if isinstance(data, str) else dump_json(data).decode()
        lines += [f"data: {line}" for line in LINE_END.split(text)]
        return "\n".join([*lines, "", ""]).encode()


def event_of(item: Any) -> Event:
    """
    Return *item* as an event: text is its data, a dict contains its fields.

    Raises:
        TypeError: It is something else, or the dict has other keys.
    """
    if isinstance(item, Event):
        return item
    if isinstance(item, str):
        return Event(item)
    if isinstance(item, Mapping) and item.keys() <= NAMES:
        return Event(**item)
    raise TypeError(
        f"A stream of events yielded {item!r}, which is not an event. Yield an Event, "
        f"text, or a dict whose keys are among {sorted(NAMES)}; wrap other data in "
        f"Event(data=...)."
    )


class EventSourceResponse(StreamingResponse):
    """
    A stream of server-sent events, for a page's `EventSource`:

        async def news(request):
            async def events():
                async for headline in watch():
                    yield {"event": "headline", "data": {"text": headline}}

            return EventSourceResponse(events())

    It ends like any `StreamingResponse`. Comments keep the connection open while there
    are no events.

    Args:
        content: An async iterable of `Event` objects, text, or dicts with the fields of
            an event. A plain iterable runs in the bridge and holds one connection until
            it ends, so it should be short.
        status_code, headers, background: As for `Response`.
        ping: The time without an event after which a comment is sent, in seconds; None
            to send no comments.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        content: AsyncIterable[Any] | Iterable[Any],
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        background: BackgroundTask | None = None,
        *,
        ping: float | None = 15.0,
    ) -> None:
        super().__init__(content, status_code, headers, background=background)
        self.headers.setdefault("cache-control", "no-cache")
        # nginx would hold events back until its buffer is full.
        self.headers.setdefault("x-accel-buffering", "no")
        self.ping = ping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") == "HEAD":
            # Nothing of the body may be sent, and its end may never come.
            self.body_iterator = PlainContent(())
        await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        # At once: the first event may be late.
        await send(self._head())
        sender = Sender(send, self.ping)
        pinging = asyncio.ensure_future(sender.send_pings())
        content = self.body_iterator
        try:
            if isinstance(content, PlainContent):
                await run(
                    self._send_pieces, encode_events(content.content), sender.forward
                )
            else:
                async with aclose_iterator(aiter(content)) as events:
                    async for item in events:
                        await sender.send(event_of(item).encode())
        finally:
            await cancel_and_wait(pinging)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def encode_events(content: Iterable[Any]) -> Iterator[bytes]:
    """The bytes for each item of a plain iterable, which is closed in the end."""
    events = iter(content)
    try:
        for item in events:
            yield event_of(item).encode()
    finally:
        if (close := getattr(events, "close", None)) is not None:
            close()


class Sender:
    """Sends events, and a comment if there has been no event for *ping* seconds."""

    def __init__(self, send: Send, ping: float | None) -> None:
        self._send = send
        self._ping = ping
        self._lock = asyncio.Lock()
        self._clock = asyncio.get_running_loop().time
        self._last = self._clock()

    async def send(self, piece: bytes) -> None:
        await self.forward(
            {"type": "http.response.body", "body": piece, "more_body": True}
        )

    async def forward(self, message: Any) -> None:
        async with self._lock:
            await self._send(message)
            self._last = self._clock()

    async def send_pings(self) -> None:
        while self._ping is not None:
            rest = self._last + self._ping - self._clock()
            if rest > 0:
                await asyncio.sleep(rest)
                continue
            try:
                await self.send(PING)
            except OSError:
                # The client has left, which ends the stream by other means.
                return
