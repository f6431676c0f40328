"""
Trails, which replace the query of a queryset whose steps are all known.

The trail is in the attribute `_trail`. When code reads the `query` of the queryset,
Django builds it, and the trail is dropped, because the code may change the query.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, cast

import django
from django.db.models import Model
from django.db.models.query import QuerySet
from django.db.models.sql.compiler import (
    SQLCompiler,
    SQLDeleteCompiler,
    SQLInsertCompiler,
    SQLUpdateCompiler,
)

from vinyl.conf import vinyl_settings
from vinyl.orm.observe import recorder
from vinyl.orm.plans.shapes import Node, Trail, Unplannable

__all__ = [
    "COPIED",
    "FILTERS",
    "PENDING",
    "can_move",
    "django_method",
    "extended",
    "has_djangos_methods",
    "in_place",
    "is_as_made",
    "is_enabled",
    "mark",
    "moved",
    "note_compilers",
    "read_settings",
    "settled",
    "trail_of",
]

# VINYL["PLANS"]. Kept here because each query reads it.
_enabled = True

# The methods of Django's compilers through which each query goes that has no plan, as
# they are before packages replace them.
_execute: Any
_insert: Any
_update: Any
_delete: Any


def note_compilers() -> None:
    """Take the methods of Django's compilers for Django's own. Never switches."""
    global _execute, _insert, _update, _delete
    _execute, _insert = SQLCompiler.execute_sql, SQLInsertCompiler.execute_sql
    _update, _delete = SQLUpdateCompiler.execute_sql, SQLDeleteCompiler.execute_sql


def read_settings() -> None:
    """Read `settings.VINYL["PLANS"]`. Never switches."""
    global _enabled
    _enabled = vinyl_settings.PLANS


def is_enabled() -> bool:
    """
    Whether querysets use plans. They do not while lazy loads are observed, because that
    needs their queries, nor while a package has a method of its own in the place of
    `execute_sql()` of Django's compilers: to record queries, or to cache their results.
    Never switches.
    """
    return (
        _enabled
        and not recorder.observes_loads
        and SQLCompiler.execute_sql is _execute
        and SQLInsertCompiler.execute_sql is _insert
        and SQLUpdateCompiler.execute_sql is _update
        and SQLDeleteCompiler.execute_sql is _delete
    )


class _Pending:
    """A placeholder for the query of a queryset until code reads it."""

    __slots__ = ()


PENDING: Any = _Pending()

# Django's methods, by name.
django_method: dict[str, Callable[..., Any]] = {"_chain": cast(Any, QuerySet)._chain}

# The methods whose arguments have values: those of Django's filters and prefetches.
FILTERS = frozenset({"_filter_or_exclude", "add_q", "unordered"})

# The attributes that a new copy of a queryset starts with.
_RESET = {
    "_query": PENDING,
    "_result_cache": None,
    "_sticky_filter": False,
    "_prefetch_done": False,
    "_defer_next_filter": False,
    "_deferred_filter": None,
}
# The attributes that a copy takes from the original.
COPIED = (
    "model",
    "_db",
    "_hints",
    "_for_write",
    "_known_related_objects",
    "_prefetch_related_lookups",
    *(("_fetch_mode", "_cloning_enabled") if django.VERSION >= (6, 1) else ()),
)
# The methods that a plan stands for call each other, and all of Django's own.
_OVERRIDABLE = (
    "__getitem__",
    "__getstate__",
    "__init__",
    "__iter__",
    "__len__",
    "filter",
    "order_by",
    "ordered",
    "query",
    "resolve_expression",
    "reverse",
    *(
        name
        for name in vars(QuerySet)
        if name.startswith("_") and not name.startswith("__")
    ),
)
# What a copy starts with, besides what it takes from the original.
_NEW = {**dict.fromkeys((*COPIED, "_iterable_class", "_fields", "_trail")), **_RESET}
_eligible: weakref.WeakKeyDictionary[type, bool] = weakref.WeakKeyDictionary()


def has_djangos_methods(cls: type) -> bool:
    """
    Whether *cls* has Django's own methods, where those that a plan stands for call each
    other. Never switches.
    """
    found = _eligible.get(cls)
    if found is None:
        found = _eligible[cls] = all(
            getattr(cls, name) is getattr(QuerySet, name) for name in _OVERRIDABLE
        )
    return found


def trail_of(queryset: Any) -> Trail | None:
    """The trail of *queryset*, None if it has a query instead. Never switches."""
    trail: Trail | None = queryset.__dict__.get("_trail")
    return trail


def mark(queryset: Any, result: Any, trail: Trail, to: Trail) -> None:
    """
    Record the trails of *queryset* and of *result*, which Django returned for a step.
    Never switches.
    """
    # Only Django's own method has read the query in between.
    queryset._trail = trail
    result._trail = to


def extended(
    trail: Trail, node: Node, values: list[Any], *, is_deferred: bool = False
) -> Trail:
    """
    Return the trail that goes on from *trail* to *node* with *values*, as a filter was
    given them. Never switches.

    Args:
        is_deferred: Whether Django looks at the values when it makes the query.
    """
    has_instances = any(map(_is_of_instances, values))
    return Trail(
        node,
        trail.values + tuple(values),
        trail.is_fixed and not has_instances,
        is_deferred and has_instances and trail.is_fixed,
    )


def _is_of_instances(value: Any) -> bool:
    first = value[0] if type(value) is list else value
    return isinstance(first, Model)


def settled(trail: Trail) -> Trail:
    """
    Return *trail* with the values of a deferred filter as they are now, if there is
    what prepares them. Never switches.
    """
    binders = trail.node.binders
    if not trail.is_deferred or binders is None:
        return trail
    before = trail.values[: -len(binders)]
    last = trail.values[len(before) :]
    try:
        kept = [binder.kept(one) for binder, one in zip(binders, last, strict=True)]
    except Unplannable:
        # Django has to look at them.
        return trail
    return Trail(trail.node, (*before, *kept))


def can_move(queryset: Any, trail: Trail) -> bool:
    """
    Whether *queryset* may take a known step without Django. Never switches.
    """
    return trail.is_fixed and is_as_made(queryset, trail)


def is_as_made(queryset: Any, trail: Trail) -> bool:
    """Whether *queryset* is what its steps have made of it. Never switches."""
    attributes = trail.node.attributes
    found = queryset.__dict__
    return (
        found["_iterable_class"] is attributes["_iterable_class"]
        and found["_fields"] == attributes["_fields"]
    )


def in_place(queryset: Any) -> bool:
    """
    Whether steps change *queryset* itself and make no copy, which Django from version
    6.1 on has them do for a while. Never switches.
    """
    return not queryset.__dict__.get("_cloning_enabled", True)


def moved(queryset: Any, trail: Trail, is_in_place: bool = False) -> Any:
    """
    Return a queryset with *trail* and no query, as the next step of *queryset*.

    Args:
        is_in_place: Whether to change *queryset* itself and return it.

    Never switches.
    """
    found = queryset.__dict__
    if is_in_place:
        found.update(_RESET)
        found.update(trail.node.attributes)
        found["_trail"] = trail
        return queryset
    result = object.__new__(type(queryset))
    # A copy of a dict takes less time than setting its items.
    attributes = result.__dict__ = _NEW.copy()
    for name in COPIED:
        attributes[name] = found[name]
    decided = trail.node.attributes
    attributes["_iterable_class"] = decided["_iterable_class"]
    attributes["_fields"] = decided["_fields"]
    attributes["_trail"] = trail
    return result
