"""Server-sent events: a response that tells a page what happens, as it happens."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.background import BackgroundTask
from starlette.types import Receive, Scope, Send

from vinyl.bridge.greenlets import run
from vinyl.web.http.streaming import Pumped, StreamingResponse, cancelled, closing
from vinyl.web.http.strict_json import dump_json

__all__ = ["Event", "EventSourceResponse"]

# Proxies and browsers close what says nothing for long.
PING = b": ping\n\n"
LINE_END = re.compile(r"\r\n|\r|\n")
NAMES = frozenset({"data", "event", "id", "retry"})


@dataclass(frozen=True, slots=True)
class Event:
    """
    One event.

    Args:
        data: Text is sent as it is, anything else as JSON, as `JSONResponse` writes it.
        event: Its name, for `addEventListener()`; "message" if None.
        id: What the browser says in `Last-Event-ID` when it connects again.
        retry: How long the browser waits before that, in milliseconds.

    Raises:
        ValueError: A name or id has a line break in it, and would become other fields.
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
                    f"The {name} of a server-sent event is {value!r}. It has to be one "
                    f"line, without NUL, or it would be read as other fields."
                )
        if self.retry is not None and not (
            isinstance(self.retry, int) and self.retry >= 0
        ):
            raise ValueError(
                f"The retry of a server-sent event is {self.retry!r}. It is a number "
                f"of milliseconds, a whole one."
            )

    def encode(self) -> bytes:
        """
        What is sent for it.

        Raises:
            NotFetchedError, NotAwaitedError, TypeError: As for `JSONResponse`.
        """
        lines = []
        if self.event is not None:
            lines.append(f"event: {self.event}")
        if self.id is not None:
            lines.append(f"id: {self.id}")
        if self.retry is not None:
            lines.append(f"retry: {self.retry}")
        text = self.data if isinstance(self.data, str) else dump_json(self.data)
        lines += [f"data: {line}" for line in LINE_END.split(text)]
        return "\n".join([*lines, "", ""]).encode()


def event_of(item: Any) -> Event:
    """
    *item* as an event: text is its data, a dict has its fields.

    Raises:
        TypeError: It is something else, or has other keys.
    """
    if isinstance(item, Event):
        return item
    if isinstance(item, str):
        return Event(item)
    if isinstance(item, Mapping) and item.keys() <= NAMES:
        return Event(**item)
    raise TypeError(
        f"A stream of events gave {item!r}. Give an Event, text, or a dict with no "
        f"keys but {sorted(NAMES)}; other data goes into Event(data=...)."
    )


class EventSourceResponse(StreamingResponse):
    """
    A stream of server-sent events, for a page's `EventSource`:

        async def news(request):
            async def events():
                async for headline in watch():
                    yield {"event": "headline", "data": {"text": headline}}

            return EventSourceResponse(events())

    It ends as any `StreamingResponse` does. A comment is sent while nothing happens, so
    that nobody takes the connection for a dead one.

    Args:
        content: Gives `Event`s, text, or dicts with the fields of an event. An async
            iterable; or a plain one, which runs inside the bridge and holds one
            connection until its end, so it is for streams that do end.
        ping: Seconds without an event after which the comment is sent; None for never.
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
        # nginx would keep the events until it has a buffer full of them.
        self.headers.setdefault("x-accel-buffering", "no")
        self.ping = ping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") == "HEAD":
            # Nothing of it may be sent, and nobody would wait for the end.
            self.body_iterator = Pumped(())
        await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        # At once: the first event may be a long time coming.
        await send(self._head())
        sender = Sender(send, self.ping)
        pinging = asyncio.ensure_future(sender.ping_for_ever())
        content = self.body_iterator
        try:
            if isinstance(content, Pumped):
                await run(self._pump, encoded(content.content), sender.forward)
            else:
                async with closing(aiter(content)) as events:
                    async for item in events:
                        await sender.send(event_of(item).encode())
        finally:
            await cancelled(pinging)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def encoded(content: Iterable[Any]) -> Iterator[bytes]:
    """What is sent for each item of a plain iterable; closes it in the end."""
    events = iter(content)
    try:
        for item in events:
            yield event_of(item).encode()
    finally:
        if (close := getattr(events, "close", None)) is not None:
            close()


class Sender:
    """Sends events and, where none have come for *ping* seconds, comments."""

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

    async def ping_for_ever(self) -> None:
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
