"""
The pool: opening, lending, checking and closing connections for one event loop.

It keeps whole `DatabaseWrapper`s with their live connections, because Django's
`connect()` (session set-up, signals) is too dear per operation. Lending decides only
who may use a wrapper; the wrapper connects by itself when it is first used.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any
from weakref import WeakKeyDictionary

from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from vinyl.exceptions import PoolTimeout
from vinyl.orm.backends.base import BridgeMixin

__all__ = ["Pool", "close_pools", "pool_for"]

# Defaults of DATABASES[alias]["OPTIONS"]["pool"]; times in seconds.
DEFAULTS: dict[str, float] = {
    "max_size": 10,
    "timeout": 30.0,
    "max_idle": 600.0,
    "max_lifetime": 3600.0,
}


class Pool:
    """
    Lends the connections of one database alias to the tasks of one event loop.

    Waiters are served in order. Not thread-safe: it belongs to its loop's thread.

    Args:
        alias: Key of `settings.DATABASES`.
    """

    def __init__(self, alias: str) -> None:
        wrapper = _new_wrapper(alias)
        configured = wrapper.settings_dict["OPTIONS"].get("pool") or {}
        options = {**DEFAULTS, **(configured if isinstance(configured, dict) else {})}
        self.alias = alias
        # An in-memory database lives in its connection: there is only one.
        self.in_memory = bool(getattr(wrapper, "is_in_memory_db", bool)())
        self.max_size = 1 if self.in_memory else int(options["max_size"])
        self.timeout = float(options["timeout"])
        self.max_idle = float(options["max_idle"])
        self.max_lifetime = float(options["max_lifetime"])
        self.closed = False
        # Wrappers out on loan, with the loop time at which each was made.
        self.lent: dict[BridgeMixin, float] = {}
        # Wrappers at rest, most recently used last: (wrapper, made, rested since).
        self.idle: list[tuple[BridgeMixin, float, float]] = []
        self.waiters: deque[asyncio.Future[BridgeMixin]] = deque()

    def lend_nowait(self) -> BridgeMixin | None:
        """
        Return a wrapper that is outside any transaction, or None if all are lent.

        The caller gives it back with `give_back()`. Never switches.
        """
        return None if self.waiters else self._take()

    def _take(self) -> BridgeMixin | None:
        """A sound wrapper at rest, or a new one while there may be more."""
        now = time.monotonic()
        while self.idle:
            wrapper, made, rested = self.idle.pop()
            expired = (
                now - rested > self.max_idle or now - made > self.max_lifetime
            ) and not self.in_memory
            if expired or not wrapper.is_reusable():
                wrapper.discard()
                continue
            self.lent[wrapper] = made
            return wrapper
        if len(self.lent) >= self.max_size:
            return None
        wrapper = _new_wrapper(self.alias)
        self.lent[wrapper] = now
        return wrapper

    async def lend(self) -> BridgeMixin:
        """
        Return a wrapper as `lend_nowait()` does, after waiting for a free one.

        Raises:
            PoolTimeout: None became free within `timeout` seconds.

        Switches to the event loop.
        """
        if (wrapper := self.lend_nowait()) is not None:
            return wrapper
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[BridgeMixin] = loop.create_future()
        self.waiters.append(turn)
        timer = loop.call_later(self.timeout, self._give_up, turn)
        try:
            return await turn
        except BaseException:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # It was handed over while this task was being cancelled.
                self.give_back(turn.result())
            elif turn in self.waiters:
                self.waiters.remove(turn)
            raise
        finally:
            timer.cancel()

    def _give_up(self, turn: asyncio.Future[BridgeMixin]) -> None:
        if not turn.done():
            self.waiters.remove(turn)
            turn.set_exception(
                PoolTimeout(self.alias, len(self.lent), self.timeout, len(self.waiters))
            )

    def give_back(self, wrapper: BridgeMixin) -> None:
        """
        Take *wrapper* back, and pass it on to the task that waits longest.

        One that is not fit for the next borrower (inside a transaction, in an unknown
        state, closed) is discarded, and a new one takes its place. Never switches.
        """
        made = self.lent.pop(wrapper)
        if not self.closed and wrapper.is_reusable():
            wrapper.act_for_itself()
            self.idle.append((wrapper, made, time.monotonic()))
        else:
            wrapper.discard()
        while self.waiters:
            turn = self.waiters.popleft()
            if not turn.done() and (free := self._take()) is not None:
                turn.set_result(free)
                break

    def close(self) -> None:
        """Close what is at rest; what is on loan is closed when it comes back."""
        self.closed = True
        while self.idle:
            self.idle.pop()[0].discard()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return (
            f"<Pool {self.alias!r} {state}: {len(self.lent)} of {self.max_size} lent, "
            f"{len(self.idle)} idle, {len(self.waiters)} waiting>"
        )


def _new_wrapper(alias: str) -> BridgeMixin:
    """
    A wrapper of *alias*, not yet connected.

    Raises:
        ImproperlyConfigured: Its ENGINE cannot wait on an event loop.
    """
    wrapper = connections.create_connection(alias)
    if not isinstance(wrapper, BridgeMixin):
        raise ImproperlyConfigured(
            f"DATABASES[{alias!r}] has the ENGINE "
            f"{wrapper.settings_dict['ENGINE']!r}, which blocks and so cannot be used "
            f"on the event loop. Use vinyl.orm.backends.postgresql or "
            f"vinyl.orm.backends.sqlite3, or add vinyl.orm.backends.threaded."
            f"ThreadedMixin to its DatabaseWrapper."
        )
    return wrapper


_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Pool]]
_pools = WeakKeyDictionary()
# The generators that close each loop's pools when the loop shuts down.
_closers: WeakKeyDictionary[asyncio.AbstractEventLoop, AsyncGenerator[None, Any]]
_closers = WeakKeyDictionary()


def pool_for(alias: str) -> Pool:
    """The pool of *alias* for the running event loop; made at its first use."""
    loop = asyncio.get_running_loop()
    pools = _pools.get(loop)
    if pools is None:
        pools = _pools[loop] = {}
        _close_with(loop, pools)
    pool = pools.get(alias)
    if pool is None or pool.closed:
        pool = pools[alias] = Pool(alias)
    return pool


async def close_pools() -> None:
    """
    Close the running event loop's pools. A later use opens them anew.

    Never switches.
    """
    for pool in _pools.get(asyncio.get_running_loop(), {}).values():
        pool.close()


def _close_with(loop: asyncio.AbstractEventLoop, pools: dict[str, Pool]) -> None:
    """
    Close *pools* when *loop* shuts down.

    `loop.shutdown_asyncgens()`, which `asyncio.run` and every server call at the end,
    is the one hook that a loop offers: a suspended generator is closed by it.
    """

    async def closer() -> AsyncGenerator[None, Any]:
        try:
            yield
        finally:
            for pool in pools.values():
                pool.close()

    generator = closer()
    # The first step has nothing to wait for, so it can be made here.
    try:
        generator.asend(None).send(None)
    except StopIteration:
        _closers[loop] = generator
