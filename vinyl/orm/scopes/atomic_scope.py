"""The scope of an `atomic()` block: what a scope has only in a transaction."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.transaction import Atomic

from vinyl.bridge.greenlets import frames_around
from vinyl.orm.scopes.scope import ConnectionScope, current_scope

__all__ = ["AtomicScope", "after_commit", "savepoints_around"]

# The blocks that had been committed when this context was made: hooks of on_commit()
# may start tasks that outlive them.
_committed: ContextVar[frozenset[AtomicScope]] = ContextVar(
    "vinyl_committed", default=frozenset()
)


class AtomicScope(ConnectionScope):
    """
    The connection and the savepoints of an `atomic()` block.

    Args:
        parent: The scope around it, None for the outermost.
        owner: In a run of the bridge, Django's `Atomic` object.
        generator: The frame of the async generator that enters the block, if one does.
    """

    def __init__(
        self,
        parent: ConnectionScope | None,
        *,
        owner: Atomic | None = None,
        generator: FrameType | None = None,
    ) -> None:
        super().__init__(parent, block="atomic()")
        self.owner = owner
        self.generator = generator
        # Whether the code that reads from the generator has used the connection too,
        # between two values.
        self.used_outside = False
        # The savepoints around and of this block; None until it has begun.
        self.savepoints: set[str] | None = None

    def note_run_inside(self) -> None:
        if self.generator is not None and self.task_is_here():
            self.used_outside |= self.generator not in frames_around()

    def is_over(self) -> bool:
        return self in _committed.get() or super().is_over()

    def close(self) -> None:
        super().close()
        self.generator = None


def savepoints_around(alias: str) -> set[str] | None:
    """
    Return the savepoints on *alias* that the calling code is inside of; None if it is
    in no `atomic()` block. Never switches.
    """
    scope = current_scope.get()
    while scope is not None:
        if isinstance(scope, AtomicScope) and alias in scope.leases:
            if scope.savepoints is not None:
                return scope.savepoints
        scope = scope.parent
    return None


@contextmanager
def after_commit(wrapper: BaseDatabaseWrapper) -> Iterator[None]:
    """
    For the block that runs the commit hooks of *wrapper*: tasks started in it may
    outlive the scopes of the transaction. Never switches.
    """
    around = set()
    ended = set()
    scope = current_scope.get()
    while scope is not None:
        if isinstance(scope, AtomicScope):
            around.add(scope)
            lease = scope.leases.get(wrapper.alias)
            if lease is not None and lease.wrapper is wrapper:
                ended.add(scope)
        scope = scope.parent
    # Drop scopes that are no longer around this code.
    token = _committed.set((_committed.get() & around) | ended)
    try:
        yield
    finally:
        _committed.reset(token)
