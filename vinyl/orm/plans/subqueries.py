"""
`Subquery`, `Exists` and querysets as values of filters, which keep the trail of their
queryset, so that Django need not build its query.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

from django.db.models.expressions import BaseExpression
from django.db.models.query import QuerySet

from vinyl.orm.plans.inners import Held, Template, trail_inside
from vinyl.orm.plans.retaking import retaken
from vinyl.orm.plans.shapes import Unplannable
from vinyl.orm.plans.trails import trail_of

__all__ = [
    "HeldQuery",
    "patch_copy",
    "patch_deepcopy",
    "patch_getstate",
    "patch_init",
    "patch_resolve_expression",
]


class _Pending:
    """
    The query of a subquery that Django has not built yet. Records what the constructors
    of Django's classes do with it.
    """

    def __init__(self) -> None:
        self.subquery = False
        self.is_exists = False

    def clone(self) -> _Pending:
        return self

    def exists(self) -> _Pending:
        self.is_exists = True
        return self


class HeldQuery:
    """The attribute `query` of a subquery. Code that reads it may change the query."""

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        attributes = instance.__dict__
        held: Held | None = attributes.get("_held")
        if held is not None:
            # Other threads may do so meanwhile. All have to get the same query.
            attributes.setdefault("query", _built(held))
            attributes.pop("_held", None)
        try:
            return attributes["query"]
        except KeyError:
            raise AttributeError(
                f"{owner.__name__!r} object has no attribute 'query'"
            ) from None

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__.pop("_held", None)
        instance.__dict__["query"] = value


def _built(held: Held) -> Any:
    query = held.query
    if type(query) is not _Pending:
        return query
    built = retaken(held.trail).query
    built.subquery = query.subquery
    return built.exists() if query.is_exists else built


def patch_init(init: Callable[..., None]) -> Callable[..., None]:
    """Patch `__init__()` of `Subquery` and `Exists` to keep the trail."""

    @functools.wraps(init)
    def __init__(self: Any, queryset: Any, *args: Any, **kwargs: Any) -> None:
        trail = None
        # Other classes may need the query.
        if isinstance(queryset, QuerySet) and type(self).__module__.startswith(
            "django."
        ):
            trail = trail_inside(queryset)
        if trail is None:
            init(self, queryset, *args, **kwargs)
            return
        if trail.is_fixed:
            init(self, _Pending(), *args, **kwargs)
        else:
            init(self, queryset, *args, **kwargs)
            # Django copies the query that it reads.
            queryset._trail = None if trail.is_deferred else trail
        query = self.__dict__.pop("query")
        self._held = Held(trail, query, args, kwargs)

    return __init__


def patch_getstate(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def __getstate__(self: Any) -> Any:
        self.query  # noqa: B018
        return method(self)

    return __getstate__


def patch_copy(_: None) -> Callable[..., Any]:
    """Add `__copy__()`, after which both still have the trail."""

    def __copy__(self: Any) -> Any:
        result = object.__new__(type(self))
        if "_held" in self.__dict__:
            result.__dict__.update(BaseExpression.__getstate__(self))
        else:
            result.__dict__.update(self.__getstate__())
        return result

    return __copy__


def patch_deepcopy(_: None) -> Callable[..., Any]:
    """Add `__deepcopy__()`, which refuses to copy a subquery in a step."""

    def __deepcopy__(self: Any, memo: dict[int, Any]) -> Any:
        if isinstance(memo, Template):
            raise Unplannable
        result = memo[id(self)] = object.__new__(type(self))
        result.__dict__.update(copy.deepcopy(self.__getstate__(), memo))
        return result

    return __deepcopy__


def patch_resolve_expression(method: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `QuerySet.resolve_expression()`, which reads the query and copies it."""

    @functools.wraps(method)
    def resolve_expression(self: Any, *args: Any, **kwargs: Any) -> Any:
        trail = trail_of(self)
        result = method(self, *args, **kwargs)
        # Reading the query applies a deferred filter.
        self._trail = None if trail is None or trail.is_deferred else trail
        return result

    return resolve_expression
