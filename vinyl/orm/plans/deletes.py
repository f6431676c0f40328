"""
Plans for `delete()` where Django deletes with one statement.

It does so if it has nothing to collect before: no relation to the model cascades, and
no signal has receivers.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.db import (
    DEFAULT_DB_ALIAS,
    Error,
    connections,
    router,
    transaction,
)
from django.db.models import Model, QuerySet
from django.db.models.deletion import Collector
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_delete, pre_delete
from django.db.models.sql.subqueries import DeleteQuery

from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.observe.events import is_observed
from vinyl.orm.plans.execution import guarded, write
from vinyl.orm.plans.marked_query import MarkedQuery
from vinyl.orm.plans.plan import Plan
from vinyl.orm.plans.shapes import PLAIN, Node, Unplannable, root_of
from vinyl.orm.plans.terminals import Ready, Unknown, learned, ready
from vinyl.orm.plans.trails import in_place, is_enabled, moved, trail_of

__all__ = [
    "Delete",
    "deletes_fast",
    "is_transaction",
    "patch_delete",
    "patch_delete_instance",
    "patch_raw_delete",
    "result_of",
]

# The methods of an instance that Django's `delete()` calls.
_METHODS = tuple(
    (name, getattr(Model, name))
    for name in (
        "__getattribute__",
        "__hash__",
        "__setattr__",
        "_get_pk_val",
        "_is_pk_set",
        "pk",
    )
)
_ARGUMENTS = frozenset({"keep_parents", "using"})


class _ModelDeletes:
    """
    How instances of a class are deleted.

    Args:
        cls: The class.
        root: The root of the shapes of the class.
        fields: The fields and relations of the class. This object is valid as long as
            these and *root* are.
    """

    def __init__(self, cls: Any, root: Node, fields: Any) -> None:
        self.root = root
        self.fields = fields
        # True only while no signal has receivers.
        self.is_fast = Collector(using=DEFAULT_DB_ALIAS).can_fast_delete(cls)
        self.key: str = cls._meta.pk.attname
        self.is_plain = (
            not getattr(cls._meta, "is_composite_pk", False)
            and all(getattr(cls, name) is method for name, method in _METHODS)
            and type(inspect.getattr_static(cls, self.key)) is DeferredAttribute
        )
        # The names of the lookup that Django filters by.
        self.lookup = f"{self.key}__in"
        self.plans: dict[Hashable, Plan] = {}

    def plan(self, key: Any, connection: Any) -> Plan | None:
        """Return the plan for an instance, None if there is none. Never switches."""
        kind = type(key)
        of = kind, connection.alias, type(connection)
        plan = self.plans.get(of)
        if plan is None:
            kinds = (self.lookup, (list, kind, 1))
            node = self.root.child(("filter", False, False, (kinds,)))
            if node is None:
                return None
            plan = node.plans.get(("delete", connection.alias, type(connection)))
            if plan is not None:
                self.plans[of] = plan
        return plan


def _deletes_of(cls: Any) -> _ModelDeletes | None:
    """How instances of *cls* are deleted; None if signals have receivers."""
    # Most projects have no receivers at all, and that is quicker to check.
    if (pre_delete.receivers and pre_delete.has_listeners(cls)) or (
        post_delete.receivers and post_delete.has_listeners(cls)
    ):
        return None
    meta = cls._meta
    root = root_of(cls)
    # Another tuple after another model has got a relation to this one.
    fields = meta.get_fields(include_hidden=True)
    found: _ModelDeletes | None = vars(meta).get("vinyl_deletes")
    if found is None or found.root is not root or found.fields is not fields:
        found = meta.vinyl_deletes = _ModelDeletes(cls, root, fields)
    return found


def deletes_fast(queryset: Any) -> bool:
    """
    Whether Django deletes the rows of *queryset* with one statement. Never switches.
    """
    deletes = _deletes_of(queryset.model)
    return (
        deletes is not None
        and deletes.is_fast
        and type(queryset)._raw_delete is QuerySet._raw_delete
    )


def result_of(model: Any, count: int) -> tuple[int, dict[str, int]]:
    """Return the result of `delete()` of a queryset. Never switches."""
    return count, {model._meta.label: count} if count else {}


def is_transaction(connection: Any) -> bool:
    """
    Whether a statement on the open *connection* is a transaction by itself, and nothing
    observes the BEGIN and COMMIT that Django sends around it. Never switches.
    """
    return (
        isinstance(connection, BridgeMixin)
        and not connection.in_atomic_block
        and connection.autocommit
        and not is_observed(connection)
    )


def _transaction(connection: Any) -> AbstractContextManager[Any]:
    connection.ensure_connection()
    if is_transaction(connection):
        return nullcontext()
    return transaction.atomic(using=connection.alias, savepoint=False)


class Delete:
    """A `delete()` of an instance that one statement carries out."""

    __slots__ = ("_deletes", "alias", "key", "obj")

    def __init__(self, deletes: _ModelDeletes, obj: Any, alias: str, key: Any) -> None:
        self._deletes = deletes
        self.obj = obj
        self.alias = alias
        self.key = key

    @classmethod
    def of(cls, obj: Any, kwargs: Mapping[str, Any]) -> Delete | None:
        """
        Return the `Delete` for `obj.delete(**kwargs)`; None if Django has to delete
        *obj*. Never switches.
        """
        if not is_enabled() or not _ARGUMENTS.issuperset(kwargs):
            return None
        deletes = _deletes_of(type(obj))
        if deletes is None or not deletes.is_fast or not deletes.is_plain:
            return None
        key = obj.__dict__.get(deletes.key)
        if type(key) not in PLAIN:
            return None
        alias = kwargs.get("using")
        if not alias:
            if router.routers:
                return None
            alias = obj._state.db or DEFAULT_DB_ALIAS
        return cls(deletes, obj, alias, key)

    def plan(self, connection: Any) -> Plan | None:
        """Return its plan, None if there is none. Never switches."""
        return self._deletes.plan(self.key, connection)

    def queryset(self) -> Any:
        """Return the queryset of the row. Never switches."""
        rows: Any = QuerySet(type(self.obj), using=self.alias)
        return rows.filter(**{self._deletes.lookup: [self.key]})

    def finish(self, count: int) -> tuple[int, dict[str, int]]:
        """
        Remove the key of the object, and return the result of `delete()`. Never
        switches.
        """
        setattr(self.obj, self._deletes.key, None)
        return count, {self.obj._meta.label: count}


def patch_delete(method: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `delete()` of querysets to use plans."""

    @functools.wraps(method)
    def delete(self: Any) -> Any:
        trail = trail_of(self)
        if (
            trail is None
            or trail.node.is_sliced
            or self._sticky_filter
            or in_place(self)
            or not deletes_fast(self)
        ):
            return method(self)
        queryset = moved(self, trail)
        # Django asks the router for a database to write to.
        queryset._for_write = True
        try:
            found = ready(queryset, trail, "delete")
        except Error:
            raise
        except Exception:
            # Django raises it again, in its transaction.
            return method(self)
        if isinstance(found, Ready):
            plan, params, connection = found
            with _transaction(connection):
                rows = write(plan.sql, plan.statement, params, True, connection)
            self._result_cache = None
            return result_of(self.model, rows[0][0])
        if isinstance(found, Unknown):
            try:
                result = learned(queryset, trail, "delete", found.connection, method)
            except Unplannable:
                pass
            else:
                self._result_cache = None
                return result
        return method(self)

    return delete


