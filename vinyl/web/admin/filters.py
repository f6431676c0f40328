"""
Django's filters for tables of any size: they list a bounded number of choices, and a
field to find the others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from django.contrib.admin import filters
from django.contrib.admin.exceptions import NotRegistered
from django.contrib.admin.utils import get_model_from_relation
from django.db.models import Exists, Field, ForeignObjectRel, OuterRef, QuerySet

from vinyl.bridge.patching import Patch
from vinyl.records import NamedTuple
from vinyl.web.admin.counting import latest
from vinyl.web.admin.peers import fetch_together

__all__ = [
    "FIND_VAR",
    "MAX_CHOICES",
    "MAX_SEARCH_LENGTH",
    "TABLE",
    "Finder",
    "finder",
    "other_parameters",
]

# How many choices a filter lists at most.
MAX_CHOICES = 100

# The values of a field are read from this many rows, the latest ones.
SAMPLE = 10_000

# Followed by the path of the field: what to find among its choices.
FIND_VAR = "_find-"

# In characters. Each word adds a condition for each field, and databases limit those.
MAX_SEARCH_LENGTH = 200

REVERSE_CHOICES = ForeignObjectRel.get_choices

FILTER = "admin/filter.html"
FINDING_FILTER = "admin/filter_finding.html"


class Finder(NamedTuple):
    """
    The field of a filter with too many choices to list.

    Args:
        name: The parameter of the URL.
        value: What the visitor has entered last.
        searches: Whether it finds choices to choose from. Otherwise it is the value
            itself that rows must have.
    """

    name: str
    value: str
    searches: bool


def finder(spec: Any) -> Finder | None:
    """
    Return the field of the filter *spec*; None if it lists all of its choices. Never
    switches.
    """
    found: Finder | None = getattr(spec, "vinyl_finder", None)
    return found


def _offer_finder(spec: Any, one: Finder) -> None:
    spec.vinyl_finder = one
    # A project's own template would show the choices alone.
    if spec.template == FILTER:
        spec.template = FINDING_FILTER


def patch_field_choices(original: Callable[..., Any]) -> Callable[..., Any]:
    """`RelatedFieldListFilter.field_choices()`, which lists the whole other table."""

    @functools.wraps(original)
    def field_choices(self: Any, field: Any, request: Any, model_admin: Any) -> Any:
        if type(field).get_choices not in (Field.get_choices, REVERSE_CHOICES):
            # A project's own field, with choices of its own.
            return original(self, field, request, model_admin)
        rows = _related_rows(self, field, request, model_admin)
        found: list[Any] = [*rows[: MAX_CHOICES + 1]]
        if len(found) > MAX_CHOICES:
            found = _find(self, field, rows, request, model_admin)
        fetch_together(found)
        return [(getattr(row, field.target_field.attname), str(row)) for row in found]

    return field_choices


def _find(
    spec: Any, field: Any, rows: QuerySet[Any], request: Any, model_admin: Any
) -> list[Any]:
    """The chosen ones of many *rows*, and those that the words in its field find."""
    chosen = spec.lookup_val or []
    found = [*rows.filter((f"{field.target_field.name}__in", chosen))[:MAX_CHOICES]]
    admin = _registered(model_admin, rows.model)
    if (
        admin is None
        or not admin.get_search_fields(request)
        or not admin.has_view_or_change_permission(request)
    ):
        keys = ", ".join(map(str, chosen))
        _offer_finder(spec, Finder(spec.lookup_kwarg, keys, searches=False))
        return found
    name = FIND_VAR + spec.field_path
    words = request.GET.get(name, "").strip()[:MAX_SEARCH_LENGTH]
    _offer_finder(spec, Finder(name, words, searches=True))
    if words:
        matching, duplicates = admin.get_search_results(request, rows, words)
        matching = matching.distinct() if duplicates else matching
        found += [row for row in matching[:MAX_CHOICES] if row not in found]
    return found


def patch_only_choices(original: Callable[..., Any]) -> Callable[..., Any]:
    """`RelatedOnlyFieldListFilter.field_choices()`, likewise."""
    bounded = patch_field_choices(original)

    @functools.wraps(original)
    def field_choices(self: Any, *args: Any) -> Any:
        self.vinyl_related_only = True
        return bounded(self, *args)

    return field_choices


def _related_rows(
    spec: Any, field: Any, request: Any, model_admin: Any
) -> QuerySet[Any]:
    """The rows that *spec* lists."""
    model = get_model_from_relation(field)
    rows = model._default_manager.all()
    limit = getattr(field, "get_limit_choices_to", None)
    if limit is not None:
        rows = rows.complex_filter(limit())
    if getattr(spec, "vinyl_related_only", False):
        # Not by the keys of all rows of the list.
        own = model_admin.get_queryset(request).order_by()
        own = own.filter((f"{spec.field_path}__pk", OuterRef("pk")))
        rows = rows.filter(Exists(own))
    ordering = spec.field_admin_ordering(field, request, model_admin)
    return rows.order_by(*ordering) if ordering else rows


def _registered(model_admin: Any, model: Any) -> Any:
    try:
        return model_admin.admin_site.get_model_admin(model)
    except NotRegistered:
        return None


def patch_has_output(original: Callable[..., Any]) -> Callable[..., Any]:
    """`has_output()` of filters, true for those with a field to find choices."""

    @functools.wraps(original)
    def has_output(self: Any) -> bool:
        return finder(self) is not None or bool(original(self))

    return has_output


def patch_values_init(original: Callable[..., Any]) -> Callable[..., Any]:
    """`AllValuesFieldListFilter.__init__()`, which would list all values of a field."""

    @functools.wraps(original)
    def __init__(self: Any, field: Any, *args: Any, **kwargs: Any) -> None:
        original(self, field, *args, **kwargs)
        values = self.lookup_choices
        if not isinstance(values, QuerySet):
            return
        limit, some = MAX_CHOICES, latest(values, SAMPLE)
        if some is values:
            listed = [*values[: limit + 1]]
            self.lookup_choices = listed[:limit]
            if len(listed) <= limit:
                return
        else:
            self.lookup_choices = [*some[:limit]]
        chosen = ", ".join(map(str, self.lookup_val or []))
        _offer_finder(self, Finder(self.lookup_kwarg, chosen, searches=False))

    return __init__


def other_parameters(changelist: Any, spec: Any) -> Iterator[tuple[str, str]]:
    """
    Yield the parameters of the URL that the field of the filter *spec* keeps. Never
    switches.
    """
    own = {*spec.expected_parameters(), FIND_VAR + getattr(spec, "field_path", "")}
    one = finder(spec)
    if one is not None and one.searches:
        own -= {*spec.expected_parameters()}
    for name, values in changelist.filter_params.items():
        if name not in own:
            for value in values:
                yield name, value


_FILTERS = filters.__name__

TABLE = (
    Patch(f"{_FILTERS}:RelatedFieldListFilter", "field_choices", patch_field_choices),
    Patch(
        f"{_FILTERS}:RelatedOnlyFieldListFilter", "field_choices", patch_only_choices
    ),
    Patch(f"{_FILTERS}:RelatedFieldListFilter", "has_output", patch_has_output),
    Patch(f"{_FILTERS}:AllValuesFieldListFilter", "__init__", patch_values_init),
)
