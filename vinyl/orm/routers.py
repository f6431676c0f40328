"""
Database routing: writes to the primary, reads from replicas or the primary.

    DATABASE_ROUTERS = ["vinyl.orm.routers.PrimaryReplicaRouter"]
    VINYL = {"REPLICAS": ["replica"]}

Replicas lag behind the primary. After a write, a unit of work therefore reads from the
primary. A unit of work is a request, or the block of `with unit_of_work():`.
"""

from __future__ import annotations

import functools
import inspect
import random
import weakref
from collections.abc import Callable, Iterable
from contextvars import ContextVar, Token
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import DEFAULT_DB_ALIAS
from django.db.models import Model

from vinyl.bridge.tasks import running_task
from vinyl.conf import VinylSettings
from vinyl.orm.scopes.storage import in_transaction

__all__ = [
    "PrimaryReplicaRouter",
    "note_write",
    "patch_get_response",
    "unit_of_work",
]


class Unit:
    """
    Which databases a unit of work has written to, and which replicas it reads from.

    Args:
        opened: Whether `unit_of_work()` opened it, so that tasks started inside belong
            to it. Otherwise it is the unit of a single task or thread.
    """

    __slots__ = ("opened", "replicas", "task", "written")

    def __init__(self, *, opened: bool) -> None:
        self.opened = opened
        # The primaries that have been written to.
        self.written: set[str] = set()
        # By primary, the replica that was picked for the unit.
        self.replicas: dict[str, str] = {}
        self.task: weakref.ref[Any] | None = None
        if not opened and (task := running_task()) is not None:
            self.task = weakref.ref(task)

    def is_here(self) -> bool:
        """Whether the calling code belongs to it, and has not only inherited it."""
        return self.opened or (self.task and self.task()) is running_task()


# Mutable, so a write in a child task is known to its parent in the same unit.
_unit: ContextVar[Unit | None] = ContextVar("vinyl_unit", default=None)


def _current_unit() -> Unit:
    """Return the unit of the calling code, created if needed. Never switches."""
    unit = _unit.get()
    if unit is not None and unit.is_here():
        return unit
    own = Unit(opened=False)
    if unit is not None:
        # Children know what was written before they were started.
        own.written |= unit.written
    _unit.set(own)
    return own


class unit_of_work:
    """
    Return a context manager for a unit of work, which begins by reading from replicas,
    even after earlier writes.

    After a write in the block, all code in the block reads from the primary, including
    tasks and bridge runs started inside, and so does the code that follows the block.
    Use it for a job of a worker or a message of a long connection. Each request is a
    unit of work already, in `vinyl.web` and with Django's handlers.

    Use `with` in both modes. Never switches.
    """

    __slots__ = ("_opened", "_token")

    def __enter__(self) -> None:
        self._opened = Unit(opened=True)
        self._token: Token[Unit | None] = _unit.set(self._opened)

    def __exit__(self, *exc_info: object) -> None:
        try:
            _unit.reset(self._token)
        except ValueError:
            # Closed by the garbage collector in a context of its own, where this unit
            # has never been current.
            return
        if self._opened.written:
            _current_unit().written |= self._opened.written


def note_write(primary: str = DEFAULT_DB_ALIAS) -> None:
    """
    Make the rest of this unit of work read from *primary*.

    For writes that do not use the router: raw SQL, and `using()`.

    Args:
        primary: The alias of the primary that was written to.

    Never switches.
    """
    _current_unit().written.add(primary)


class PrimaryReplicaRouter:
    """
    A database router that sends writes to the primary and reads to a replica. Reads go
    to the primary as well

    - after a write in the same unit of work,
    - inside a transaction on the primary, and
    - for relations of an object that was loaded from the primary.

    A unit of work reads from one replica, chosen at random, so that a later read never
    returns older data. The router makes no decision for objects of other databases.

    Args:
        primary: The alias of the primary.
        replicas: The aliases of the replicas; None for `settings.VINYL["REPLICAS"]`.
            Without replicas, reads go to the primary.

    Raises:
        ImproperlyConfigured: *replicas* is not a list of aliases.
    """

    def __init__(
        self, primary: str = DEFAULT_DB_ALIAS, replicas: Iterable[str] | None = None
    ) -> None:
        if replicas is None:
            # Not the cached value: Django makes routers anew while settings change.
            replicas = VinylSettings.REPLICAS.read()
        if not isinstance(replicas, list | tuple):
            raise ImproperlyConfigured(
                f"The replicas of {type(self).__name__} are {replicas!r}, which must "
                f"be a list of database aliases. Write, for example, "
                f"VINYL = {{'REPLICAS': ['replica']}}."
            )
        self.primary = primary
        self.replicas = tuple(replicas)

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        """
        Return the alias to read *model* from, or None to leave it to other routers.

        Args:
            model: The model that the query selects.
            hints: Django's hints, of which `instance` is used.

        Raises:
            ScopeClosedError: Called in a task that has outlived its transaction on the
                primary.

        Never switches, and neither borrows a connection nor connects.
        """
        home = self._home_of(hints)
        if home is not None and home not in self.replicas:
            return home if home == self.primary else None
        unit = _current_unit()
        if (
            not self.replicas
            or self.primary in unit.written
            or in_transaction(self.primary)
        ):
            return self.primary
        replica = unit.replicas.get(self.primary)
        if replica not in self.replicas:
            replica = unit.replicas[self.primary] = random.choice(self.replicas)
        return replica

    def db_for_write(self, model: type[Model], **hints: Any) -> str | None:
        """
        Return the alias to write *model* to, and note the write; or return None to
        leave it to other routers.

        Args:
            model: The model whose table is written to.
            hints: Django's hints, of which `instance` is used.

        Never switches.
        """
        home = self._home_of(hints)
        if home not in (None, self.primary, *self.replicas):
            return None
        note_write(self.primary)
        return self.primary

    def allow_relation(self, obj1: Model, obj2: Model, **hints: Any) -> bool | None:
        """
        Return True if *obj1* and *obj2* both belong to these databases, otherwise None.
        The *hints* are not used. Never switches.
        """
        ours = (self.primary, *self.replicas)
        return (obj1._state.db in ours and obj2._state.db in ours) or None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        """
        Return False if *db* is a replica, which gets its tables from the primary,
        otherwise None. *app_label* and *hints* are not used. Never switches.
        """
        return False if db in self.replicas else None

    def _home_of(self, hints: dict[str, Any]) -> str | None:
        """The database of the object that a query belongs to, if there is one."""
        instance = hints.get("instance")
        return None if instance is None else instance._state.db

    def __repr__(self) -> str:
        replicas = ", ".join(self.replicas) or "none"
        return f"<{type(self).__name__} {self.primary}, replicas: {replicas}>"


def patch_get_response(respond: Callable[..., Any]) -> Callable[..., Any]:
    """
    Make each request a unit of work. (What a receiver of `request_started` sets in its
    context is lost where Django calls it in a task of its own.)

    Args:
        respond: `get_response` or `get_response_async` of Django's handlers.

    Never switches.
    """
    if inspect.iscoroutinefunction(respond):

        @functools.wraps(respond)
        async def get_response_async(self: Any, request: Any) -> Any:
            with unit_of_work():
                return await respond(self, request)

        return get_response_async

    @functools.wraps(respond)
    def get_response(self: Any, request: Any) -> Any:
        with unit_of_work():
            return respond(self, request)

    return get_response
