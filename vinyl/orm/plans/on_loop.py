"""
Running the queries of plans on the event loop, outside the bridge.

A plan that runs only Django's code needs no greenlet, because no code of a project or a
package can wait for something else. In all other cases the functions here do nothing
and return None, and the caller runs Django's method in the bridge.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from types import MappingProxyType
from typing import Any

from django.db import DEFAULT_DB_ALIAS, Error, router
from django.db.models.query import QuerySet

from vinyl.bridge.greenlets import run
from vinyl.orm import plans
from vinyl.orm.backends.reconnection import prepare_retry
from vinyl.orm.backends.statements import Statement
from vinyl.orm.observe.events import begin, has_observers, needs_cursor
from vinyl.orm.plans.execution import converted
from vinyl.orm.plans.inners import Found as Inside
from vinyl.orm.plans.inners import are_fixed, values_of
from vinyl.orm.plans.pipelined_reads import may_join, rows_with_others
from vinyl.orm.plans.plain_models import has_hooks, key_names
from vinyl.orm.plans.plan import Plan
from vinyl.orm.plans.queued_reads import can_share, rows_or_connection
from vinyl.orm.plans.shapes import LastStep, Node
from vinyl.orm.plans.trails import is_as_made, is_enabled, settled, trail_of
from vinyl.orm.plans.values import Unplannable, keyed
from vinyl.orm.pools.pool import Pool
from vinyl.orm.pools.registry import pool_for
from vinyl.orm.scopes.operation import (
    acquire,
    acquire_nowait,
    lease_here,
    needs_run,
    release,
)
from vinyl.records import NamedTuple

__all__ = ["Found", "aggregate", "fetch", "find", "sending"]


class Found(NamedTuple):
    """A plan that can run here, with the values of its query."""

    plan: Plan
    statement: Statement
    values: tuple[Any, ...]
    alias: str
    terminal: str
    pool: Pool


def find(
    queryset: Any,
    terminal: str,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] = MappingProxyType({}),
    last: LastStep | None = None,
    has_prefetches: bool = False,
) -> Found | None:
    """
    Return the plan for *terminal* of `queryset.filter(*args, **kwargs)`; None if it is
    not known or cannot run here.

    Args:
        queryset: The queryset.
        terminal: As for `fetch()`; also "aggregate", "update" and "delete".
        args: The conditions of `get()`.
        kwargs: The keyword arguments of `get()`.
        last: The assignments of an UPDATE, or the expressions of `aggregate()`; None
            for other methods.
        has_prefetches: Whether the caller does the prefetches of *queryset*.

    Never switches.
    """
    trail = trail_of(queryset)
    if trail is None or not is_enabled():
        return None
    if queryset._result_cache is not None:
        return None
    if queryset._prefetch_related_lookups and not has_prefetches:
        return None
    now = settled(trail)
    if not now.is_fixed or not is_as_made(queryset, now):
        return None
    node, values = now.node, now.values
    if args or kwargs:
        if terminal != "get":
            # Django's method has no such parameters.
            return None
        found = _filtered(queryset, node, args, kwargs)
        if found is None:
            return None
        node, more = found
        values = (*values, *more)
    if last is not None:
        child = node.child(last.key)
        if child is None:
            return None
        node = child
        values = (*values, *last.values)
    if type(queryset).db is not QuerySet.db:
        return None
    alias = queryset._db
    if alias is None:
        if router.routers:
            return None
        # The choice that Django makes if a project has no routers.
        instance = queryset._hints.get("instance") if queryset._hints else None
        alias = None if instance is None else instance._state.db
        alias = alias or DEFAULT_DB_ALIAS
    if not node.is_current():
        return None
    pool = pool_for(alias)
    plan = node.plans.get((terminal, alias, pool.wrapper_class))
    if plan is None or plan.statement is None or not plan.is_djangos or plan.locks:
        return None
    if needs_run(alias):
        return None
    for model in plan.models:
        if has_hooks(model):
            return None
    if queryset._known_related_objects and _fetches_keys(queryset, plan):
        return None
    return Found(plan, plan.statement, values, alias, terminal, pool)


def _filtered(
    queryset: Any, node: Node, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Node, list[Any]] | None:
    """The node that a filter of *queryset* leads to, and its values, if it is known."""
    values: list[Any] = []
    inside: list[Inside] = []
    if queryset._sticky_filter or queryset._defer_next_filter:
        return None
    try:
        key = "filter", False, False, keyed(args, kwargs, values, inside)
    except Unplannable:
        return None
    child = node.child(key)
    if child is None or child.binders is None:
        return None
    kept = []
    for binder, value in zip(child.binders, values, strict=True):
        # Preparing an instance may read a deferred attribute.
        if binder.is_of_instances:
            return None
        try:
            kept.append(binder.kept(value) if binder.prepares else value)
        except Unplannable:
            return None
    if inside:
        if not are_fixed(inside):
            return None
        kept += values_of(inside)
    return child, kept


def _fetches_keys(queryset: Any, plan: Plan) -> bool:
    """
    Whether the loader may fetch deferred keys, to find the related objects that the
    queryset knows.
    """
    return plan.names is not None and any(
        not plan.names.issuperset(key_names(field, queryset.model))
        for field in queryset._known_related_objects
    )


async def _rows(found: Found) -> list[Any] | None:
    """The rows of a plan, with converted values; None if it needs the bridge."""
    lease = lease_here(found.alias)
    if lease is None and (pooled := found.pool.acquire_nowait()) is not None:
        # Most reads.
        try:
            return await _rows_alone(found, pooled)
        finally:
            found.pool.release_briefly(pooled)
    while True:
        if lease is None:
            return await _rows_of_pool(found, pool_for(found.alias))
        if not may_join(lease.wrapper):
            single, source = acquire_nowait(found.alias) or await acquire(found.alias)
            try:
                return await _rows_alone(found, single)
            finally:
                release(single, source)
        wrapper: Any = lease.wrapper
        try:
            params = found.plan.bound(found.values, wrapper)
        except Unplannable:
            return None
        try:
            rows = await rows_with_others(found.statement, params, lease)
        except wrapper.Database.Error:
            with wrapper.wrap_database_errors:
                raise
        if rows is True:
            try:
                return await _rows_alone(found, wrapper, params)
            finally:
                lease.lock.release()
        if rows is not None:
            return converted(found.plan, rows, wrapper)
        lease = lease_here(found.alias)


async def _rows_of_pool(found: Found, pool: Pool) -> list[Any] | None:
    """As `_rows()`, outside any block."""
    wrapper: Any = pool.acquire_nowait()
    other: Any
    params: tuple[Any, ...] | None = None
    if wrapper is None:
        plan, other = found.plan, next(iter(pool.in_use), None)
        if found.terminal == "get" and other is not None and can_share(other, plan):
            # It is in use, but its settings are those of all.
            try:
                params = plan.bound(found.values, other)
            except Unplannable:
                return None
            try:
                given = await rows_or_connection(plan, params, pool)
            except other.Database.Error:
                with other.wrap_database_errors:
                    raise
            if isinstance(given, list):
                return converted(plan, given, other)
            wrapper = given
        else:
            wrapper = await pool.acquire()
    try:
        return await _rows_alone(found, wrapper, params)
    finally:
        pool.release_briefly(wrapper)


async def _rows_alone(
    found: Found, wrapper: Any, params: tuple[Any, ...] | None = None
) -> list[Any] | None:
    """
    As `_rows()`, on *wrapper*, which no other task uses.

    Args:
        params: The parameters, if they are known.
    """
    plan = found.plan
    if wrapper.connection is None:
        await run(wrapper.use, wrapper.ensure_connection)
    if needs_cursor(wrapper) or not wrapper.can_fetch():
        return None
    if params is None:
        try:
            params = plan.bound(found.values, wrapper)
        except Unplannable:
            return None
    try:
        rows = await sending(found.statement, params, wrapper)
    except Error as error:
        if not prepare_retry(error, wrapper, plan.query):
            raise
        await run(wrapper.use, wrapper.ensure_connection)
        rows = await sending(found.statement, params, wrapper)
    return converted(plan, rows, wrapper)


def sending(
    statement: Statement, params: tuple[Any, ...], wrapper: Any
) -> Coroutine[Any, Any, list[Any]]:
    """
    Return a coroutine that runs *statement* and returns its rows. Observers of the
    whole process see it as a query; the caller knows that nothing `needs_cursor()`.

    Raises: the errors of the database.

    Switches to the event loop, when awaited.
    """
    rows: Coroutine[Any, Any, list[Any]]
    if has_observers():
        rows = _sent_observed(statement, params, wrapper)
    else:
        # Not a coroutine around a coroutine.
        rows = wrapper.fetch_on_loop(statement, params)
    return rows


async def _sent_observed(
    statement: Statement, params: tuple[Any, ...], wrapper: Any
) -> list[Any]:
    rows: list[Any]
    with begin(wrapper, statement.sql, params):
        rows = await wrapper.fetch_on_loop(statement, params)
    return rows


async def fetch(
    queryset: Any,
    terminal: str,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] = MappingProxyType({}),
    *,
    has_prefetches: bool = False,
) -> list[Any] | None:
    """
    Return the result of the plan for *terminal* of *queryset*: its objects, or for a
    query of one value its rows; None if the query has to run in the bridge.

    Args:
        terminal: The name of the method, or "rows" for all rows.
        args: The conditions of `get()`.
        kwargs: The keyword arguments of `get()`.
        has_prefetches: Whether the caller does the prefetches of *queryset*.

    Raises: the errors of Django's method.

    Switches to the event loop.
    """
    found = find(queryset, terminal, args, kwargs, has_prefetches=has_prefetches)
    if found is None:
        return None
    rows = await _rows(found)
    if rows is None or found.plan.load is None:
        return rows
    objects: list[Any] = found.plan.load(rows, queryset, found.alias)
    return objects


async def aggregate(
    queryset: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> dict[str, Any] | None:
    """
    Return the result of `queryset.aggregate(*args, **kwargs)`; None if the query has to
    run in the bridge.

    Raises: the errors of the database.

    Switches to the event loop.
    """
    try:
        last = plans.aggregates.arguments_of("aggregate", args, kwargs)
    except Unplannable:
        return None
    found = find(queryset, "aggregate", last=last)
    rows = None if found is None else await _rows(found)
    return (
        None
        if found is None or rows is None
        else plans.aggregates.named(found.plan, rows)
    )
