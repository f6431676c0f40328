"""Clients that send a request in two halves, over TCP."""

from __future__ import annotations

import asyncio
from typing import Any, Self

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=X"
JSON = "application/json"
RAW = "application/octet-stream"

# The content of each kind, in which "Nina" is.
CONTENT = {
    FORM: b"name=Nina",
    MULTIPART: (
        b'--X\r\nContent-Disposition: form-data; name="name"\r\n\r\nNina\r\n--X--\r\n'
    ),
    JSON: b'{"name": "Nina"}',
    RAW: b"Nina",
}


class SlowClient:
    """
    A connection on which half of a POST has been sent, or all but the end of it.

        async with SlowClient(http, "/form/", FORM) as client:
            ...
            await client.finish()
            status, headers, body = await client.answer()
    """

    def __init__(self, http: Any, target: str, kind: str) -> None:
        self.url = http.base_url
        content = CONTENT[kind]
        self.head = (
            f"POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        ).encode()
        middle = len(content) // 2
        self.first, self.second = content[:middle], content[middle:]

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection(
            self.url.host, self.url.port
        )
        self.writer.write(self.head + self.first)
        await self.writer.drain()
        return self

    async def __aexit__(self, *exc_info: Any) -> None:
        self.writer.close()

    async def finish(self) -> None:
        self.writer.write(self.second)
        await self.writer.drain()

    async def answer(self) -> tuple[int, str, str]:
        """Status, headers and body of the answer."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].split()[0])
        body = await self.reader.readexactly(length)
        return int(head.split()[1]), head, body.decode()

    async def is_closed(self) -> bool:
        """Whether the server has closed the connection; waits for it."""
        return await self.reader.read() == b""


class Waiting:
    """
    Middleware that knows how many requests wait for the rest of their bodies:

        async with asyncio.timeout(30):
            await Waiting.until(10)
    """

    number = 0
    changed = asyncio.Condition()

    def __init__(self, app: Any) -> None:
        self.app = app

    @classmethod
    async def until(cls, number: int) -> None:
        async with cls.changed:
            await cls.changed.wait_for(lambda: cls.number == number)

    @classmethod
    async def count(cls, by: int) -> None:
        async with cls.changed:
            cls.number += by
            cls.changed.notify_all()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        begun = False

        async def counting() -> Any:
            nonlocal begun
            if not begun:
                message = await receive()
                begun = message.get("more_body", False)
                return message
            await self.count(1)
            try:
                message = await receive()
            finally:
                await self.count(-1)
            begun = message.get("more_body", False)
            return message

        own = scope["type"] == "http" and scope["method"] == "POST"
        await self.app(scope, counting if own else receive, send)
