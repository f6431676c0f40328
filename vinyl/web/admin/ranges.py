"""Filters that a visitor types: numbers and dates from and to, and parts of a text."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib.admin import FieldListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext

__all__ = ["RangeFilter", "TextFilter"]


class _TypedFilter(FieldListFilter):
    """
    A filter with fields in a form.

    Args:
        field, request, params, model, model_admin, field_path: As in Django.
    """

    template = "admin/filter_typed.html"
    lookups: tuple[str, ...]

    def __init__(self, field: Any, request: Any, params: Any, *args: Any, **kw: Any):
        self.path = kw["field_path"] if "field_path" in kw else args[-1]
        # As they were typed, for the fields; an empty one does not filter.
        self.typed = {
            name: values[-1].strip()
            for name in self.expected_parameters()
            if (values := params.get(name))
        }
        super().__init__(field, request, params, *args, **kw)

    def expected_parameters(self) -> list[Any]:
        return [f"{self.path}__{lookup}" for lookup in self.lookups]

    def choices(self, changelist: Any) -> Iterator[Any]:
        """Yield no choices, or the one that takes the filter away."""
        if any(self.typed.values()):
            yield {
                "selected": False,
                "query_string": changelist.get_query_string(
                    remove=self.expected_parameters()
                ),
                "display": gettext("Clear"),
            }

    def inputs(self) -> Iterator[dict[str, str]]:
        """Yield the `name`, `value`, `kind` and `label` of each field."""
        raise NotImplementedError


class RangeFilter(_TypedFilter):
    """
    Numbers, dates or moments from one to another, both included, in `list_filter`:
    `("year", RangeFilter)`. Each end may be empty.

    Args:
        field, request, params, model, model_admin, field_path: As in Django.
    """

    lookups = ("gte", "lte")

    def queryset(self, request: Any, queryset: Any) -> Any:
        """
        Return *queryset* within the range. Never switches.

        Raises:
            IncorrectLookupParameters: An end is no number or date.
        """
        is_date = isinstance(self.field, models.DateField)
        clean = (forms.DateField() if is_date else forms.DecimalField()).clean
        names = zip(self.lookups, self.expected_parameters(), strict=True)
        try:
            conditions = [
                self._condition(lookup, clean(text))
                for lookup, name in names
                if (text := self.typed.get(name))
            ]
            # In one call: of several related rows, one has to be within both ends.
            return queryset.filter(*conditions) if conditions else queryset
        except (ValidationError, ValueError, OverflowError) as error:
            raise IncorrectLookupParameters(error) from error

    def _condition(self, lookup: str, value: Any) -> tuple[str, Any]:
        if isinstance(self.field, models.DateTimeField):
            if lookup == "lte":
                # To the end of the day.
                lookup, value = "lt", value + datetime.timedelta(days=1)
            value = datetime.datetime.combine(value, datetime.time())
            if timezone.is_aware(timezone.now()):
                value = timezone.make_aware(value)
        elif isinstance(self.field, models.IntegerField):
            # Django would cut the decimals off: 1957 for what is from 1957.5.
            value = math.ceil(value) if lookup == "gte" else math.floor(value)
        return f"{self.path}__{lookup}", value

    def inputs(self) -> Iterator[dict[str, str]]:
        """Yield the `name`, `value`, `kind` and `label` of each field."""
        kind = "date" if isinstance(self.field, models.DateField) else "number"
        labels = (gettext("From"), gettext("To"))
        for name, label in zip(self.expected_parameters(), labels, strict=True):
            value = self.typed.get(name, "")
            yield {"name": name, "value": value, "kind": kind, "label": label}


class TextFilter(_TypedFilter):
    """
    Rows that contain a text, whatever its case, in `list_filter`:
    `("title", TextFilter)`.

    Args:
        field, request, params, model, model_admin, field_path: As in Django.
    """

    lookups = ("icontains",)

    def queryset(self, request: Any, queryset: Any) -> Any:
        """Return the rows of *queryset* with the text. Never switches."""
        [name] = self.expected_parameters()
        text = self.typed.get(name)
        return queryset.filter((name, text)) if text else queryset

    def inputs(self) -> Iterator[dict[str, str]]:
        """Yield the `name`, `value`, `kind` and `label` of the field."""
        [name] = self.expected_parameters()
        label, value = gettext("Contains"), self.typed.get(name, "")
        yield {"name": name, "value": value, "kind": "search", "label": label}
