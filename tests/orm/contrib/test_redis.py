"""The cache in Redis: Django's backend without an event loop, and native on one."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"

from __future__ import annotations

import asyncio
import gc
import random
import shutil
import subprocess
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.sessions.backends.cache import SessionStore
from django.core.cache import caches
from django.test import override_settings

from vinyl.exceptions import NotAwaitedError
from vinyl.orm import run

redis = pytest.importorskip("redis", reason="needs the extra redis")

SERVER = shutil.which("redis-server") or shutil.which("valkey-server")
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(SERVER is None, reason="needs redis-server or valkey-server"),
]

OURS = "vinyl.orm.contrib.redis.RedisCache"
DJANGOS = "django.core.cache.backends.redis.RedisCache"


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of our own, on a Unix socket."""
    assert SERVER is not None
    path = tmp_path_factory.mktemp("redis") / "socket"
    options = ["--port", "0", "--unixsocket", str(path), "--save", ""]
    with subprocess.Popen([SERVER, *options], stdout=subprocess.DEVNULL) as server:
        try:
            wait_for(path.exists)
            with redis.Redis(unix_socket_path=str(path)) as client:
                wait_for(client.ping)
            yield f"unix://{path}"
        finally:
            server.terminate()


def wait_for(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.fixture
async def server(url: str) -> AsyncIterator[Any]:
    """A client beside the caches, on an empty server."""
    with redis.Redis.from_url(url) as client:
        client.flushall()
        options = {"max_connections": 4}
        settings = {
            "default": {"BACKEND": OURS, "LOCATION": url, "OPTIONS": options},
            "djangos": {"BACKEND": DJANGOS, "LOCATION": url},
        }
        with override_settings(CACHES=settings):
            yield client
            caches["djangos"]._cache._get_connection_pool(True).disconnect()
            await close(caches["default"])


async def close(cache: Any) -> None:
    for pool in cache._cache._pools.values():
        pool.disconnect()
    for connections in cache._cache._connections.get(asyncio.get_running_loop(), {}):
        await cache._cache._connections[asyncio.get_running_loop()][connections].close()


def connections_of(cache: Any) -> Any:
    [connections] = cache._cache._connections[asyncio.get_running_loop()].values()
    return connections


STEPS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("set", ("a", {"b": [1, None]}), {}),
    ("get", ("a",), {}),
    ("get", ("missing", "default"), {}),
    ("set", ("number", 7), {"timeout": None}),
    ("incr", ("number",), {}),
    ("decr", ("number", 3), {}),
    ("get", ("number",), {}),
    ("incr", ("missing",), {}),
    ("add", ("a", 1), {}),
    ("add", ("new", 1), {"timeout": 0}),
    ("has_key", ("new",), {}),
    ("touch", ("a",), {"timeout": 50}),
    ("touch", ("missing",), {}),
    ("set_many", ({"x": 1, "y": "two"},), {"timeout": 60}),
    ("get_many", (["x", "y", "missing"],), {}),
    ("get_or_set", ("made", lambda: "value"), {}),
    ("incr_version", ("x",), {}),
    ("get", ("x",), {"version": 2}),
    ("delete", ("y",), {}),
    ("delete", ("y",), {}),
    ("delete_many", (["made", "number"],), {}),
    ("set", ("a", 1), {"timeout": 0}),
    ("get", ("a",), {}),
    ("clear", (), {}),
]


def outcome(fn: Callable[[], Any]) -> Any:
    try:
        return fn()
    except ValueError as error:
        return str(error)


async def outcome_of(awaitable: Any) -> Any:
    try:
        return await awaitable
    except ValueError as error:
        return str(error)


async def test_all_methods_give_what_djangos_give(server: Any) -> None:
    ours = caches["default"]

    def stored() -> dict[bytes, tuple[Any, int]]:
        return {k: (server.get(k), server.ttl(k)) for k in sorted(server.keys())}

    def of_djangos() -> list[Any]:
        cache = caches["djangos"]
        seen = []
        for name, args, kwargs in STEPS:
            result = outcome(lambda: getattr(cache, name)(*args, **kwargs))  # noqa: B023
            seen.append((name, result, stored()))
        return seen

    expected = await asyncio.to_thread(of_djangos)
    for form in ("{}", "a{}", "in the bridge"):
        for (name, args, kwargs), (_, result, there) in zip(
            STEPS, expected, strict=True
        ):
            method = getattr(ours, form.format(name) if "{" in form else name)
            if "{" in form:
                found = await outcome_of(method(*args, **kwargs))
            else:
                found = await run(outcome, lambda: method(*args, **kwargs))  # noqa: B023
            assert (name, found) == (name, result)
            seen = stored()
            assert {key: value for key, (value, _) in seen.items()} == {
                key: value for key, (value, _) in there.items()
            }
            for key, (_, ttl) in seen.items():
                assert abs(ttl - there[key][1]) <= 3