def patch_raw_delete(method: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch `_raw_delete()`, which changes the class of a query, so that a marked query
    goes on recording.
    """

    @functools.wraps(method)
    def _raw_delete(self: Any, using: str | None) -> Any:
        query = self.query
        if isinstance(query, MarkedQuery):
            return query.chain(DeleteQuery).delete_rows(using)
        return method(self, using)

    return _raw_delete


def patch_delete_instance(method: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `delete()` of instances to use plans."""

    @functools.wraps(method)
    def delete(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = None if args else Delete.of(self, kwargs)
        if found is None:
            return method(self, *args, **kwargs)
        connection: Any = connections[found.alias]
        with guarded(connection):
            count = _deleted(found, connection)
        return method(self, **kwargs) if count is None else found.finish(count)

    return delete


def _deleted(found: Delete, connection: Any) -> int | None:
    """The number of rows that a plan has deleted; None if Django has to delete."""
    plan = found.plan(connection)
    if plan is not None:
        try:
            params = plan.bound(([found.key],), connection)
        except Unplannable:
            return None
        rows = write(plan.sql, plan.statement, params, True, connection)
        count: int = rows[0][0]
        return count
    try:
        queryset = found.queryset()
    except Exception:
        # The field does not accept the key. Django raises the error again.
        return None
    trail = trail_of(queryset)
    if trail is None:
        return None
    unknown = ready(queryset, trail, "delete")
    if not isinstance(unknown, Unknown):
        return None
    try:
        count = learned(
            queryset,
            trail,
            "delete",
            connection,
            lambda rows: rows._raw_delete(found.alias),
        )
    except Unplannable:
        return None
    return count
