"""
The pool: opens, lends, checks and closes connections for one event loop.

It contains whole `DatabaseWrapper`s with their open connections, because Django's
`connect()` (session set-up, signals) is too expensive to do for each operation. The
pool decides only which task may use a wrapper; the wrapper connects on its first use.

Before a connection is used again, a poll of its socket shows whether the server has
closed it; one that was idle for long is checked by a query.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from typing import Any, cast
from weakref import ref

from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from vinyl.bridge.greenlets import run
from vinyl.bridge.tasks import place_of, running_task
from vinyl.exceptions import PoolFull, PoolTimeout
from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.backends.outage import Outage
from vinyl.orm.backends.pipelines import Read
from vinyl.orm.backends.statements import Statement
from vinyl.orm.pools.options import PoolOptions
from vinyl.orm.pools.pooled import Pooled, weakly
from vinyl.orm.pools.wait_queue import WaitQueue

__all__ = ["Pool"]

# How long the server may take to answer whether a connection works, in seconds.
CHECK_TIMEOUT = 5.0
# Number of waiting reads that one connection takes at a time. For fewer, a pipeline
# takes longer than tasks that keep their connections.
MIN_SHARE, MAX_SHARE = 3, 50
# How long a task that runs one operation after the other may keep a connection for
# which others wait, in seconds.
KEEP = 0.02
# A connection that its task releases and acquires again within this time, in seconds,
# is not polled: the server has just answered.
FRESH = 0.0001


class Pool:
    """
    Lends the connections of one database alias to the tasks of one event loop.

    Waiters are served in order. Not thread-safe: it belongs to its loop's thread.

    Args:
        alias: Key of `settings.DATABASES`.

    Raises:
        ImproperlyConfigured: The ENGINE cannot wait on an event loop, or the options
            are wrong.
    """

    def __init__(self, alias: str) -> None:
        wrapper = _new_wrapper(alias)
        self.alias = alias
        self.wrapper_class = type(wrapper)
        self.options, problems, _ = PoolOptions.read(
            wrapper.settings_dict["OPTIONS"].get("pool")
        )
        for problem, remedy in problems:
            raise ImproperlyConfigured(
                f"DATABASES[{alias!r}]['OPTIONS']['pool'] {problem} {remedy}"
            )
        # An in-memory database lives in its connection: there is only one.
        self.in_memory = bool(getattr(wrapper, "is_in_memory_db", bool)())
        self.max_size = 1 if self.in_memory else self.options.max_size
        self.min_size = 0 if self.in_memory else self.options.min_size
        self.closed = False
        self.outage = Outage(self.options.reconnect_timeout)
        # The connections that tasks have acquired.
        self.in_use: dict[BridgeMixin, Pooled] = {}
        # The idle connections, most recently used last.
        self.idle: list[Pooled] = []
        # With a connection or with the rows of a read.
        self.waiters: WaitQueue[Any] = WaitQueue()
        # Whether the waiters will be served in the next turn of the event loop.
        self._serves_soon = False
        self.acquired = self.discarded = self.timeouts = 0
        self.waited = 0.0

    def stats(self) -> dict[str, float]:
        """
        Return the pool's statistics.

        `size` is the number of connections, of which `in_use` are acquired and `idle`
        are not; `waiting` is the number of waiting tasks. Counted since the pool was
        created: `acquired_total` connections acquired, `wait_ms` milliseconds that
        tasks waited for them in total, `timeouts` waits that failed, and `discarded`
        connections that were closed because they were lost, broken or too old.

        Never switches.
        """
        return {
            "size": len(self.in_use) + len(self.idle),
            "in_use": len(self.in_use),
            "idle": len(self.idle),
            "waiting": len(self.waiters),
            "acquired_total": self.acquired,
            "wait_ms": self.waited * 1000,
            "timeouts": self.timeouts,
            "discarded": self.discarded,
        }

    def acquire_nowait(self) -> BridgeMixin | None:
        """
        Return a wrapper that is outside any transaction. The caller returns it to the
        pool with `release()`.

        Returns: None if all connections are in use, tasks are waiting, or the next
            connection has to be checked first: `acquire()` does what is needed.

        Never switches.
        """
        task = weakly(running_task())
        if (wrapper := self._acquire_again(task)) is not None:
            return wrapper
        if self.waiters:
            return None
        rested = self._next()
        if rested is not None and self._rested_long(rested):
            return None
        return self._take(rested, task)

    def _acquire_again(self, task: ref[Any] | None) -> BridgeMixin | None:
        """Acquire the connection that the running *task* has just released, if any."""
        if not self.idle or self.idle[-1].task is None:
            return None
        pooled, now = self.idle[-1], time.monotonic()
        rested = now - pooled.since
        if pooled.task is not task or (
            rested > FRESH
            and not (self.waiters and rested < KEEP and pooled.wrapper.is_alive())
        ):
            return None
        self.idle.pop()
        pooled.since = now
        pooled.wrapper.connect_by = now + self.options.timeout
        self.in_use[pooled.wrapper] = pooled
        self.acquired += 1
        return pooled.wrapper

    def _next(self) -> Pooled | None:
        """The idle connection to use next, if the server has not closed it."""
        now = time.monotonic()
        while self.idle:
            pooled = self.idle[-1]
            if now < pooled.expires and pooled.wrapper.is_alive():
                return pooled
            self._drop(self.idle.pop().wrapper)
        return None

    def _rested_long(self, pooled: Pooled) -> bool:
        return time.monotonic() - pooled.since > self.options.check_idle

    def _take(self, rested: Pooled | None, task: ref[Any] | None) -> BridgeMixin | None:
        """
        Acquire *rested*, the next idle one, or a new one within `max_size`, for *task*.
        """
        if rested is not None:
            return self._hand_out(self.idle.pop(), task)
        if len(self.in_use) >= self.max_size:
            return None
        return self._hand_out(self._new(), task)

    def _new(self) -> Pooled:
        lifetime = self.options.max_lifetime * (1 - random.random() / 10)
        if self.in_memory:
            lifetime = math.inf
        wrapper = _new_wrapper(self.alias)
        wrapper.pooled_id = id(wrapper)
        wrapper.outage = self.outage
        return Pooled(wrapper, time.monotonic() + lifetime)

    def _hand_out(self, pooled: Pooled, task: ref[Any] | None) -> BridgeMixin:
        pooled.since = pooled.began = time.monotonic()
        pooled.wrapper.connect_by = pooled.since + self.options.timeout
        pooled.task = task
        self.in_use[pooled.wrapper] = pooled
        self.acquired += 1
        return pooled.wrapper

    async def acquire(self) -> BridgeMixin:
        """
        Return a wrapper that is outside any transaction, after waiting for a free one
        if need be. The caller returns it to the pool with `release()`.

        Raises:
            PoolTimeout: No connection became free within `timeout` seconds.
            PoolFull: `max_waiting` tasks are waiting already.

        Switches to the event loop.
        """
        # The queue of a pool is never closed, so None is never given.
        return cast(BridgeMixin, await self._acquire(None))

    async def acquire_for(self, read: Read) -> Any:
        """
        As `acquire()`; or return the rows of *read*, if it has waited and another task
        has taken it into a pipeline, or None if that has not answered it.

        Raises: as `acquire()`.

        Raises:
            psycopg.Error: The read has failed in the pipeline.

        Switches to the event loop.
        """
        try:
            return await self._acquire(read)
        except BaseException as error:
            if read.pipeline is not None:
                await read.pipeline.leave(read, error)
            raise

    async def _acquire(self, read: Read | None) -> Any:
        while not self.waiters:
            rested = self._next()
            unsure = rested is not None and self._rested_long(rested)
            if (wrapper := self._take(rested, weakly(running_task()))) is None:
                break
            if not unsure or await self._works(wrapper):
                return wrapper
        waiting = len(self.waiters)
        if self.options.max_waiting and waiting >= self.options.max_waiting:
            raise PoolFull(*self._facts(waiting))

        def refuse() -> PoolTimeout | None:
            is_running = read is not None and read.pipeline is not None
            return None if is_running else self._refuse()

        if read is not None:
            self.waiters.enqueue(read)
        start = time.monotonic()
        try:
            given = await self.waiters.wait(
                self._release_if_given, self.options.timeout, refuse, read
            )
        finally:
            self.waited += time.monotonic() - start
        if not isinstance(given, BridgeMixin):
            return given
        if given.connection is not None and not given.is_alive():
            # Closed by the server meanwhile: the wrapper connects again.
            self._drop(given)
        given.connect_by = start + self.options.timeout
        self.in_use[given].task = weakly(running_task())
        return given

    def _release_if_given(self, given: Any) -> None:
        if isinstance(given, BridgeMixin):
            self.release(given)

    def take_reads(self, statement: Statement | None) -> list[Any]:
        """
        Take reads of *statement* from the head of the queue, as many as are the share
        of one connection. The caller passes them to a pipeline. Never switches.
        """
        share = min(len(self.waiters) // self.max_size, MAX_SHARE)

        def is_read(waiter: Any) -> bool:
            return isinstance(waiter, Read) and waiter.statement is statement

        return self.waiters.take(is_read, share) if share >= MIN_SHARE else []

    async def _works(self, wrapper: BridgeMixin) -> bool:
        """Whether *wrapper*, which is acquired, answers; if not, release it."""
        works = False
        try:
            async with asyncio.timeout(min(CHECK_TIMEOUT, self.options.timeout)):
                works = await run(wrapper.use, wrapper.is_usable)
        except TimeoutError:
            pass
        finally:
            if not works:
                wrapper.discard()
                self.release(wrapper)
                # Others that were idle for as long are probably lost, too.
                for pooled in list(filter(self._rested_long, self.idle)):
                    self.idle.remove(pooled)
                    self._drop(pooled.wrapper)
        return works

    def _refuse(self) -> PoolTimeout:
        self.timeouts += 1
        # Without the task that is refused.
        return PoolTimeout(*self._facts(len(self.waiters) - 1))

    def _facts(self, waiting: int) -> tuple[str, int, float, int, tuple[str, ...]]:
        """The facts for the error of a refused task; the longest users come first."""
        now = time.monotonic()
        loans = sorted(self.in_use.values(), key=lambda pooled: pooled.since)
        holders = tuple(
            f"{now - pooled.since:.1f} s by {place_of(pooled.holder())}"
            for pooled in loans[:3]
        )
        return (
            self.alias,
            len(self.in_use),
            self.options.timeout,
            waiting,
            holders,
        )

    def release(self, wrapper: BridgeMixin) -> None:
        """
        Return *wrapper* to the pool, which gives it to the task that waits longest.

        A connection that cannot be used again (inside a transaction, in an unknown
        state, closed, too old) is discarded, and a new one takes its place.

        Never switches.
        """
        pooled = self.in_use.pop(wrapper)
        pooled.task = None
        self._put_back(pooled)
        self._serve()

    def release_briefly(self, wrapper: BridgeMixin) -> None:
        """
        As `release()`, after a single operation. Until the running task waits for
        something else, it can acquire the connection again before those that wait,
        which takes less time than passing connections round with each operation. It
        cannot after KEEP seconds.

        Never switches.
        """
        pooled = self.in_use.pop(wrapper)
        is_idle = self._put_back(pooled)
        if not self.waiters:
            return
        if (
            is_idle
            and pooled.since - pooled.began < KEEP
            # The garbage collector may end an operation in whatever task is running.
            and pooled.task is not None
            and pooled.task is weakly(running_task())
        ):
            if not self._serves_soon:
                self._serves_soon = True
                asyncio.get_running_loop().call_soon(self._serve)
            return
        self._serve()

    def _put_back(self, pooled: Pooled) -> bool:
        """Whether the connection of *pooled* is idle now, and not discarded."""
        wrapper = pooled.wrapper
        if wrapper.replaced_sessions:
            self.discarded += wrapper.replaced_sessions
            wrapper.replaced_sessions = 0
        now = pooled.since = time.monotonic()
        sound = now < pooled.expires and wrapper.is_reusable()
        if wrapper.has_tenants:
            sound = sound and wrapper.leave_tenant()
        if not self.closed and (sound or (self.in_memory and wrapper.recover())):
            wrapper.act_for_itself()
            self.idle.append(pooled)
            return True
        self._drop(wrapper)
        return False

    def _serve(self) -> None:
        self._serves_soon = False
        while self.waiters.serve(self._take_next):
            pass

    def _take_next(self) -> BridgeMixin | None:
        # Its task notes itself when it resumes.
        return self._take(self._next(), None)

    def _drop(self, wrapper: BridgeMixin) -> None:
        wrapper.discard()
        if wrapper.has_connected and not self.closed:
            self.discarded += 1

    def lacks(self) -> int:
        """How many connections are missing to reach `min_size`. Never switches."""
        return self.min_size - len(self.in_use) - len(self.idle)

    def add(self) -> BridgeMixin:
        """Return a new wrapper, to be connected and released. Never switches."""
        pooled = self._new()
        pooled.since = time.monotonic()
        pooled.task = weakly(running_task())
        self.in_use[pooled.wrapper] = pooled
        return pooled.wrapper

    def drop_expired(self) -> None:
        """
        Close idle connections that are too old, and those beyond `min_size` that were
        idle for too long. Never switches.
        """
        now = time.monotonic()
        max_idle = math.inf if self.in_memory else self.options.max_idle
        for pooled in list(self.idle):
            rested = now - pooled.since > max_idle
            if now >= pooled.expires or (rested and self.lacks() < 0):
                self.idle.remove(pooled)
                self._drop(pooled.wrapper)

    def expire(self) -> None:
        """
        Replace each connection before it is acquired again. The only one of a database
        in memory forgets its time zone instead. Never switches.
        """
        # Lists are made in one step, whatever the threads of other loops do.
        for pooled in list(self.idle):
            # Its last task cannot have it again.
            pooled.task = None
        for pooled in [*self.idle, *self.in_use.values()]:
            if self.in_memory:
                vars(pooled.wrapper).pop("timezone", None)
                vars(pooled.wrapper).pop("timezone_name", None)
            else:
                pooled.expires = -math.inf

    def close(self) -> None:
        """Close idle connections now, others when they are released. Never switches."""
        self.closed = True
        while self.idle:
            self.idle.pop().wrapper.discard()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return (
            f"<Pool {self.alias!r} {state}: {len(self.in_use)} of {self.max_size} "
            f"in use, {len(self.idle)} idle, {len(self.waiters)} waiting>"
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