async def test_each_reads_what_the_other_has_written(server: Any) -> None:
    def exchange() -> Any:
        caches["djangos"].set("from-django", {"n": 1})
        # Without an event loop ours is Django's backend.
        found = [caches[alias].get("from-vinyl") for alias in ("djangos", "default")]
        for alias in ("djangos", "default"):
            caches[alias]._cache._get_connection_pool(True).disconnect()
        return found

    await caches["default"].set("from-vinyl", {"n": 2})
    assert await asyncio.to_thread(exchange) == [{"n": 2}, {"n": 2}]
    assert await caches["default"].get("from-django") == {"n": 1}


async def test_no_thread_and_few_connections(server: Any) -> None:
    cache = caches["default"]
    await cache.set("a", 1)
    threads = threading.active_count()
    found = await asyncio.gather(*(cache.aget("a") for _ in range(200)))
    assert found == [1] * 200
    assert threading.active_count() == threads
    mine = [each for each in server.client_list() if each["cmd"] == "get"]
    assert 1 < len(mine) <= 4


async def test_cancelled_commands_do_not_mix_up_answers(server: Any) -> None:
    cache = caches["default"]
    await cache.set_many({f"{n}": n for n in range(100)})

    async def read(number: int) -> None:
        assert await cache.get(f"{number}") == number

    async def read_many(number: int) -> None:
        assert await cache.get_many([f"{number}"]) == {f"{number}": number}

    async def write(number: int) -> None:
        await cache.set_many({f"{number}": number})

    chance = random.Random(7)
    cancelled = 0
    for _ in range(60):
        tasks = [
            asyncio.create_task(chance.choice([read, read_many, write])(n))
            for n in chance.sample(range(100), 12)
        ]
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0)
        if chance.random() < 0.5:
            await asyncio.sleep(chance.random() * 0.002)
        for task in chance.sample(tasks, 6):
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            cancelled += isinstance(result, asyncio.CancelledError)
            assert result is None or isinstance(result, asyncio.CancelledError)
    assert cancelled > 20
    # All connections can be used again at the same time, and none is left over.
    connections = connections_of(cache)
    assert connections._slots._value == 4
    assert len(connections._idle) <= 4
    await asyncio.gather(*(read(n) for n in range(100)))


async def test_a_connection_that_was_lost_is_replaced(server: Any) -> None:
    cache = caches["default"]
    await cache.set("a", 1)
    for each in server.client_list():
        if each["cmd"] == "set":
            server.client_kill_filter(_id=each["id"])
    [idle] = connections_of(cache)._idle
    async with asyncio.timeout(5):
        while not idle.connection._reader.at_eof():
            await asyncio.sleep(0.001)
    assert await cache.get("a") == 1


async def test_a_server_that_is_away_is_redis_error(tmp_path: Path) -> None:
    settings = {"BACKEND": OURS, "LOCATION": f"unix://{tmp_path}/nothing"}
    with override_settings(CACHES={"default": settings}):
        for _ in range(2):
            with pytest.raises(redis.ConnectionError):
                await caches["default"].get("a")


async def test_a_forgotten_await_is_an_error(server: Any) -> None:
    cache = caches["default"]
    call = cache.get("a")
    with pytest.raises(NotAwaitedError):
        bool(call)
    with pytest.raises(NotAwaitedError):
        assert "a" in cache


async def test_sessions(server: Any) -> None:
    session = SessionStore()
    session["artist"] = "Nina"
    await session.asave()
    again = SessionStore(session.session_key)
    assert await again.aget("artist") == "Nina"
    assert await run(lambda: SessionStore(session.session_key)["artist"]) == "Nina"


async def test_options(server: Any, url: str) -> None:
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    options = {
        "db": 3,
        "retry": Retry(NoBackoff(), 1),
        "pool_class": "redis.BlockingConnectionPool",
        "timeout": 5,
        "parser_class": "redis.connection.DefaultParser",
    }
    settings = {"BACKEND": OURS, "LOCATION": url, "OPTIONS": options}
    with override_settings(CACHES={"default": settings, "djangos": settings}):
        await caches["default"].set("a", 1)
        assert server.get(":1:a") is None
        server.select(3)
        assert server.get(":1:a") == b"1"
        assert await caches["default"].get("a") == 1
        await close(caches["default"])


def test_the_end_of_the_loop_closes_the_connections(url: str) -> None:
    settings = {"BACKEND": OURS, "LOCATION": url, "OPTIONS": {"max_connections": 1}}
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def work() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        # The second waits for the connection of the first.
        await asyncio.gather(*(caches["default"].aset("a", n) for n in range(2)))

    with override_settings(CACHES={"default": settings}):
        asyncio.run(work())
        gc.collect()
        assert loops[0]() is None
    with redis.Redis.from_url(url) as client:
        wait_for(lambda: not [c for c in client.client_list() if c["cmd"] == "set"])
