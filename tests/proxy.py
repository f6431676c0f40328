"""A network that can be cut and frozen: a TCP proxy in front of the tests' server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg

__all__ = ["Proxy", "proxy"]


class Proxy:
    """
    Passes bytes on between its port and a PostgreSQL, in the test's own event loop.

    Args:
        url: The server's; its host may be the folder of a Unix socket.
    """

    def __init__(self, url: str) -> None:
        info = psycopg.conninfo.conninfo_to_dict(url)
        self.host = str(info.get("host") or "127.0.0.1")
        self.remote_port = int(info.get("port") or 5432)
        self.port = 0
        self.flowing = asyncio.Event()
        self.flowing.set()
        self.writers: set[asyncio.StreamWriter] = set()
        # What clients have sent, in pieces as it arrived: what a client sends before it
        # waits for a reply, up to 64 kB, is one of them.
        self.requests: list[bytes] = []

    def freeze(self) -> None:
        """Let nothing through any more, as a network that has gone silent."""
        self.flowing.clear()

    def thaw(self) -> None:
        self.flowing.set()

    def cut(self) -> None:
        """Reset every connection."""
        for writer in list(self.writers):
            writer.transport.abort()

    async def serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.host.startswith("/"):
            path = f"{self.host}/.s.PGSQL.{self.remote_port}"
            upstream = await asyncio.open_unix_connection(path)
        else:
            upstream = await asyncio.open_connection(self.host, self.remote_port)
        self.writers |= {writer, upstream[1]}
        try:
            await asyncio.gather(
                self.pump(reader, upstream[1], self.requests),
                self.pump(upstream[0], writer),
            )
        finally:
            for each in (writer, upstream[1]):
                self.writers.discard(each)
                each.close()

    async def pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        seen: list[bytes] | None = None,
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if seen is not None:
                    seen.append(data)
                await self.flowing.wait()
                writer.write(data)
                await writer.drain()
        await self.flowing.wait()
        writer.close()


@asynccontextmanager
async def proxy(url: str) -> AsyncIterator[Proxy]:
    """A proxy to the server at *url*, listening on a free port."""
    made = Proxy(url)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(*streams: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(asyncio.CancelledError):
            await made.serve(*streams)
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1")
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
