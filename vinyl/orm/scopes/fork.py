"""
In a forked process: leave alone what is the parent's.

The child has the parent's connections in memory. A word on one of them would go over
the parent's socket, be it only the farewell of a connection that is closed.
"""

from __future__ import annotations

import os

from vinyl.bridge.greenlets import Bridge, current_bridge, in_bridge
from vinyl.orm.dualmode.notifications import listening
from vinyl.orm.pools.registry import disown_pools
from vinyl.orm.scopes.lending import leave_loans
from vinyl.orm.scopes.scope import current_scope

__all__ = ["install"]


class InheritedBridge(Bridge):
    """The run in which a process was forked, in the child: nothing waits for it."""


def _leave_parent() -> None:
    """Take no part in what the parent was doing, and its connections out of reach."""
    current_scope.set(None)
    leave_loans()
    if in_bridge():
        # Not a Bridge to in_bridge(), so the child's code is plain sync code.
        current_bridge().__class__ = InheritedBridge
    disown_pools()
    for wrapper in list(listening):
        wrapper.disown()


_installed = False


def install() -> None:
    """Have it done in each process that is forked from now on. Once."""
    global _installed
    if not _installed and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_leave_parent)
        _installed = True
