"""The results of a queryset, again after each commit that may have changed them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from typing import Any, TypeVar

from django.db import NotSupportedError, connections, router
from django.db.models import Model, QuerySet
from django.db.transaction import TransactionManagementError

from vinyl.bridge.cancellation import outlast
from vinyl.bridge.greenlets import run
from vinyl.orm.dualmode.notifications import check_has_notifications
from vinyl.orm.live.notes import Note
from vinyl.orm.live.polling import Poller
from vinyl.orm.live.registry import source_for
from vinyl.orm.live.shared_session import SharedSession
from vinyl.orm.live.source import Source
from vinyl.orm.live.tables import name_in_catalog, tables_of_models, tables_read_by
from vinyl.orm.live.triggers import CHANNEL, require_triggers

__all__ = ["watch"]

M = TypeVar("M", bound=Model)

# How often a watch inside a transaction asks for changes, in seconds.
UNCOMMITTED_INTERVAL = 0.05


def watch(
    queryset: QuerySet[M],
    *,
    models: Iterable[type[Model]] | None = None,
    interval: float = 0.1,
) -> AsyncGenerator[list[M], None]:
    """
    Yield the results of *queryset* as a list, and again after each commit that changed
    one of its tables, in any process:

        async for albums in watch(Album.objects.filter(year=1965)):
            ...

    Commits that follow each other quickly, or while the code in the loop is busy, lead
    to one new list. A list may be equal to the one before it, because what changed may
    concern other rows.

    On PostgreSQL, triggers report the changes: see `WatchModel`. On SQLite one
    connection asks for changes twice a second.

    It reads the primary database: the alias of `queryset.using()`, or else the one that
    the router chooses for writing. Inside a transaction, as in tests, it watches for
    changes in that transaction.

    Args:
        queryset: Evaluated anew for each list.
        models: The models whose tables count; None for all tables that *queryset*
            reads. Name them for raw SQL, views and generic foreign keys.
        interval: Minimum time between two lists, in seconds.

    Raises:
        ImproperlyConfigured: A table has no trigger. Raised by the first iteration.
        NotSupportedError: The database is neither PostgreSQL nor SQLite.
        OperationalError: The database cannot be reached. Raised by the iteration.
        TransactionManagementError: The transaction in which it watches has ended.
            Raised by the iteration.
        TypeError: *queryset* is not a queryset, or *models* does not consist of models.
        ValueError: *interval* is not a number of seconds, or *models* is empty.

    Switches to the event loop in each iteration.
    """
    if not isinstance(queryset, QuerySet):
        raise TypeError(
            f"watch() was given {queryset!r}, which is not a queryset, so its tables "
            f"are unknown. Pass a queryset, such as Album.objects.all()."
        )
    is_number = isinstance(interval, int | float) and not isinstance(interval, bool)
    if not (is_number and 0 <= interval < math.inf):
        raise ValueError(
            f"watch() was given interval={interval!r}, which must be a finite number "
            f"of seconds, 0 or greater."
        )
    if models is not None:
        models = _check_models(models)
    own: Any = queryset
    alias = own._db or router.db_for_write(own.model, **own._hints)
    return _lists(queryset.using(alias), models, interval)


def _check_models(models: Any) -> tuple[type[Model], ...]:
    classes = tuple(models) if isinstance(models, Iterable) else (None,)
    if not all(isinstance(each, type) and issubclass(each, Model) for each in classes):
        raise TypeError(
            f"watch() was given models={models!r}, which must be a list of model "
            f"classes, such as [Album]."
        )
    if not classes:
        raise ValueError(
            "watch() was given no models, so no change would lead to another list. "
            "Name one or more, or omit `models` for all that the queryset reads."
        )
    return classes


async def _lists(
    queryset: QuerySet[M], models: Iterable[type[Model]] | None, interval: float
) -> AsyncGenerator[list[M], None]:
    read: Any = queryset
    if models is None:
        # In the bridge, because compiling may ask for the version of the server.
        tables = await run(tables_read_by, queryset, queryset.db)
    else:
        tables = tables_of_models(models)
    time = asyncio.get_running_loop().time
    changes = _changes_of(queryset.db, tables)
    try:
        await changes.begin()
        while True:
            due = time() + interval
            await changes.clear()
            yield await read.all()
            await changes.wait()
            await asyncio.sleep(max(0.0, due - time()))
    finally:
        changes.end()


def _changes_of(alias: str, tables: set[str]) -> Changes:
    connection: Any = connections[alias]
    if connection.vendor == "postgresql":
        check_has_notifications("watch()", connection)
    elif connection.vendor != "sqlite":
        raise NotSupportedError(
            f"watch() was called for database {alias!r}, whose ENGINE "
            f"{connection.settings_dict['ENGINE']!r} reports no changes. Use "
            f"PostgreSQL or SQLite."
        )
    if _is_private(connection):
        return UncommittedChanges(alias, tables)
    return CommittedChanges(alias, tables)


def _is_private(connection: Any) -> bool:
    """Whether nobody else can see what is changed there."""
    in_memory = getattr(connection, "is_in_memory_db", bool)
    return bool(connection.in_atomic_block or in_memory())


class Changes:
    """
    Whether any of *tables* has changed.

    Args:
        alias: The alias of the database.
        tables: The names of the tables.
    """

    def __init__(self, alias: str, tables: set[str]) -> None:
        self.alias = alias
        self.tables = tables

    async def begin(self) -> None:
        """Notice changes from here on. Switches to the event loop."""

    async def clear(self) -> None:
        """Forget the changes so far. Switches to the event loop."""
        raise NotImplementedError

    async def wait(self) -> None:
        """Return when there has been a change. Switches to the event loop."""
        raise NotImplementedError

    def end(self) -> None:
        """Notice no more changes. Never switches."""


class CommittedChanges(Changes):
    """What any process commits, as the event loop's source reports it."""

    channels = (CHANNEL,)

    def __init__(self, alias: str, tables: set[str]) -> None:
        super().__init__(alias, tables)
        # What notifications contain.
        self._names = set(map(name_in_catalog, tables))
        self._has_changed = asyncio.Event()
        self._error: Exception | None = None
        is_sqlite = connections[alias].vendor == "sqlite"
        self._source: Source = source_for(Poller if is_sqlite else SharedSession, alias)

    async def begin(self) -> None:
        if isinstance(self._source, SharedSession):
            await run(require_triggers, self.alias, self.tables)
        await self._source.add(self)

    async def clear(self) -> None:
        self._has_changed.clear()

    async def wait(self) -> None:
        await self._has_changed.wait()
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        self._source.remove(self)

    def put(self, note: Note) -> None:
        if note.payload in self._names:
            self._has_changed.set()

    def put_missed(self) -> None:
        self._has_changed.set()

    def fail(self, error: Exception) -> None:
        self._error = error
        self._has_changed.set()


