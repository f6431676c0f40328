"""The pools of each event loop, from their first use until the loop ends."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from django.core.signals import setting_changed
from django.db import connections

from vinyl.bridge.loop_end import at_loop_end, forget_loop, inherit_loops
from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.pools.maintenance import Maintenance
from vinyl.orm.pools.options import PoolOptions
from vinyl.orm.pools.pool import Pool

__all__ = [
    "close_pools",
    "configured_pools",
    "disown_pools",
    "open_pools",
    "pool_for",
]


def configured_pools() -> Iterator[
    tuple[str, PoolOptions, list[tuple[str, str]], list[str]]
]:
    """
    Yield the alias of each database whose ENGINE can wait on an event loop, and what
    `PoolOptions.read()` returns for it. Never switches.
    """
    for alias in connections:
        wrapper = connections.create_connection(alias)
        if isinstance(wrapper, BridgeMixin):
            yield alias, *PoolOptions.read(wrapper.settings_dict["OPTIONS"].get("pool"))


_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Pool]]
_pools = WeakKeyDictionary()
_maintenance: WeakKeyDictionary[Pool, Maintenance] = WeakKeyDictionary()
# The loops whose pools have been closed for good.
_shut_down: WeakSet[asyncio.AbstractEventLoop] = WeakSet()
# In a forked process, what belongs to the parent's loops. It is kept alive, because
# connections that are no longer used would be closed.
_inherited: list[object] = []


def pool_for(alias: str) -> Pool:
    """
    Return the pool of *alias* for the running event loop, created on first use.

    Args:
        alias: Key of `settings.DATABASES`.

    Raises:
        ImproperlyConfigured: The ENGINE cannot wait on an event loop, or the options
            are wrong.

    Never switches.
    """
    loop = asyncio.get_running_loop()
    pools = _pools.get(loop)
    if pools is not None:
        pool = pools.get(alias)
        if pool is not None and not pool.closed:
            return pool
    if loop in _shut_down:
        # A closed pool keeps no idle connections, which nothing would close.
        closed = Pool(alias)
        closed.close()
        return closed
    if pools is None:
        _close_forsaken()
        pools = _pools[loop] = {}
        at_loop_end(loop, partial(_close_all, loop, pools))
    pool = pools[alias] = Pool(alias)
    _maintenance[pool] = Maintenance(pool)
    return pool


def _close(pool: Pool) -> None:
    """Close *pool* and end its maintenance; more than once does no harm."""
    if (maintenance := _maintenance.pop(pool, None)) is not None:
        maintenance.stop()
    pool.close()


async def open_pools() -> None:
    """
    Open the connections that `min_size` asks for, of every database that sets it.

    Failures are logged to `vinyl.pool`, and the pool tries again later.

    Switches to the event loop.
    """
    aliases = [alias for alias, options, *_ in configured_pools() if options.min_size]
    maintained = [_maintenance.get(pool_for(alias)) for alias in aliases]
    await asyncio.gather(*(each.warmed_up() for each in filter(None, maintained)))


async def close_pools() -> None:
    """
    Close the running event loop's pools. The next use of a database creates new ones.

    Never switches.
    """
    for pool in _pools.get(asyncio.get_running_loop(), {}).values():
        _close(pool)


def _close_all(loop: asyncio.AbstractEventLoop, pools: dict[str, Pool]) -> None:
    """Close the pools of *loop*, which shuts down."""
    _shut_down.add(loop)
    for pool in pools.values():
        _close(pool)


def _use_time_zone(*, setting: str, **kwargs: Any) -> None:
    """
    Replace the connections that were made for another time zone. Django does the same
    for those that `connections` has. A receiver of `setting_changed`.
    """
    if setting in ("TIME_ZONE", "USE_TZ"):
        for reference in _pools.keyrefs():
            loop = reference()
            for pool in list(_pools.get(loop, {}).values()) if loop else ():
                pool.expire()


setting_changed.connect(_use_time_zone, dispatch_uid="vinyl.orm.pools")


def _close_forsaken() -> None:
    """
    Close the pools of loops that were closed without `shutdown_asyncgens()`.

    What was to close them refers to the loops, which would never be garbage. Never
    switches.
    """
    # The list is made in one step, whatever the loops of other threads do.
    for reference in _pools.keyrefs():
        loop = reference()
        if loop is not None and loop.is_closed():
            forget_loop(loop)
            for pool in _pools.pop(loop, {}).values():
                _close(pool)
                # The tasks that acquired these will never continue.
                for wrapper in list(pool.in_use):
                    wrapper.discard()


def disown_pools() -> None:
    """
    In a forked process: make the parent's connections unusable and forget its pools,
    without sending anything over the sockets that the two processes share.

    Never switches.
    """
    global _pools, _maintenance
    inherit_loops()
    _inherited.extend([*_pools.items(), *_maintenance.items()])
    for pools in _pools.values():
        for pool in pools.values():
            pool.closed = True
            idle = [pooled.wrapper for pooled in pool.idle]
            for wrapper in [*pool.in_use, *idle]:
                wrapper.disown()
    _pools, _maintenance = WeakKeyDictionary(), WeakKeyDictionary()
