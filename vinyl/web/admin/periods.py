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
from django.db import connections
from django.db.models import DateTimeField, Exists, Max, Min, QuerySet
from django.db.models.expressions import RawSQL
from django.utils import timezone

from vinyl.web.admin.indexes import is_indexed

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
    if not name or not is_indexed(changelist.model, name):
        return admin_list.date_hierarchy(changelist)
    view: Any = SimpleNamespace(
        date_hierarchy=name,
        model=changelist.model,
        params=changelist.params,
        get_query_string=changelist.get_query_string,
        queryset=_Periods(changelist.queryset),
    )
    return admin_list.date_hierarchy(view)


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
        field = self.queryset.model._meta.get_field(name)
        starts = [*_starts(first, last, kind)]
        is_known = connections[self.queryset.db].vendor in ("postgresql", "sqlite")
        end = _next(starts[-1], kind)
        if is_known and len(starts) <= MAX_PERIODS and end:
            starts = self._with_rows(field, starts, end)
        else:
            starts = [*self._hops(field, first, kind)]
        return [_bound(field, start) for start in starts]

    datetimes = dates

    def _with_rows(
        self, field: Any, starts: list[datetime.date], end: datetime.date
    ) -> list[datetime.date]:
        """Those of *starts* whose periods have rows; the last one ends at *end*."""
        using = self.queryset.db
        connection = connections[using]
        # One condition for all periods: Django takes longer to write one for each than
        # databases take to look them up.
        within = Exists(
            self.queryset.order_by().filter(
                (f"{field.name}__gte", RawSQL("vinyl_period.start", ())),
                (f"{field.name}__lt", RawSQL("vinyl_period.next", ())),
            )
        )
        compiler = self.queryset.query.get_compiler(using)
        exists, params = within.as_sql(compiler, connection)
        row = "(%s, %s, %s)"
        if connection.vendor == "postgresql":
            # In SQLite this would make a number of a date.
            column = field.db_type(connection)
            row = f"(%s, CAST(%s AS {column}), CAST(%s AS {column}))"
        moments = [
            field.get_db_prep_value(_bound(field, day), connection)
            for day in (*starts, end)
        ]
        bounds: list[Any] = []
        for number in range(len(starts)):
            bounds += [number, *moments[number : number + 2]]
        values = ", ".join([row] * len(starts))
        with connection.cursor() as cursor:
            cursor.execute(
                # Not in WHERE: PostgreSQL looks up each period once.
                f"WITH vinyl_period (number, start, next) AS (VALUES {values}) "
                f"SELECT number, {exists} FROM vinyl_period ORDER BY number",
                [*bounds, *params],
            )
            return [starts[number] for number, found in cursor.fetchall() if found]

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
