"""
Scopes: which connection the running code uses.

scope.py         START HERE: what a block or run holds, and how code finds it
atomic_scope.py  the scope of an atomic() block
run_scope.py     the scope of a run of the bridge
lease.py         a connection as one scope holds it, and who uses it inside
operation.py     the connection of one operation outside the bridge
lock.py          the lock on a connection that tasks share
storage.py       where Django's `connections` finds the connections of the scopes
placeholder.py   what `connection` is on the event loop where nothing is held
lending.py       connections that a loop lends to a thread, and a thread to a loop
fork.py          leaving the parent's connections alone in a forked process
"""

from typing import TYPE_CHECKING

from vinyl.bridge.imports import importer_of

if TYPE_CHECKING:
    from vinyl.orm.scopes import (
        atomic_scope,
        lending,
        operation,
        placeholder,
        run_scope,
        scope,
    )
else:
    # Modules that only code on an event loop needs: imported with their first use.
    __getattr__ = importer_of(__name__)

__all__ = [
    "atomic_scope",
    "lending",
    "operation",
    "placeholder",
    "run_scope",
    "scope",
]
