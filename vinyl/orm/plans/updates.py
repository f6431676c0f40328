"""
Plans for `update()`, and for the UPDATE of `save()`.

The last step of the shape consists of the names of the assigned fields, the kinds of
their values, and expressions such as `F("number")`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.db import transaction

from vinyl.orm.plans.columns import WRITTEN
from vinyl.orm.plans.execution import write
from vinyl.orm.plans.expressions import is_expression, key_of
from vinyl.orm.plans.shapes import LastStep, Node, Step, Unplannable
from vinyl.orm.plans.terminals import Ready, Unknown, found_for, is_due, learned
from vinyl.orm.plans.trails import django_method, in_place, trail_of

__all__ = ["assigned", "patch_update", "patch_update_fields"]


def _stay(queryset: Any, *args: Any, **kwargs: Any) -> Any:
    """Take the step of an update: nothing, because the method assigns the values."""
    return queryset


django_method["update"] = django_method["_update"] = _stay


def assigned(method: str, pairs: Iterable[tuple[Hashable, Any]]) -> LastStep:
    """
    Return the assignments of *method*, `update` or `_update`.

    Args:
        method: The name of the method.
        pairs: Fields, by name or id, and their values.

    Raises:
        Unplannable: A value has no kind, such as a model instance.

    Never switches.
    """
    kinds: list[Hashable] = [method]
    values: list[Any] = []
    for field, value in pairs:
        kind = type(value)
        if kind in WRITTEN:
            kinds.append((field, kind))
            values.append(value)
        elif is_expression(value):
            kinds.append((field, key_of(value)))
        else:
            raise Unplannable
    return LastStep(tuple(kinds), values)


def _assigned(method: str, pairs: Iterable[tuple[Hashable, Any]]) -> LastStep | None:
    """
    The assignments of *method*; None if a value has no kind. Django runs outside the
    handler of that error, so that its own errors have their usual context.
    """
    try:
        return assigned(method, pairs)
    except Unplannable:
        return None


def _node_of(node: Node, last: LastStep, step: Step) -> Node | None:
    """
    Return the node of an update after the steps of *node*; None if *node* has
    the maximum number of children. Never switches.
    """
    child = node.child(last.key)
    if child is None:
        if node.is_sliced or (child := node.add(last.key, step, 0)) is None:
            return None
        child.attributes = node.attributes
    return child


def _planned(
    queryset: Any,
    last: LastStep,
    step: Step,
    method: Callable[[Any], Any],
    guard: Callable[[str], AbstractContextManager[Any]],
) -> tuple[int | None, Any]:
    """
    Return the number of rows that the plan has changed; without a plan, None and the
    result of Django's *method*.

    Args:
        guard: Returns a context manager for the plan, given the alias of its database.

    Switches to the event loop, inside the bridge.
    """
    trail = trail_of(queryset)
    if trail is None or queryset._sticky_filter or in_place(queryset):
        return None, method(queryset)
    # Django asks the router for a database to write to.
    queryset._for_write = True
    if (node := _node_of(trail.node, last, step)) is None:
        return None, method(queryset)
    trail = trail._replace(node=node)
    if not is_due(queryset, trail, "update"):
        return None, method(queryset)
    values = (*trail.values, *last.values)
    with guard(queryset.db):
        found = found_for(queryset, trail._replace(values=values), "update")
        if isinstance(found, Ready):
            queryset._result_cache = None
            plan, params, connection = found
            rows = write(plan.sql, plan.statement, params, True, connection)
            return rows[0][0], None
    if isinstance(found, Unknown):
        connection = found.connection
        try:
            result = learned(queryset, trail, "update", connection, method, last.values)
        except Unplannable:
            pass
        else:
            # Django has emptied the cache of a copy.
            queryset._result_cache = None
            return None, result
    return None, method(queryset)


def patch_update(method: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `update()` to use plans."""

    @functools.wraps(method)
    def update(self: Any, **kwargs: Any) -> Any:
        if trail_of(self) is None:
            return method(self, **kwargs)
        last = _assigned("update", kwargs.items())
        if last is None:
            return method(self, **kwargs)
        count, result = _planned(
            self,
            last,
            Step("update"),
            lambda queryset: method(queryset, **kwargs),
            transaction.mark_for_rollback_on_error,
        )
        return result if count is None else count

    return update


def patch_update_fields(method: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `_update()`, which `save()` calls, to use plans."""

    @functools.wraps(method)
    def _update(self: Any, values: Sequence[Any], returning_fields: Any = None) -> Any:
        more = () if returning_fields is None else (returning_fields,)
        if trail_of(self) is None or returning_fields:
            return method(self, values, *more)
        pairs = ((id(field), value) for field, _, value in values)
        last = _assigned("_update", pairs)
        if last is None:
            return method(self, values, *more)
        # The step keeps the fields, whose ids are in the key.
        step = Step("_update", tuple(field for field, _, _ in values))
        # The caller has marked the transaction for a rollback on an error.
        count, result = _planned(
            self,
            last,
            step,
            lambda queryset: method(queryset, values, *more),
            nullcontext,
        )
        if count is None:
            return result
        return count if returning_fields is None else [()] * count

    return _update
