"""
Pools of connections, one for each event loop and database.

registry.py     which pools each event loop has, to its end
pool.py         opening, lending, checking, closing connections
options.py      the options of a pool, read and checked
maintenance.py  what a pool does by itself: expiring, refilling
wait_queue.py   the queue of tasks that wait for a connection, or for a lock
"""

from vinyl.orm.pools.registry import (
    close_pools,
    configured_pools,
    open_pools,
    pool_for,
)

__all__ = ["close_pools", "configured_pools", "open_pools", "pool_for"]
