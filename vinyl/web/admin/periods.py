"""
The links of `date_hierarchy` without reading a whole table: each year, month or day
between the first and the last one is looked up in the index of the field.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from django.contrib.admin.templatetags import admin_list
from django.core.exceptions import FieldDoesNotExist
from django.db.models import DateTimeField, Exists, Max, Min, QuerySet
from django.utils import timezone

__all__ = ["date_hierarchy"]

# Years, months or days that one query looks up. With more, as when one year is 9999,
# each that has rows takes a query of its own; this is the maximum number of them, too.
MAX_PERIODS = 100


def date_hierarchy(changelist: Any) -> Any:
    """
    Return Django's variables of `date_hierarchy`. Two queries. Switches to the event
    loop.
    """
    name = changelist.date_hierarchy
    if not name or not _is_indexed(changelist.model, name):
        return admin_list.date_hierarchy(changelist)
    view: Any = SimpleNamespace(
        date_hierarchy=name,
        model=changelist.model,
        params=changelist.params,
        get_query_string=changelist.get_query_string,
        queryset=_Periods(changelist.queryset),
    )
    return admin_list.date_hierarchy(view)


def _is_indexed(model: Any, name: str) -> bool:
    """Whether *name* is a field of *model* that an index begins with."""
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    if field.model._meta.concrete_model is not model._meta.concrete_model:
        # In the table of a parent.
        return False
    unconditional = [
        index.fields for index in model._meta.indexes if not index.condition
    ]
    unconditional += [c.fields for c in model._meta.total_unique_constraints]
    unconditional += model._meta.unique_together
    return (
        field.db_index
        or field.unique
        or any(first == name for first, *_ in filter(None, _plain(unconditional)))
    )


def _plain(indexes: Any) -> Iterator[list[str]]:
    for fields in indexes:
        yield [field.removeprefix("-") for field in fields]


class _Periods:
    """What Django's function asks a queryset for."""

    def __init__(self, queryset: QuerySet[Any]) -> None:
        self.queryset = queryset

    def aggregate(self, **expressions: Any) -> dict[str, Any]:
        return self.queryset.aggregate(**expressions)

    def dates(self, name: str, kind: str) -> list[Any]:
        """
        Return the first day of each period with rows; for a DateTimeField its moment.
        """
        ends = self.queryset.aggregate(first=Min(name), last=Max(name))
        first, last = (_day(ends[end]) for end in ("first", "last"))
        if first is None or last is None:
            return []
        model = self.queryset.model
        field = model._meta.get_field(name)
        starts = [*_starts(first, last, kind)]
        if len(starts) > MAX_PERIODS:
            return [_bound(field, day) for day in self._hops(field, first, kind)]
        exist = {
            f"period_{i}": Exists(
                self.queryset.order_by().filter(
                    (f"{name}__gte", _bound(field, start)),
                    *_before(field, name, _next(start, kind)),
                )
            )
            for i, start in enumerate(starts)
        }
        # Any row: there is one, and PostgreSQL looks up each period once.
        rows = model._base_manager.using(self.queryset.db).annotate(**exist)
        found = rows.order_by().values_list(*exist).first() or ()
        return [
            _bound(field, start)
            for start, exists in zip(starts, found, strict=False)
            if exists
        ]

    datetimes = dates

    def _hops(
        self, field: Any, first: datetime.date, kind: str
    ) -> Iterator[datetime.date]:
        """Yield the first days of the periods with rows, each from the one before."""
        day: datetime.date | None = first
        for _ in range(MAX_PERIODS):
            if day is None:
                return
            start = next(_starts(day, day, kind))
            yield start
            following = _next(start, kind)
            if following is None:
                return
            later = self.queryset.filter(
                (f"{field.name}__gte", _bound(field, following))
            )
            day = _day(later.aggregate(first=Min(field.name))["first"])


def _day(value: Any) -> datetime.date | None:
    if isinstance(value, datetime.datetime):
        value = timezone.localtime(value) if timezone.is_aware(value) else value
        return value.date()
    day: datetime.date | None = value
    return day


def _starts(
    first: datetime.date, last: datetime.date, kind: str
) -> Iterator[datetime.date]:
    """Yield the first days of the periods from *first* to *last*, one too many."""
    day: datetime.date | None = first
    if kind in ("year", "month"):
        day = first.replace(day=1, month=1 if kind == "year" else first.month)
    count = 0
    while day is not None and day <= last and count <= MAX_PERIODS:
        yield day
        day = _next(day, kind)
        count += 1


def _next(start: datetime.date, kind: str) -> datetime.date | None:
    """The first day after a period; None after the last day that there is."""
    try:
        if kind == "year":
            return start.replace(year=start.year + 1)
        if kind == "month":
            return (start + datetime.timedelta(days=31)).replace(day=1)
        return start + datetime.timedelta(days=1)
    except (ValueError, OverflowError):
        return None


def _bound(field: Any, day: datetime.date) -> Any:
    if not isinstance(field, DateTimeField):
        return day
    moment = datetime.datetime.combine(day, datetime.time())
    return timezone.make_aware(moment) if timezone.is_aware(timezone.now()) else moment


def _before(
    field: Any, name: str, end: datetime.date | None
) -> Iterator[tuple[str, Any]]:
    if end is not None:
        yield f"{name}__lt", _bound(field, end)
