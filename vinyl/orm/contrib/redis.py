"""
A cache in Redis or Valkey that waits on the event loop, without threads:

    CACHES = {
        "default": {
            "BACKEND": "vinyl.orm.contrib.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:6379",
        }
    }

The settings, the keys and the values are those of Django's backend. Without an event
loop it is Django's backend; on one, commands go through redis-py's asyncio client.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from django.core.cache.backends import redis as django_redis
from django.core.exceptions import ImproperlyConfigured

from vinyl.bridge.greenlets import await_, in_bridge, run
from vinyl.bridge.loop_end import at_loop_end
from vinyl.bridge.mode import dual
from vinyl.bridge.patching import getattr_or_refuse

__all__ = ["RedisCache"]

# Connections of an event loop to a server, without OPTIONS["max_connections"].
MAX_CONNECTIONS = 50
# Options of pools and clients in sync mode that have no meaning on an event loop.
SYNC_ONLY = ("parser_class", "pool_class", "queue_class", "serializer", "timeout")
METHODS = (
    "add get set touch delete get_many get_or_set has_key incr decr set_many "
    "delete_many clear incr_version decr_version"
).split()


# Chooses the server, by Django's rule for writes and reads.
_INDEX = "_get_connection_pool_index"
getattr_or_refuse(django_redis.RedisCacheClient, django_redis.__name__, _INDEX)


class RedisCache(django_redis.RedisCache):
    """
    Django's cache backend, dual-mode: `await cache.get(key)` and `await
    cache.aget(key)` on an event loop, `cache.get(key)` in the bridge and without one.

    An event loop has at most `OPTIONS["max_connections"]` connections to each server,
    50 by default; a call waits for a free one. A cancelled call closes its connection
    unless the answer has arrived.
    """

    # Runs in the bridge, and not in a worker thread: see vinyl.orm.contrib.blocking.
    vinyl_in_bridge = True

    def __init__(self, server: Any, params: Any) -> None:
        super().__init__(server, params)
        self._class = RedisCacheClient


def _awaited(name: str) -> Any:
    """The `a*` twin of a method. Some versions of Django make it of several calls."""

    async def method(self: RedisCache, *args: Any, **kwargs: Any) -> Any:
        return await run(getattr(self, name), *args, **kwargs)

    method.__name__ = f"a{name}"
    method.__qualname__ = f"RedisCache.a{name}"
    return method


for _name in METHODS:
    setattr(RedisCache, _name, dual(getattr(RedisCache, _name)))
    setattr(RedisCache, f"a{_name}", _awaited(_name))


class RedisCacheClient(django_redis.RedisCacheClient):
    """Django's client, which executes commands on the event loop in the bridge."""

    def __init__(self, servers: Any, *args: Any, **options: Any) -> None:
        super().__init__(servers, *args, **options)
        self._urls: list[str] = servers
        self._options = options
        # By event loop and by the index of the server.
        self._connections: WeakKeyDictionary[Any, dict[int, Connections]]
        self._connections = WeakKeyDictionary()

    def get_client(self, key: Any = None, *, write: bool = False) -> Any:
        if not in_bridge():
            return super().get_client(key, write=write)
        loop = asyncio.get_running_loop()
        index = getattr(self, _INDEX)(write)
        of_loop = self._connections.setdefault(loop, {})
        if (connections := of_loop.get(index)) is None:
            connections = Connections(self._urls[index], self._options)
            of_loop[index] = connections
            at_loop_end(loop, partial(self._close, of_loop, index))
        return Client(connections)

    async def _close(self, of_loop: dict[int, Connections], index: int) -> None:
        await of_loop[index].close()
        # They refer to the loop, which could not be garbage collected.
        del of_loop[index]


class Connections:
    """
    The connections of an event loop to one server.

    They are lent and taken back without a wait that could be cancelled, which the pools
    of redis-py do not guarantee.

    Args:
        url: The address of the server.
        options: OPTIONS of the cache.

    Raises:
        ImproperlyConfigured: An option has no counterpart on an event loop.
    """

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        import redis.asyncio

        options = {**options}
        limit = options.pop("max_connections", None) or MAX_CONNECTIONS
        self._client_class = redis.asyncio.Redis
        # Makes connections, and keeps none of them.
        self._maker = _pool_class().from_url(url, **_options_on_loop(options))
        self._slots = asyncio.Semaphore(limit)
        # Each client has its own connection. The one used last is at the end.
        self._idle: deque[Any] = deque()
        self._is_closed = False

    @asynccontextmanager
    async def borrow(self) -> AsyncIterator[Any]:
        """
        Lend a client of redis-py with a connection for the block. If the block is
        cancelled, or fails otherwise than by an error of Redis, the connection is
        closed: an answer that nobody has read could be taken for that of the next
        command.

        Raises:
            redis.ConnectionError: The server cannot be reached.

        Switches to the event loop.
        """
        from redis import RedisError

        async with self._slots:
            client = self._idle.pop() if self._idle else self._new_client()
            try:
                await self._maker.ensure_connection(client.connection)
                yield client
            except RedisError:
                # redis-py has closed it if it is unusable, and connects it again.
                self._idle.append(client)
                raise
            except BaseException:
                await _disconnect(client)
                raise
            else:
                self._idle.append(client)
            finally:
                if self._is_closed:
                    await self.close()

    def _new_client(self) -> Any:
        client = self._client_class(connection_pool=self._maker)
        client.connection = self._maker.make_connection()
        return client

    async def close(self) -> None:
        """
        Close the connections: those in use when they are given back. Switches to the
        event loop.
        """
        self._is_closed = True
        while self._idle:
            await _disconnect(self._idle.pop())


async def _disconnect(client: Any) -> None:
    """Close the connection of *client*, which is not used any more."""
    # Or the client complains, when it is garbage, that it has not been closed.
    connection, client.connection = client.connection, None
    await connection.disconnect(nowait=True)


class Client:
    """
    The commands of redis-py's client, as plain methods for code in the bridge.

    Args:
        connections: The connections to the server.
    """

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def command(*args: Any, **kwargs: Any) -> Any:
            return await_(self._execute(name, args, kwargs))

        return command

    async def _execute(self, name: str, args: Any, kwargs: Any) -> Any:
        async with self._connections.borrow() as client:
            return await getattr(client, name)(*args, **kwargs)

    def pipeline(self, transaction: bool = True) -> Pipeline:
        """
        Return an empty pipeline. Never switches.

        Args:
            transaction: Whether its commands are executed in a transaction of Redis.
        """
        return Pipeline(self._connections, transaction)


class Pipeline:
    """
    Commands that `execute()` sends together, for code in the bridge.

    Args:
        connections: The connections to the server.
        transaction: Whether they are executed in a transaction of Redis.
    """

    def __init__(self, connections: Connections, transaction: bool) -> None:
        self._connections = connections
        self._transaction = transaction
        self._commands: list[tuple[str, Any, Any]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        def command(*args: Any, **kwargs: Any) -> Pipeline:
            self._commands.append((name, args, kwargs))
            return self

        return command

    def execute(self) -> list[Any]:
        """Execute the commands; return their results. Switches to the event loop."""
        results: list[Any] = await_(self._execute())
        return results

    async def _execute(self) -> list[Any]:
        commands, self._commands = self._commands, []
        async with self._connections.borrow() as client:
            pipeline = client.pipeline(transaction=self._transaction)
            pipeline.connection = client.connection
            for name, args, kwargs in commands:
                getattr(pipeline, name)(*args, **kwargs)
            results: list[Any] = await pipeline.execute()
            return results


def _pool_class() -> Any:
    """A pool of redis-py that keeps no connections: `Connections` does."""
    from redis.asyncio import ConnectionPool

    class Maker(ConnectionPool):  # type: ignore[misc, unused-ignore]
        async def release(self, connection: Any) -> None:
            """Called at the end of a pipeline, which has borrowed its connection."""

    return Maker


def _options_on_loop(options: dict[str, Any]) -> dict[str, Any]:
    """OPTIONS as redis-py's asyncio client takes them."""
    import redis.asyncio
    from redis.asyncio.retry import Retry

    options = {name: options[name] for name in options if name not in SYNC_ONLY}
    if (retry := options.get("retry")) is not None:
        options["retry"] = Retry(retry._backoff, retry._retries)
    if (cls := options.get("connection_class")) is not None:
        twin = getattr(redis.asyncio, cls.__name__, None)
        if not cls.__module__.startswith("redis.") or twin is None:
            raise ImproperlyConfigured(
                f"OPTIONS of the cache has the connection_class {cls!r}, which has no "
                f"counterpart on an event loop. Use one of redis-py's own classes, or "
                f"Django's backend, which runs in threads."
            )
        options["connection_class"] = twin
    return options
