"""
Querysets whose query is pending: they have a trail, and Django builds the query when
code reads it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

from vinyl.orm.plans import shapes
from vinyl.orm.plans.inners import Template
from vinyl.orm.plans.retaking import materialize, to_look_at
from vinyl.orm.plans.shapes import Unplannable
from vinyl.orm.plans.trails import (
    PENDING,
    django_method,
    has_djangos_methods,
    is_enabled,
    trail_of,
)

__all__ = [
    "patch_copying",
    "patch_init",
    "patch_not_support_combined_queries",
    "patch_ordered",
    "patch_query",
]


def patch_init(init: Callable[..., None]) -> Callable[..., None]:
    django_method["__init__"] = init

    @functools.wraps(init)
    def __init__(
        self: Any,
        model: Any = None,
        query: Any = None,
        using: Any = None,
        hints: Any = None,
    ) -> None:
        if (
            query is None
            and model is not None
            and is_enabled()
            and has_djangos_methods(type(self))
        ):
            init(self, model, PENDING, using, hints)
            self._trail = shapes.root_of(model).trail
        else:
            init(self, model, query, using, hints)

    return __init__


def patch_query(query: property) -> property:
    get, set_ = query.fget, query.fset
    assert get is not None
    assert set_ is not None

    def fget(self: Any) -> Any:
        if self._query is PENDING:
            materialize(self)
        # The reader may change it.
        self._trail = None
        return get(self)

    def fset(self: Any, value: Any) -> None:
        self._trail = None
        set_(self, value)

    return property(fget, fset, doc=query.__doc__)


def patch_ordered(ordered: property) -> property:
    """
    Patch `ordered`, which depends on the steps alone. `Paginator` reads it, after which
    the queryset must still have its trail.
    """
    get = ordered.fget
    assert get is not None

    def fget(self: Any) -> bool:
        trail = trail_of(self)
        if trail is None:
            return cast(bool, get(self))
        node = trail.node
        if node.is_ordered is None:
            node.is_ordered = get(to_look_at(self, trail))
        return cast(bool, node.is_ordered)

    return property(fget, doc=ordered.__doc__)


def patch_copying(method: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch a method that copies all attributes: the copy gets the query, not the trail.
    A queryset in a step is not copied.
    """

    @functools.wraps(method)
    def copying(self: Any, *args: Any) -> Any:
        if args and isinstance(args[0], Template):
            raise Unplannable
        self.query  # noqa: B018
        return method(self, *args)

    return copying


def patch_not_support_combined_queries(
    method: Callable[..., None],
) -> Callable[..., None]:
    @functools.wraps(method)
    def _not_support_combined_queries(self: Any, operation_name: str) -> None:
        # No step combines queries.
        if trail_of(self) is None:
            method(self, operation_name)

    return _not_support_combined_queries
