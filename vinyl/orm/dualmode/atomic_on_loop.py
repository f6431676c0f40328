"""
The outermost `async with atomic()` on the event loop, outside the bridge.

`begin()` and `commit()` do what Django's `Atomic` does for a block that begins and ends
without anything special. Where something else is to be done, they do nothing and return
False, and Django's methods run in the bridge. They also end a block whose COMMIT fails.
"""

from __future__ import annotations

from typing import Any

from django.db.transaction import Atomic

from vinyl.bridge.cancellation import Shield
from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.scopes.lease import Lease

__all__ = ["begin", "commit"]


def begin(block: Atomic, wrapper: Any) -> bool:
    """
    Begin *block*, as `Atomic.__enter__()` does, without waiting.

    Returns:
        Whether that was possible.

    Never switches.
    """
    if (
        type(block) is not Atomic
        or not isinstance(wrapper, BridgeMixin)
        or wrapper.in_atomic_block
        or wrapper.atomic_blocks
        or wrapper.queries_logged
        or not wrapper.begin_nowait()
    ):
        return False
    wrapper.commit_on_exit = True
    wrapper.needs_rollback = False
    wrapper.in_atomic_block = True
    wrapper.atomic_blocks.append(block)
    return True


async def commit(block: Atomic, lease: Lease, shield: Shield) -> bool:
    """
    Commit the transaction of *block*, as `Atomic.__exit__()` does. A COMMIT that has
    begun is completed even if the task is cancelled.

    Args:
        shield: Postpones a cancellation if the COMMIT succeeds all the same.

    Returns:
        Whether the block has ended; if not, Django's method has to end it.

    Raises: what the COMMIT has failed with. Django's method has to roll back.

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
        and not wrapper.queries_logged
        and not lease.streams
        and wrapper.can_commit_on_loop()
    )
