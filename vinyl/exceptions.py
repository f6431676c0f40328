"""
Every error that vinyl itself raises.

    VinylError
    ├── AlreadyAwaitedError     a dual-mode call was awaited a second time
    ├── BridgeError             await_() was called outside the bridge
    ├── ForeignLoopError        a connection was used in another event loop
    ├── NotAwaitedError         a database operation was used without await
    ├── NotFetchedError         a lazy attribute was used before it was awaited
    │   └── LazyInTemplateError a template used one, and the settings forbid it
    ├── ScopeClosedError        a task outlived the transaction that it inherited
    ├── PoolTimeout             no connection became free in time
    │   └── PoolFull            the queue for a connection is full
    └── UnsupportedVersion      this version of Django is not supported

Most of them also inherit from the exception that Django or Python raises in the same
situation; see each class. A note on each of them, which tracebacks show, links to its
section of the documentation.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured, SynchronousOnlyOperation
from django.db import OperationalError
from django.db.transaction import TransactionManagementError

from vinyl import DOCUMENTATION

__all__ = [
    "AlreadyAwaitedError",
    "BridgeError",
    "ForeignLoopError",
    "LazyInTemplateError",
    "NotAwaitedError",
    "NotFetchedError",
    "PoolFull",
    "PoolTimeout",
    "ScopeClosedError",
    "UnsupportedVersion",
    "VinylError",
]


class VinylError(Exception):
    """The base class of vinyl's errors."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        # A subclass may be a user's.
        names = (
            cls.__name__ for cls in type(self).__mro__ if cls.__module__ == __name__
        )
        page = f"{DOCUMENTATION}/reference/errors.html"
        self.add_note(f"See {page}#{next(names).lower()}")


class AlreadyAwaitedError(VinylError, RuntimeError):
    """
    A dual-mode call was awaited a second time, or by two tasks.

    A `RuntimeError`, which Python raises for any coroutine that is awaited twice.
    """


class BridgeError(VinylError, RuntimeError):
    """`await_()` was called outside the bridge, where no event loop can wait for it."""


class ForeignLoopError(VinylError, RuntimeError):
    """A connection was used in an event loop that it does not belong to."""


class NotFetchedError(VinylError):
    """
    A lazy attribute was used as a value before it was awaited.

    It is deliberately not an `AttributeError`: `hasattr()`, `getattr(x, name, default)`
    and Jinja2 suppress those, so the mistake would give a wrong result without an
    error.

    Args:
        owner: The name of the model.
        attribute: The name of the lazy attribute.
        use: What the code did with it, such as "comparing it".
        remedy: What to do, in sentences; None for the usual ways to load it.
    """

    def __init__(
        self, owner: str, attribute: str, use: str, remedy: str | None = None
    ) -> None:
        self.owner = owner
        self.attribute = attribute
        if remedy is None:
            remedy = (
                f"Await it first (`await obj.{attribute}`), fetch it for many objects "
                f"with `await fetch(objs, {attribute!r})`, or load it with the "
                f"queryset (select_related, prefetch_related)."
            )
        super().__init__(
            f"{owner}.{attribute} has not been fetched, so {use} is not possible. "
            f"{remedy}"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class LazyInTemplateError(NotFetchedError):
    """
    A template used a lazy attribute that was not loaded, and
    `VINYL["LAZY_IN_TEMPLATES"]` is "raise".

    Args:
        owner: The name of the model.
        attribute: The name of the lazy attribute.
        template: The file of the template.
        line: The line number in the template.
        cure: What to do, in sentences.

    All arguments except `cure` are attributes of the error.
    """

    def __init__(
        self, owner: str, attribute: str, template: str, line: int, cure: str
    ) -> None:
        self.owner = owner
        self.attribute = attribute
        self.template = template
        self.line = line
        VinylError.__init__(
            self,
            f"{owner}.{attribute} is not loaded where {template}, line {line}, touches "
            f"it, and VINYL['LAZY_IN_TEMPLATES'] is 'raise'. {cure}",
        )


class NotAwaitedError(VinylError, SynchronousOnlyOperation):
    """
    The result of a database operation was used on the event loop without `await`.

    A `SynchronousOnlyOperation`, which Django raises in the same situation.
    """


class ScopeClosedError(VinylError, TransactionManagementError):
    """A task used an inherited transaction after the transaction had ended."""


class PoolTimeout(VinylError, OperationalError):
    """
    All connections of the pool stayed in use for the whole timeout.

    Attributes: `alias`, `size` (connections in use), `timeout` (in seconds), `waiting`
    (other tasks in the queue), `holders` (a line for each of the tasks that have held a
    connection longest: for how long, its name, and where it is now).
    """

    reason = "No connection to database {alias!r} became free within {timeout:g} s"
    remedy = "Hold connections for a shorter time, or raise {pool}['max_size']."

    def __init__(
        self,
        alias: str,
        size: int,
        timeout: float,
        waiting: int,
        holders: tuple[str, ...] = (),
    ) -> None:
        self.alias = alias
        self.size = size
        self.timeout = timeout
        self.waiting = waiting
        self.holders = holders
        pool = f"DATABASES[{alias!r}]['OPTIONS']['pool']"
        held = f" Held longest: {'; '.join(holders)}." if holders else ""
        super().__init__(
            f"{self.reason.format(alias=alias, timeout=timeout)}: all {size} are in "
            f"use and {waiting} other tasks wait.{held} {self.remedy.format(pool=pool)}"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


class PoolFull(PoolTimeout):
    """The maximum number of tasks was already waiting for a connection."""

    reason = "No connection to database {alias!r} is free, and the queue is full"
    remedy = (
        "Take in less work at a time, hold connections for a shorter time, or raise "
        "{pool}['max_size'] or ['max_waiting']."
    )


class UnsupportedVersion(VinylError, ImproperlyConfigured):
    """
    The installed Django is not supported, or Django or another library lacks a name
    that vinyl uses.
    """


def _rebuild(cls: type, args: tuple[Any, ...], state: dict[Any, Any]) -> BaseException:
    """Unpickle an error whose constructor builds its message from its arguments."""
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error
