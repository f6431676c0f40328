"""
The body of a request: received once, within limits of size and time, for all readers.

Body.receive    takes the place of the server's `receive` for middleware, mounted apps
                and `Request`; it limits how long the client may take, and counts what
                it has handed out
Body.load       receives the whole body, through the middleware around the reader, into
                a file in memory or on the disk
Body.pieces     gives the body as it arrives, or from that file
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from functools import cached_property
from typing import Any, Self

from anyio import CancelScope
from anyio.lowlevel import checkpoint
from django.conf import settings
from django.http import QueryDict
from django.utils.datastructures import MultiValueDict
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from vinyl.web.http.limits import BodyTimeout, check_size, time_limit
from vinyl.web.http.spool import Spool

__all__ = ["Body"]


class Body:
    """
    The body of one request, which all its readers share; see `Body.of`.

    Args:
        receive: The `receive` of the server.
    """

    # What the server has handed out, to any reader: the number of bytes, whether that
    # was all, and the time it was waited for in seconds.
    received = 0
    complete = False
    disconnected = False
    waited = 0.0
    # Those pieces; None if they are longer than FILE_UPLOAD_MAX_MEMORY_SIZE.
    _kept: list[bytes] | None

    # The file that load() writes, and the number of bytes that other readers had taken
    # before it began.
    _spool: Spool | None = None
    loaded = False
    _missed = 0
    # The scope in which load() waits for the next message.
    _waiting: CancelScope | None = None
    # Whether pieces() has begun to hand out the body as it arrives, and whether the
    # view has returned its response.
    _streamed = False
    _answered = False

    def __init__(self, scope: Scope, receive: Receive) -> None:
        # The length in bytes, from the headers; None if they do not say.
        self.announced: int | None = None
        in_chunks = False
        for name, value in scope.get("headers", ()):
            if name == b"content-length":
                self.announced = int(value) if value.isdigit() else None
            elif name == b"transfer-encoding":
                in_chunks = True
        self.http_version = scope.get("http_version", "1.1")
        # Whether they say that there is no body.
        self.is_absent = self.announced == 0
        if self.announced is None:
            self.is_absent = not in_chunks and self.http_version.startswith("1")
        self._server_receive = receive
        # Called instead of it after the end of the body.
        self._receive_after_body = receive
        self._kept = []
        # The whole body, once it is in memory.
        self.bytes: bytes | None = None

    @cached_property
    def _lock(self) -> asyncio.Lock:
        return asyncio.Lock()

    @cached_property
    def parsing(self) -> asyncio.Lock:
        """Held by the reader that parses the form."""
        return asyncio.Lock()

    @cached_property
    def forms(self) -> dict[str | None, tuple[QueryDict, MultiValueDict[str, Any]]]:
        """The forms that have been parsed, by their encoding."""
        return {}

    @classmethod
    def of(cls, scope: Scope, receive: Receive) -> Self:
        """Return the body of *scope*, made on first use. Never switches."""
        body = scope.get("vinyl.body")
        if body is None:
            body = scope["vinyl.body"] = cls(scope, receive)
        return body

    @property
    def is_stored(self) -> bool:
        """Whether there is a file to close."""
        return self._spool is not None

    # ----- Receiving

    async def receive(self) -> Message:
        """
        Return the next message of the server.

        Raises:
            BodyTimeout: The rest of the body does not arrive in time.

        Switches to the event loop.
        """
        if self.disconnected:
            return {"type": "http.disconnect"}
        if self.complete:
            if self._waiting is not None:
                # load() wants a body that another reader has taken, and would wait
                # until the client leaves.
                self._waiting.cancel()
                await checkpoint()
            return await self._receive_after_body()
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
        limit = time_limit(self.received)
        if limit is None:
            return await self._server_receive()
        # Only the waiting counts, not the time that the reader spends on the pieces.
        start = time.monotonic()
        timeout = asyncio.timeout(limit - self.waited)
        try:
            async with timeout:
                return await self._server_receive()
        except TimeoutError:
            if not timeout.expired():
                raise
            waited = self.waited + time.monotonic() - start
            error = BodyTimeout(self.received, waited, self.http_version)
            raise error from None
        finally:
            self.waited += time.monotonic() - start

    def replaying(self, receive: Receive) -> Receive:
        """
        Return a `receive` that first repeats what has been taken of the body, and then
        goes on with *receive*. Never switches.
        """
        if not self.received and not self.loaded:
            return receive
        self._receive_after_body = self._server_receive
        return self._replayed(receive)

    def _replay_after(self, receive: Receive) -> None:
        """Repeat for inner middleware what has been read through *receive*."""
        if receive == self.receive and not self._answered:
            self._receive_after_body = self._replayed(self._server_receive)

    def stop_replaying(self) -> None:
        """
        Repeat the body for nobody from now on: after the response, a reader only waits
        for the client to leave. Never switches.
        """
        self._answered = True
        self._receive_after_body = self._server_receive

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

    # ----- Reading

    async def load(self, receive: Receive, limit: int | None = None) -> Spool:
        """
        Return the file that contains the whole body, which is received once.

        Args:
            receive: The `receive` of the reader, through the middleware around it.
            limit: `DATA_UPLOAD_MAX_MEMORY_SIZE` for a body that is then read into
                memory, in bytes; else None.

        Raises:
            RequestDataTooBig: It is longer than *limit* or `VINYL["MAX_BODY_SIZE"]`.
            BodyTimeout: It does not arrive in time.
            ClientDisconnect: The client has left.
            RuntimeError: Middleware has taken it in pieces, and more than are kept.

        Switches to the event loop.
        """
        async with self._lock:
            if self._spool is None:
                self._missed = self.received
                self._spool = Spool()
            if not self.loaded:
                await self._load(self._spool, self._limiting(receive), limit)
        check_size(self._spool.size, limit)
        return self._spool

    async def _load(self, spool: Spool, receive: Receive, limit: int | None) -> None:
        check_size(self.announced or 0, limit)
        more, doubtful = True, self.complete or self._missed > 0
        while more:
            message = await (self._watched(receive) if doubtful else receive())
            if message is None:
                # The rest may still be on its way, in a queue of middleware.
                doubtful = False
                more = self._missed + spool.size != self.received
                continue
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            await spool.append(message.get("body", b""))
            check_size(spool.size, limit)
            more = message.get("more_body", False)
        if self._missed and self._missed + spool.size == self.received:
            # This reader got only what others had left.
            self._spool = await self._restored()
            await spool.close()
        self.loaded = True
        self._kept = None
        self._replay_after(receive)

    async def _restored(self) -> Spool:
        if self._kept is None:
            raise RuntimeError(
                f"Middleware has already read the body of this request, in chunks. Its "
                f"{self.received:,} bytes exceed FILE_UPLOAD_MAX_MEMORY_SIZE, so vinyl "
                f"has not kept them. Read the body with vinyl.web.Request.of(scope, "
                f"receive, send) in the middleware, or raise the setting."
            )
        spool = Spool()
        for piece in self._kept:
            await spool.append(piece)
        return spool

    async def _watched(self, receive: Receive) -> Message | None:
        """The next message, or None if *receive* waits for more than there is."""
        message = None
        with CancelScope() as self._waiting:
            try:
                message = await receive()
            finally:
                self._waiting = None
        return message

    def _limiting(self, receive: Receive) -> Receive:
        """*receive*, or `self.receive` in place of the server's own, for its limits."""
        return self.receive if receive is self._server_receive else receive

    async def pieces(self, receive: Receive) -> AsyncGenerator[bytes, None]:
        """
        Iterate over the body: as it arrives if nobody has read it before, else from
        the file.

        Args:
            receive: The `receive` of the reader, through the middleware around it.

        Raises:
            RequestDataTooBig, BodyTimeout, ClientDisconnect, RuntimeError: As `load()`.

        Switches to the event loop.
        """
        receive, position = self._limiting(receive), 0
        if not (self._streamed or self.received or self._spool):
            self._streamed, more = True, True
            check_size(self.announced or 0)
            # Another reader may load it in the meantime.
            while more and self._spool is None:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                piece = message.get("body", b"")
                position += len(piece)
                check_size(position)
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
        Return the whole body, in memory.

        Args:
            receive: The `receive` of the reader, through the middleware around it.

        Raises:
            RequestDataTooBig: It is longer than `DATA_UPLOAD_MAX_MEMORY_SIZE` or
                `VINYL["MAX_BODY_SIZE"]`.
            BodyTimeout, ClientDisconnect, RuntimeError: As `load()`.

        Switches to the event loop.
        """
        if self.bytes is None:
            spool = await self.load(receive, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
            self.bytes = await spool.read(0, -1)
        return self.bytes

    def spool_now(self) -> Spool | None:
        """
        Return the file that contains the whole body, or None if the body has not
        arrived. Never switches.
        """
        if self.loaded:
            return self._spool
        # Nothing has to arrive.
        return Spool() if self.is_absent else None

    def content_now(self) -> bytes | None:
        """
        Return the whole body; None if it has not arrived, or a task is reading it.

        Raises:
            RequestDataTooBig: It is longer than `DATA_UPLOAD_MAX_MEMORY_SIZE`.

        Never switches.
        """
        if self.bytes is None and self.loaded:
            assert self._spool is not None
            check_size(self._spool.size, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
            self.bytes = self._spool.read_now()
        # Nothing has to arrive; but who waits learns whether the client has left.
        return b"" if self.bytes is None and self.is_absent else self.bytes

    async def close(self) -> None:
        """Close its file and the files in its forms. Switches to the event loop."""
        if self._spool is not None:
            forms = (files.lists() for _, files in self.forms.values())
            await self._spool.close(
                file for lists in forms for _, files in lists for file in files
            )
