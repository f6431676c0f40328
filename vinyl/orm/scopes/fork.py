"""
In a forked process: leave the parent's connections alone.

The child has the parent's connections in memory, and shares their sockets. Whatever it
sent over one would reach the parent's session, even the Terminate message of a
connection that is closed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakSet

from vinyl.bridge.greenlets import leave_run

if TYPE_CHECKING:
    from vinyl.orm.backends.base import BridgeMixin

__all__ = ["call_in_child", "disown_in_child", "install"]

_hooks: list[Callable[[], object]] = []
# Connections outside of pools that a forked process must not touch.
_foreign: WeakSet[BridgeMixin] = WeakSet()


def call_in_child(hook: Callable[[], object]) -> None:
    """
    Have *hook* called in each process that is forked from now on.

    Args:
        hook: Makes connections of the parent unusable. It must send nothing over their
            sockets; `BridgeMixin.disown()` does that for one connection.

    Never switches.
    """
    _hooks.append(hook)


def disown_in_child(wrapper: BridgeMixin) -> None:
    """
    Have *wrapper*, which is in no pool, made unusable in each process that is forked
    from now on. Never switches.
    """
    _foreign.add(wrapper)


def _leave_parent() -> None:
    """Leave the scopes and runs of the parent, and make its connections unusable."""
    _call("vinyl.orm.scopes.scope", "leave_scopes")
    _call("vinyl.orm.scopes.lending", "leave_loans")
    leave_run()
    _call("vinyl.orm.pools.registry", "disown_pools")
    for wrapper in list(_foreign):
        wrapper.disown()
    for hook in _hooks:
        hook()


def _call(module: str, name: str) -> None:
    """Call a function of *module*, unless the parent has not imported it."""
    if (function := getattr(sys.modules.get(module), name, None)) is not None:
        function()


_installed = False


def install() -> None:
    """
    Have each process that is forked from now on leave the parent's connections alone;
    more than once does no harm. Never switches.
    """
    global _installed
    if not _installed and hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_leave_parent)
        _installed = True
