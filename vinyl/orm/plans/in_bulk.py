"""
`in_bulk()`, whose query has a plan although Django's method reads that of its queryset.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from django.db.models.query import QuerySet

from vinyl.orm.plans.retaking import to_look_at
from vinyl.orm.plans.trails import trail_of

__all__ = ["patch_in_bulk"]

# What Django's method reads of the query: all of it depends on the steps alone. Of the
# columns it takes the names.
_FACTS = (
    *("annotation_select", "distinct_fields", "extra_select"),
    *("is_sliced", "selected", "values_select"),
)


class _Replica:
    """A queryset as Django's method uses it, with the facts of its query as `query`."""

    def __init__(self, queryset: Any, facts: Any) -> None:
        self._queryset = queryset
        self.query = facts

    def _chain(self) -> Any:
        return QuerySet.all(self._queryset)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queryset, name)


def patch_in_bulk(method: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `in_bulk()` to leave the trail of the queryset as it is."""

    @functools.wraps(method)
    def in_bulk(self: Any, *args: Any, **kwargs: Any) -> Any:
        trail = trail_of(self)
        if trail is None or self._result_cache is not None:
            return method(self, *args, **kwargs)
        node = trail.node
        if node.facts is None:
            query = to_look_at(self, trail).query
            found = {name: getattr(query, name, None) for name in _FACTS}
            # Expressions would keep values alive.
            node.facts = SimpleNamespace(
                **{
                    name: tuple(fact) if isinstance(fact, dict) else fact
                    for name, fact in found.items()
                }
            )
        return method(_Replica(self, node.facts), *args, **kwargs)

    return in_bulk