class UncommittedChanges(Changes):
    """
    What is changed in the surrounding transaction, or in a database that exists in
    memory: nobody else can see it and report it.
    """

    # How many rows have been changed, when it was last asked.
    _count = 0

    async def clear(self) -> None:
        self._count = await self._rows_changed()

    async def wait(self) -> None:
        # No Event: nothing reports it.
        while await self._rows_changed() == self._count:  # noqa: ASYNC110
            await asyncio.sleep(UNCOMMITTED_INTERVAL)

    async def _rows_changed(self) -> int:
        """How many rows the connection has changed."""
        asking = asyncio.ensure_future(run(self._ask))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            # A cancelled query would spoil the transaction, in which others go on.
            with suppress(Exception):
                await outlast(asking)
            raise

    def _ask(self) -> int:
        connection = connections[self.alias]
        if not _is_private(connection):
            raise TransactionManagementError(
                "watch() was started inside of a transaction, which has ended, so it "
                "cannot notice changes any more. Leave the loop before the end of the "
                "transaction, or call watch() outside."
            )
        with connection.cursor() as cursor:
            if connection.vendor == "sqlite":
                cursor.execute("SELECT total_changes()")
            else:
                cursor.execute(
                    "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del) "
                    "FROM pg_stat_xact_user_tables WHERE relname = ANY(%s)",
                    [sorted(map(name_in_catalog, self.tables))],
                )
            return cursor.fetchone()[0]
