"""
The methods that run a query with arguments of their own: `aggregate()`, `earliest()`.

Their arguments are the last step of the shape.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from django.db.models.query import QuerySet

from vinyl.orm.plans.expressions import key_of
from vinyl.orm.plans.plan import Plan
from vinyl.orm.plans.shapes import LastStep, Step, Trail, Unplannable
from vinyl.orm.plans.terminals import (
    Unknown,
    fetched,
    learned,
    objects_of,
    only,
    ready,
)
from vinyl.orm.plans.trails import django_method, in_place, trail_of

__all__ = ["arguments_of", "named", "patch_aggregate", "patch_earliest"]


def _stay(queryset: Any, *args: Any, **kwargs: Any) -> Any:
    """
    The step of such a method leaves the queryset unchanged; the method uses the
    arguments.
    """
    return queryset


django_method["aggregate"] = django_method["earliest"] = _stay


def arguments_of(
    method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> LastStep:
    """
    Return the arguments of *method* as the last step of a shape.

    Raises:
        Unplannable: They have parts that may change, such as inner querysets.

    Never switches.
    """
    return LastStep((method, key_of(args), key_of(tuple(kwargs.items()))))


def named(plan: Plan, rows: Sequence[Any]) -> dict[str, Any]:
    """Return the row of *plan* as `aggregate()` does. Never switches."""
    [row] = rows
    return dict(zip(plan.query.annotation_select, row, strict=True))


def _trail_with(
    queryset: Any, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Trail | None:
    """The trail of *queryset* and the arguments of *method*; None without a plan."""
    trail = trail_of(queryset)
    if trail is None or queryset._sticky_filter or in_place(queryset):
        return None
    try:
        last = arguments_of(method, args, kwargs)
    except Unplannable:
        return None
    node = trail.node.child(last.key)
    if node is None:
        node = trail.node.add(last.key, Step(method), 0)
        if node is None:
            return None
        node.attributes = trail.node.attributes
    return trail._replace(node=node)


def patch_aggregate(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def aggregate(self: Any, *args: Any, **kwargs: Any) -> Any:
        trail = _trail_with(self, "aggregate", args, kwargs)
        found = None if trail is None else ready(self, trail, "aggregate")
        if trail is None or found is None:
            return method(self, *args, **kwargs)
        if isinstance(found, Unknown):

            def run(replica: Any) -> Any:
                return method(replica, *args, **kwargs)

            with suppress(Unplannable):
                return learned(self, trail, "aggregate", found.connection, run)
            return method(self, *args, **kwargs)
        return named(found.plan, fetched(found))

    return aggregate


def patch_earliest(method: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `earliest()` and `latest()`."""
    name = method.__name__
    django_method[name] = _stay

    @functools.wraps(method)
    def earliest(self: Any, *fields: Any) -> Any:
        ordering = self.model._meta.get_latest_by if not fields else None
        trail = None
        if (
            not self._prefetch_related_lookups
            and self._result_cache is None
            # Django's method calls it.
            and type(self).get is QuerySet.get
        ):
            trail = _trail_with(self, name, (*fields, ordering), {})
        objects, result = objects_of(
            self, trail, name, lambda queryset: method(queryset, *fields)
        )
        if objects is None:
            return result
        return only(self.model, objects)

    return earliest
