"""
Reads from replicas, writes to the primary, and reads of one's own writes.

    DATABASE_ROUTERS = ["vinyl.orm.routers.PrimaryReplicaRouter"]
    VINYL = {"REPLICAS": ["replica"]}

A replica lags behind. What a unit of work has written it reads back from the primary,
so a unit keeps note of its writes: a request is one, and so is `with unit_of_work():`.
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
    What a unit of work has written, and where it reads.

    Args:
        opened: By `unit_of_work()`, so that tasks started inside belong to it. Any
            other is that of one task or thread, and its children get their own.
    """

    __slots__ = ("opened", "replicas", "task", "written")

    def __init__(self, *, opened: bool) -> None:
        self.opened = opened
        task = None if opened else running_task()
        self.task = None if task is None else weakref.ref(task)
        # The primaries that have been written to.
        self.written: set[str] = set()
        # By primary, the replica that was picked for the unit.
        self.replicas: dict[str, str] = {}

    def is_here(self) -> bool:
        """Whether the calling code belongs to it, and did not merely inherit it."""
        return self.opened or (self.task and self.task()) is running_task()


# Mutable, so a write in a child task is known to its parent in the same unit.
_unit: ContextVar[Unit | None] = ContextVar("vinyl_unit", default=None)


def _current_unit() -> Unit:
    """The unit of the calling code; made here if none was opened. Never switches."""
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
    `with unit_of_work():` begins with reads from replicas, whatever was written before.

    After a write in the block everything in it reads from the primary, tasks and bridge
    runs started inside included; and so does, after the block, the code around it. For
    one job of a worker, one message of a long connection. Requests have one each, with
    `vinyl.web` and with Django's handlers.

    A plain `with` in both modes. Never switches.
    """

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
    Have the rest of this unit of work read from *primary*.

    For writes that no router is asked about: raw SQL, and `using()`. Never switches.
    """
    _current_unit().written.add(primary)


class PrimaryReplicaRouter:
    """
    A database router: writes go to the primary, reads to a replica, unless they must
    see what only the primary has for sure. They go to the primary, too,

    - after a write in the same unit of work,
    - inside a transaction on the primary, and
    - for what belongs to an object that was loaded there.

    One replica serves a unit of work, picked at random, so that its reads do not go
    back in time. Objects of databases that are neither are left to other routers.

    Args:
        primary: The alias that is written to.
        replicas: The aliases that are read from, None for `settings.VINYL["REPLICAS"]`.
            Without any, the primary is read.

    Raises:
        ImproperlyConfigured: The replicas are no list of aliases.
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
        The alias that *model* is read from; None to leave it to other routers.

        Args:
            model: The model that the query selects.
            hints: Django's hints, of which `instance` is used.

        Raises:
            ScopeClosedError: In a task that outlived its transaction on the primary.

        Never switches, and neither lends a connection nor connects.
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
        The alias that *model* is written to, noting that it is; None to leave it to
        other routers.

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
        True if *obj1* and *obj2* are both from these databases, else None. The *hints*
        are not used. Never switches.
        """
        ours = (self.primary, *self.replicas)
        return (obj1._state.db in ours and obj2._state.db in ours) or None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        """
        False if *db* is a replica, which gets its tables from the primary, else None.
        The *app_label* and the *hints* are not used. Never switches.
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
