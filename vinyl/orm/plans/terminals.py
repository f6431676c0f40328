"""
The methods of QuerySet that run a query: by a plan, or through Django.

When a shape comes for the second time, Django runs it once more, and its plan is made.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist
from django.db import connections
from django.db.models import sql
from django.db.models.query import MAX_GET_RESULTS
from django.db.models.sql.subqueries import DeleteQuery

from vinyl.orm import plans
from vinyl.orm.plans.execution import converted, fetch
from vinyl.orm.plans.retaking import retake
from vinyl.orm.plans.shapes import Trail
from vinyl.orm.plans.trails import (
    COPIED,
    is_as_made,
    is_enabled,
    moved,
    trail_of,
)
from vinyl.orm.plans.values import Unplannable
from vinyl.records import NamedTuple

if TYPE_CHECKING:
    from vinyl.orm.plans.plan import Plan

__all__ = [
    "RESULTS",
    "Ready",
    "Unknown",
    "fetched",
    "found_for",
    "is_due",
    "learned",
    "objects_of",
    "only",
    "patch_first",
    "patch_get",
    "patch_iter",
    "patch_scalar",
    "ready",
]

# The terminals whose queries give one value, or write.
_WITHOUT_ROWS = frozenset({"aggregate", "count", "delete", "exists", "update"})
# Whether a shape gets its plan when it comes for the first time. Tests set it.
learns_at_once = False


class Ready(NamedTuple):
    """A plan with all that it takes to run it."""

    plan: Plan
    params: tuple[Any, ...]
    connection: Any


class Unknown(NamedTuple):
    """A shape has come often enough to have its plan made, on *connection*."""

    connection: Any


def is_due(queryset: Any, trail: Trail, terminal: str) -> bool:
    """
    Whether *terminal* of *queryset* may have a plan, or have one made. Routers are only
    asked then: Django asks them where there is no plan. Never switches.
    """
    node = trail.node
    if not is_enabled() or not node.is_current() or not is_as_made(queryset, trail):
        return False
    if terminal not in node.seen:
        node.seen.add(terminal)
        if not learns_at_once:
            return False
    return terminal not in node.refused


def ready(queryset: Any, trail: Trail, terminal: str) -> Ready | Unknown | None:
    """
    Return the plan for *terminal* of *queryset*, or Unknown if it is to be made; None
    if Django is to run the query.

    Switches to the event loop, inside the bridge, if it has to wait for a connection.
    """
    if not is_due(queryset, trail, terminal):
        return None
    return found_for(queryset, trail, terminal)


def found_for(queryset: Any, trail: Trail, terminal: str) -> Ready | Unknown | None:
    """
    As `ready()`, for what `is_due()`. Switches to the event loop, inside the bridge, if
    it has to wait for a connection.
    """
    connection: Any = connections[queryset.db]
    plan = trail.node.plans.get((terminal, connection.alias, type(connection)))
    if plan is None:
        return Unknown(connection)
    if not trail.is_fixed and not trail.is_deferred:
        return None
    if plan.locks and connection.get_autocommit():
        # Django raises an error.
        return None
    try:
        return Ready(plan, plan.bound(trail.values, connection), connection)
    except Unplannable:
        return None


def learned(
    queryset: Any,
    trail: Trail,
    terminal: str,
    connection: Any,
    run: Callable[[Any], Any],
    assigned: Sequence[Any] = (),
) -> Any:
    """
    Run the query of *queryset* through Django and keep its plan; return its result.

    Args:
        run: Runs the query of a queryset and returns its result.
        assigned: The values that an UPDATE assigns, without expressions.

    Raises:
        Unplannable: It has no plan. Nothing has run, and Django is to run the query,
            outside the handler of this error.

    Switches to the event loop, inside the bridge.
    """
    node = trail.node
    key = terminal, connection.alias, type(connection)

    def build(make_query: type[sql.Query], values: tuple[Any, ...]) -> Any:
        replica = retake(node, iter(values), make_query)
        for name in COPIED:
            replica.__dict__[name] = queryset.__dict__[name]
        replica._trail = None
        # Or its router would be asked again.
        replica._db = connection.alias
        return replica

    def keep(plan: Plan | None) -> None:
        # Django may have collected objects after all, which has read them first.
        if terminal == "delete" and not isinstance(plan and plan.query, DeleteQuery):
            return
        if plan is not None:
            node.plans[key] = plan
            node.refused.discard(terminal)

    # Others need not learn it meanwhile.
    node.refused.add(terminal)
    try:
        gives_rows = terminal not in _WITHOUT_ROWS
        same = None if trail.is_fixed else queryset
        return plans.learning.learn(
            node,
            trail.values,
            connection.alias,
            build,
            run,
            keep,
            gives_rows,
            same,
            assigned,
        )
    except (Unplannable, ObjectDoesNotExist, MultipleObjectsReturned):
        raise
    except BaseException:
        # Of the database, or a cancellation: it says nothing of the shape.
        node.refused.discard(terminal)
        raise


def fetched(found: Ready) -> Any:
    """
    Run the query of a plan and return its rows, with converted values.

    Switches to the event loop, inside the bridge.
    """
    plan, params, connection = found
    return converted(plan, fetch(plan, params, connection), connection)


def patch_iter(iterate: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(iterate)
    def __iter__(self: Any) -> Any:
        queryset = self.queryset
        found = queryset.__dict__.get("_ready")
        if found is None:
            trail = trail_of(queryset)
            if trail is None:
                return iterate(self)
            found = ready(queryset, trail, "rows")
            if isinstance(found, Unknown):
                cls = type(self)

                def run(replica: Any) -> Any:
                    return list(cls(replica))

                with suppress(Unplannable):
                    return iter(learned(queryset, trail, "rows", found.connection, run))
                return iterate(self)
            if found is None:
                return iterate(self)
        rows = fetched(found)
        return iter(found.plan.load(rows, queryset, found.connection.alias))

    return __iter__


def patch_get(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def get(self: Any, *args: Any, **kwargs: Any) -> Any:
        if trail_of(self) is None or self._prefetch_related_lookups:
            return method(self, *args, **kwargs)
        queryset = self.filter(*args, **kwargs) if args or kwargs else self
        objects, result = objects_of(queryset, trail_of(queryset), "get", method)
        if objects is None:
            return result
        return only(self.model, objects)

    return get


def patch_first(method: Callable[..., Any]) -> Callable[..., Any]:
    """For `first()` and `last()`."""
    terminal = method.__name__

    @functools.wraps(method)
    def first(self: Any) -> Any:
        if (
            trail_of(self) is None
            or self._prefetch_related_lookups
            or self._result_cache is not None
        ):
            return method(self)
        objects, result = objects_of(self, trail_of(self), terminal, method)
        if objects is None:
            return result
        return first_of(self.model, objects)

    return first


def objects_of(
    queryset: Any, trail: Trail | None, terminal: str, method: Callable[..., Any]
) -> tuple[list[Any] | None, Any]:
    """
    Return the objects that the plan gives for *terminal* on *trail*; without a plan,
    None and the result of Django's *method*.

    Switches to the event loop, inside the bridge.
    """
    found = None if trail is None else ready(queryset, trail, terminal)
    if trail is None or found is None:
        return None, method(queryset)
    if isinstance(found, Unknown):
        with suppress(Unplannable):
            return None, learned(queryset, trail, terminal, found.connection, method)
        return None, method(queryset)
    planned = moved(queryset, trail)
    planned._ready = found
    # By way of the queryset, as its rows always are.
    planned._fetch_all()
    return planned._result_cache, None


def patch_scalar(method: Callable[..., Any]) -> Callable[..., Any]:
    """For a method whose query gives one value: `exists()` and `count()`."""
    terminal = method.__name__
    result = RESULTS[terminal]

    @functools.wraps(method)
    def scalar(self: Any) -> Any:
        trail = trail_of(self)
        if trail is None or self._result_cache is not None:
            return method(self)
        found = ready(self, trail, terminal)
        if found is None:
            return method(self)
        if isinstance(found, Unknown):
            with suppress(Unplannable):
                return learned(self, trail, terminal, found.connection, method)
            return method(self)
        return result(self.model, fetched(found))

    return scalar


def only(model: Any, objects: list[Any]) -> Any:
    """
    Return the only one of *objects*, as `get()` does.

    Raises: DoesNotExist and MultipleObjectsReturned of *model*.

    Never switches.
    """
    if len(objects) == 1:
        return objects[0]
    name = model._meta.object_name
    if not objects:
        raise model.DoesNotExist(f"{name} matching query does not exist.")
    number = len(objects)
    shown = number if number < MAX_GET_RESULTS else f"more than {MAX_GET_RESULTS - 1}"
    raise model.MultipleObjectsReturned(
        f"get() returned more than one {name} -- it returned {shown}!"
    )


def first_of(model: Any, objects: list[Any]) -> Any:
    """Return the first of *objects*, None if there is none. Never switches."""
    return objects[0] if objects else None


# What each method returns, from a model and the objects or rows that its plan gives.
RESULTS: dict[str, Callable[[Any, list[Any]], Any]] = {
    "count": lambda model, rows: rows[0][0],
    "exists": lambda model, rows: bool(rows),
    "first": first_of,
    "get": only,
    "last": first_of,
}
