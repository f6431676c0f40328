"""
Pools of connections, one for each event loop and database.

registry.py     the pools of each event loop and their maintenance, until the loop ends
pool.py         opening, lending, checking, closing connections
pooled.py       a connection, and the task that has it
options.py      the options of a pool, read and checked
maintenance.py  closing expired connections, opening those of `min_size`
wait_queue.py   the queue of tasks that wait for a connection, or for a lock
"""

from vinyl.orm.pools.registry import (
    close_pools,
    configured_pools,
    open_pools,
    pool_for,
)

__all__ = ["close_pools", "configured_pools", "open_pools", "pool_for"]
