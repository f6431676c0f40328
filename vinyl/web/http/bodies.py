"""
The body of a request: received once, within limits of size and time, for all readers.

    receive of the server
      Body.receive    what middleware, mounted apps and `Request` get in its place; it
                      limits how long the client may take, and counts what is handed out
      Body.load       receives the whole body, through the middleware around the reader,
                      into a file in memory or on the disk
      Body.pieces     the body as it arrives, or from that file
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from functools import cached_property
from typing import Any, NoReturn, Self

from anyio import CancelScope
from anyio.lowlevel import checkpoint
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from vinyl.conf import vinyl_settings
from vinyl.web.http.spool import Spool

__all__ = ["Body", "BodyTimeout"]

# A long body has more time: another second for each of so many bytes received.
MIN_RATE_BYTES = 1000


class BodyTimeout(HTTPException):
    """
    The client took too long to send the body: 408, and the connection is closed.

    Args:
        size: How many bytes have arrived.
        waited: How long they have been waited for, in seconds.
    """

    def __init__(self, size: int, waited: float, http_version: str) -> None:
        # HTTP/2 has other means to end a connection, and forbids the header.
        headers = {"Connection": "close"} if http_version.startswith("1") else None
        super().__init__(
            408,
            f"The body did not arrive in time: {size:,} bytes in {waited:.1f} s.",
            headers,
        )


class Body:
    """
    The body of one request.

    Args:
        receive: The server's.
    """

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._headers: list[tuple[bytes, bytes]] = scope.get("headers", [])
        self.http_version = scope.get("http_version", "1.1")
        self._of_server = receive
        # What `receive` goes on with after the body's end.
        self._afterwards = receive

        # What the server has handed out, to any reader: how many bytes, whether that
        # was all, how long it was waited for in seconds, and the pieces, up to
        # FILE_UPLOAD_MAX_MEMORY_SIZE bytes; None if there were more.
        self.received = 0
        self.complete = False
        self.disconnected = False
        self.waited = 0.0
        self._kept: list[bytes] | None = []

        # What load() has read, and how much others had taken before it began.
        self._spool: Spool | None = None
        self.loaded = False
        self._missed = 0
        self._lock = asyncio.Lock()
        # The wait of load() for the next message.
        self._waiting: CancelScope | None = None
        # Whether pieces() has begun to hand it out, and whether the view has answered.
        self._streamed = False
        self._answered = False

        # What has been made of it: content(), and forms by their encoding, which one
        # reader at a time makes.
        self.bytes: bytes | None = None
        self.parsing = asyncio.Lock()
        self.forms: dict[str | None, tuple[QueryDict, MultiValueDict[str, Any]]] = {}

    @classmethod
    def of(cls, scope: Scope, receive: Receive) -> Self:
        """The body of *scope*, which all its requests share."""
        body = scope.get("vinyl.body")
        if body is None:
            body = scope["vinyl.body"] = cls(scope, receive)
        return body

    @cached_property
    def announced(self) -> int | None:
        """How long the headers say that it is, in bytes; None if they do not."""
        length = dict(self._headers).get(b"content-length", b"")
        return int(length) if length.isdigit() else None

    @property
    def is_absent(self) -> bool:
        """Whether the headers say that there is none."""
        if self.announced is None and self.http_version.startswith("1"):
            return b"transfer-encoding" not in dict(self._headers)
        return self.announced == 0

    # ----- Handing it out

    async def receive(self) -> Message:
        """
        The next message of the server.

        Raises:
            BodyTimeout: The rest of the body takes too long.

        Switches to the event loop.
        """
        if self.disconnected:
            return {"type": "http.disconnect"}
        if self.complete:
            if self._waiting is not None:
                # load() asks for a body that others have taken, and would wait until
                # the client leaves.
                self._waiting.cancel()
                await checkpoint()
            return await self._afterwards()
        message = await self._in_time()
        if message["type"] == "http.request":
            piece = message.get("body", b"")
            self.received += len(piece)
            self.complete = not message.get("more_body", False)
            if self._kept is not None and not self.loaded:
                self._kept.append(piece)
                if self.received > settings.FILE_UPLOAD_MAX_MEMORY_SIZE:
                    self._kept = None
        else:
            self.disconnected = True
        return message

    async def _in_time(self) -> Message:
        timeout = vinyl_settings.BODY_TIMEOUT
        if timeout is None:
            return await self._of_server()
        # Only waiting counts, not what the reader does with the pieces.
        rest = timeout + self.received / MIN_RATE_BYTES - self.waited
        start = time.monotonic()
        limit = asyncio.timeout(rest)
        try:
            async with limit:
                return await self._of_server()
        except TimeoutError:
            if not limit.expired():
                raise
            waited = self.waited + time.monotonic() - start
            error = BodyTimeout(self.received, waited, self.http_version)
            raise error from None
        finally:
            self.waited += time.monotonic() - start

    def replaying(self, receive: Receive) -> Receive:
        """*receive*, from which what others have taken of the body comes once more."""
        if not self.received and not self.loaded:
            return receive
        self._afterwards = self._of_server
        return self._replayed(receive)

    def _replay_after(self, receive: Receive) -> None:
        """Replay what has been read through *receive*, to middleware further down."""
        if receive == self.receive and not self._answered:
            self._afterwards = self._replayed(self._of_server)

    def stop_replaying(self) -> None:
        """The view has answered: whoever receives now waits for the client to leave."""
        self._answered = True
        self._afterwards = self._of_server

    def _replayed(self, receive: Receive) -> Receive:
        position: int | None = 0

        async def replay() -> Message:
            nonlocal position
            if position is None:
                return await receive()
            spool = await self.load(receive)
            piece = await spool.read(position)
            position += len(piece)
            more = position < spool.size
            if not more:
                position = None
            return {"type": "http.request", "body": piece, "more_body": more}

        return replay

    # ----- Reading it

    async def load(self, receive: Receive, limit: int | None = None) -> Spool:
        """
        The file with all of it, which is received once.

        Args:
            receive: That of the reader, through the middleware around it.
            limit: Stop after so many bytes.

        Raises:
            RequestDataTooBig: It is longer than *limit*, which is said to be
                `DATA_UPLOAD_MAX_MEMORY_SIZE`, or `VINYL["MAX_BODY_SIZE"]`.
            BodyTimeout: It does not arrive in time.
            ClientDisconnect: The client has gone.
            RuntimeError: Middleware has taken it in pieces, more than are kept.

        Switches to the event loop.
        """
        async with self._lock:
            if self._spool is None:
                self._missed = self.received
                self._spool = Spool()
            if not self.loaded:
                await self._load(self._spool, self._limiting(receive), limit)
        _check_size(self._spool.size, limit)
        return self._spool

    async def _load(self, spool: Spool, receive: Receive, limit: int | None) -> None:
        _check_size(self.announced or 0, limit)
        more, doubtful = True, self.complete or self._missed > 0
        while more:
            message = await (self._watched(receive) if doubtful else receive())
            if message is None:
                # What is missing may be on its way still, in a queue of middleware.
                doubtful = False
                more = self._missed + spool.size != self.received
                continue
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            await spool.append(message.get("body", b""))
            _check_size(spool.size, limit)
            more = message.get("more_body", False)
        if self._missed and self._missed + spool.size == self.received:
            # The reader got only what others had left.
            self._spool = await self._restored()
            await spool.close()
        self.loaded = True
        self._kept = None
        self._replay_after(receive)

    async def _restored(self) -> Spool:
        if self._kept is None:
            raise RuntimeError(
                f"The body of this request has been read by middleware, in pieces, and "
                f"its {self.received:,} bytes are too many to be kept for a second "
                f"reader. Have that middleware read it from vinyl.web.Request.of("
                f"scope, receive, send), or raise FILE_UPLOAD_MAX_MEMORY_SIZE."
            )
        spool = Spool()
        for piece in self._kept:
            await spool.append(piece)
        return spool

    async def _watched(self, receive: Receive) -> Message | None:
        """The next message, or None if *receive* asks for more than there is."""
        message = None
        with CancelScope() as self._waiting:
            try:
                message = await receive()
            finally:
                self._waiting = None
        return message

    def _limiting(self, receive: Receive) -> Receive:
        """*receive*, or in place of the server's own the one that limits it."""
        return self.receive if receive is self._of_server else receive

    async def pieces(self, receive: Receive) -> AsyncGenerator[bytes, None]:
        """
        It in pieces: as they arrive if nobody has read it before, else from the start.

        Raises: as `load()`.

        Switches to the event loop.
        """
        receive, position = self._limiting(receive), 0
        if not (self._streamed or self.received or self._spool):
            self._streamed, more = True, True
            _check_size(self.announced or 0, None)
            # Somebody else may load it meanwhile.
            while more and self._spool is None:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                piece = message.get("body", b"")
                position += len(piece)
                _check_size(position, None)
                more = message.get("more_body", False)
                if piece:
                    yield piece
            if not more:
                self._replay_after(receive)
                return
        spool = await self.load(receive)
        while piece := await spool.read(position):
            position += len(piece)
            yield piece

    async def content(self, receive: Receive) -> bytes:
        """
        All of it, in memory.

        Raises: as `load()`.

        Switches to the event loop.
        """
        if self.bytes is None:
            spool = await self.load(receive, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
            self.bytes = await spool.read(0, -1)
        return self.bytes

    def content_now(self) -> bytes | None:
        """All of it, if it has arrived and is in memory. Never switches."""
        if self.bytes is None and self._spool is not None and self.loaded:
            _check_size(self._spool.size, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
            self.bytes = self._spool.read_now()
        return self.bytes

    async def close(self) -> None:
        """Let go of the files: of its own and those in its forms."""
        if self._spool is not None:
            forms = (files.lists() for _, files in self.forms.values())
            await self._spool.close(
                file for lists in forms for _, files in lists for file in files
            )


def _check_size(size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        _too_big(limit, "DATA_UPLOAD_MAX_MEMORY_SIZE")
    maximum = vinyl_settings.MAX_BODY_SIZE
    if maximum is not None and size > maximum:
        _too_big(maximum, 'VINYL["MAX_BODY_SIZE"]')


def _too_big(limit: int, setting: str) -> NoReturn:
    raise RequestDataTooBig(
        f"The body is longer than the {limit:,} bytes that {setting} allows."
    )
