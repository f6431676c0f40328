"""
Placeholders: what `connection` is on the event loop where nothing holds a connection.

A placeholder never connects. What is set on it (`execute_wrapper()`,
`force_debug_cursor`) and logged through it (`queries`) applies to the connections that
its task borrows, and to those of tasks started from there.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import InterfaceError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from vinyl.bridge.mode import runs_sync
from vinyl.bridge.tasks import running_task
from vinyl.orm.backends.base import BridgeMixin

__all__ = [
    "has_placeholder",
    "placeholder_for",
    "placeholder_observes",
    "restoring_placeholders",
]


# The placeholders of this context by alias, each with a weak reference to the task that
# created it, so that child tasks do not keep it alive.
_placeholders: ContextVar[dict[str, tuple[weakref.ref[Any] | None, BridgeMixin]]]
_placeholders = ContextVar("vinyl_placeholders")


def placeholder_for(alias: str) -> BaseDatabaseWrapper | None:
    """
    Return the calling task's placeholder for the connection of *alias*; None if the
    ENGINE cannot wait on an event loop. Never switches.
    """
    made = _placeholders.get({})
    task = running_task()
    owner, inherited = made.get(alias, (None, None))
    if inherited is not None and (owner and owner()) is task:
        return inherited
    wrapper = connections.create_connection(alias)
    if not isinstance(wrapper, BridgeMixin):
        return None

    def ensure_connection() -> None:
        if runs_sync():
            raise InterfaceError(
                f"This connection object of database {alias!r} comes from the event "
                f"loop, where nothing held a connection, and cannot be used inside "
                f"the bridge or a thread. Get `connections[{alias!r}]` again there."
            )

    wrapper.ensure_connection = ensure_connection  # type: ignore[method-assign]
    if inherited is not None:
        # Settings of a parent task apply to its children, but not the reverse.
        wrapper.execute_wrappers = list(inherited.execute_wrappers)
        wrapper.force_debug_cursor = inherited.force_debug_cursor
        wrapper.queries_log = inherited.queries_log
    owner = None if task is None else weakref.ref(task)
    _placeholders.set({**made, alias: (owner, wrapper)})
    return wrapper


def has_placeholder(alias: str) -> bool:
    """
    Whether this context has a placeholder for *alias*, its own or an inherited one.
    Never switches.
    """
    return alias in _placeholders.get({})


def placeholder_observes(alias: str) -> bool:
    """
    Whether this context has a placeholder for *alias* whose `execute_wrapper()` or
    `force_debug_cursor` applies to the connections that it borrows. Never switches.
    """
    placeholders = _placeholders.get(None)
    if placeholders is None or alias not in placeholders:
        return False
    wrapper = placeholders[alias][1]
    return bool(wrapper.execute_wrappers or wrapper.force_debug_cursor)


@contextmanager
def restoring_placeholders() -> Iterator[None]:
    """
    After the block, restore the placeholders that the context had before it. Never
    switches.
    """
    before = _placeholders.get({})
    try:
        yield
    finally:
        _placeholders.set(before)
