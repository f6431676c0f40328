"""
The counts of the choices of a filter, for tables of any size.

In a list of more rows than its count limit, a choice of an indexed field is counted up
to `MAX_COUNTED`, and any other one among the latest rows of the table.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.contrib.admin import filters
from django.db.models import Count as CountOf
from django.db.models import Q

from vinyl.bridge.patching import Patch
from vinyl.web.admin.counting import Count, count, count_each, latest
from vinyl.web.admin.indexes import is_indexed

__all__ = ["TABLE"]

# Above it, a choice of a large list has "1,000+" rows.
MAX_COUNTED = 1_000

# How many of the latest rows are read to count choices of a field without an index.
MAX_READ = 20_000


def patch_facets(original: Callable[..., Any]) -> Callable[..., Any]:
    """`get_facet_queryset()`, which would read all rows of the list."""

    @functools.wraps(original)
    def get_facet_queryset(self: Any, changelist: Any) -> Any:
        limit = getattr(changelist.paginator, "limit", None)
        rows = changelist.get_queryset(
            self.request, exclude_parameters=self.expected_parameters()
        )
        facets = self.get_facet_counts(changelist.pk_attname, rows)
        if not all(_is_plain_count(facet) for facet in facets.values()):
            return original(self, changelist)
        if limit is None or count(rows, limit).is_exact:
            return rows.aggregate(**facets)
        # A filter of the project's own may look up anything.
        path = getattr(self, "field_path", None)
        if path is None or is_indexed(changelist.model, path):
            choices = [rows.filter(_condition(facet)) for facet in facets.values()]
            counted = count_each(choices, min(MAX_COUNTED, limit))
            return dict(zip(facets, counted, strict=True))
        some = latest(rows, MAX_READ)
        found = some.aggregate(**facets)
        if some is rows:
            return found
        return {name: Count.at_least(number) for name, number in found.items()}

    return get_facet_queryset


def _is_plain_count(facet: Any) -> bool:
    return type(facet) is CountOf and not facet.distinct  # type: ignore[attr-defined]


def _condition(facet: Any) -> Q:
    condition = facet.filter
    if condition is not None and not isinstance(condition, Q):
        # Since Django 6.0 it is wrapped.
        [condition] = condition.get_source_expressions()
    return condition or Q()


TABLE = (Patch(f"{filters.__name__}:FacetsMixin", "get_facet_queryset", patch_facets),)
