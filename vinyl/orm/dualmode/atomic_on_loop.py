"""
The outermost `async with atomic()` on the event loop, outside the bridge.

`begin()` and `commit()` have the effects of Django's `Atomic` in the usual case. In all
others, such as a block with hooks of `on_commit()` or a COMMIT that fails, Django's
methods run in the bridge.
"""

from __future__ import annotations

from typing import Any

from django.db.transaction import Atomic

from vinyl.bridge.cancellation import Shield
from vinyl.conf import django_setting
from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.pools.pool import Pool
from vinyl.orm.scopes.lease import Lease

__all__ = ["begin", "commit"]


def begin(block: Atomic, lease: Lease) -> bool:
    """
    Begin *block*, as `Atomic.__enter__()` does, without waiting.

    Args:
        lease: The connection, which its source has just lent.

    Returns:
        Whether the block has begun; if not, Django's method has to begin it.

    Never switches.
    """
    wrapper: Any = lease.wrapper
    if (
        type(block) is not Atomic
        or not isinstance(wrapper, BridgeMixin)
        or wrapper.in_atomic_block
        or wrapper.atomic_blocks
        or _logs_queries(wrapper)
        # A pool has looked whether the session has ended.
        or not wrapper.begin_nowait(is_checked=isinstance(lease.source, Pool))
    ):
        return False
    wrapper.commit_on_exit = True
    wrapper.needs_rollback = False
    wrapper.in_atomic_block = True
    wrapper.atomic_blocks.append(block)
    return True


async def commit(block: Atomic, lease: Lease, shield: Shield) -> bool:
    """
    Commit the transaction of *block*, as `Atomic.__exit__()` does. If the task is
    cancelled during the COMMIT, but the COMMIT succeeds, the block has ended.

    Args:
        shield: Postpones a cancellation if the COMMIT succeeds nevertheless.

    Returns:
        Whether the block has ended; if not, Django's method has to end it.

    Raises: the error of the COMMIT. Django's method has to roll back then.

    Switches to the event loop.
    """
    wrapper: Any = lease.wrapper
    if not _may_commit(block, wrapper, lease) or not lease.lock.acquire_nowait():
        return False
    wrapper.atomic_blocks.pop()
    # Before the COMMIT, so that no hook is registered while it runs.
    wrapper.in_atomic_block = False
    try:
        with shield.up():
            await wrapper.commit_on_loop(shield)
    except BaseException:
        wrapper.atomic_blocks.append(block)
        wrapper.in_atomic_block = True
        # Until Django rolls back, siblings that get the connection are refused.
        wrapper.needs_rollback = True
        raise
    finally:
        lease.lock.release()
    wrapper.errors_occurred = False
    return True


def _logs_queries(wrapper: Any) -> bool:
    """As `wrapper.queries_logged`, without the half microsecond that it takes."""
    return bool(wrapper.force_debug_cursor or django_setting("DEBUG"))


def _may_commit(block: Atomic, wrapper: Any, lease: Lease) -> bool:
    return (
        type(block) is Atomic
        and isinstance(wrapper, BridgeMixin)
        and wrapper.in_atomic_block
        and wrapper.atomic_blocks == [block]
        and not wrapper.savepoint_ids
        and wrapper.commit_on_exit
        and not wrapper.needs_rollback
        and not wrapper.closed_in_transaction
        and not wrapper.query_was_cancelled
        and not wrapper.run_on_commit
        and not wrapper.run_commit_hooks_on_set_autocommit_on
        and not _logs_queries(wrapper)
        and not lease.streams
        and wrapper.can_commit_on_loop()
    )
