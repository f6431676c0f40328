"""
Counts that do not read a whole table: exact up to a limit, "10,000+" above it, and for
the rows of a whole table in PostgreSQL the server's own estimate.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.core.paginator import EmptyPage, Paginator
from django.db import connections
from django.db.models import QuerySet, Value
from django.utils.formats import number_format

__all__ = [
    "BoundedPaginator",
    "Count",
    "count",
    "count_each",
    "estimate",
    "latest",
    "same_rows",
]

# OFFSET is a signed integer of 64 bits.
MAX_OFFSET = 2**63 - 1

# Counts in one query; databases limit its parameters.
TOGETHER = 25


class Count(int):
    """
    A number of rows with the text that a page shows: "9,876", "10,000+" or
    "~1,230,000".
    """

    is_exact: bool
    _sign: str

    @classmethod
    def at_least(cls, number: int) -> Count:
        """There are *number* rows and more. Never switches."""
        return cls._signed(number, "+")

    @classmethod
    def about(cls, number: int) -> Count:
        """An estimate, shown with three digits that count. Never switches."""
        digits = max(len(str(number)) - 3, 0)
        return cls._signed(round(number, -digits), "~")

    @classmethod
    def exactly(cls, number: int) -> Count:
        """Never switches."""
        return cls._signed(number, "")

    @classmethod
    def _signed(cls, number: int, sign: str) -> Count:
        result = cls(number)
        result.is_exact = not sign
        result._sign = sign
        return result

    def __str__(self) -> str:
        if self.is_exact:
            return int.__repr__(self)
        number = number_format(int(self), use_l10n=True, force_grouping=True)
        return f"~{number}" if self._sign == "~" else f"{number}{self._sign}"

    def __format__(self, spec: str) -> str:
        return format(int(self), spec) if spec else str(self)


def count(queryset: QuerySet[Any], limit: int | None) -> Count:
    """
    Return how many rows *queryset* has, without reading more than *limit* of them.
    One query. Switches to the event loop.

    Args:
        limit: Above it, the count is `Count.at_least(limit)`. None for no limit.
    """
    if limit is None:
        return Count.exactly(queryset.count())
    if type(queryset).count is not QuerySet.count:
        # A project's own, which may know better.
        return _up_to(limit, queryset.order_by()[: limit + 1].count())
    return count_each([queryset], limit)[0]


def count_each(querysets: Sequence[QuerySet[Any]], limit: int) -> list[Count]:
    """
    Return what `count()` returns for each of *querysets*, which are of one database.
    One query for `TOGETHER` of them. Switches to the event loop.
    """
    found: list[int] = []
    for start in range(0, len(querysets), TOGETHER):
        batch = [_first(one, limit) for one in querysets[start : start + TOGETHER]]
        columns: list[str] = []
        params: list[Any] = []
        for number, rows in enumerate(batch):
            try:
                sql, values = rows.query.get_compiler(rows.db).as_sql()
            except EmptyResultSet:
                columns.append("0")
            else:
                columns.append(f"(SELECT COUNT(*) FROM ({sql}) vinyl_{number})")
                params += values
        connection = connections[batch[0].db]
        # Oracle wants a FROM.
        suffix = connection.features.bare_select_suffix
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {', '.join(columns)}{suffix}", params)
            found += cursor.fetchone()
    return [_up_to(limit, number) for number in found]


def _first(queryset: QuerySet[Any], limit: int) -> Any:
    """The first rows, one more than *limit*, to count them."""
    rows: Any = queryset.order_by()
    query = queryset.query
    if not (query.distinct or query.group_by or query.combinator):
        # Without a column the database may read an index alone.
        rows = rows.annotate(vinyl_one=Value(1)).values("vinyl_one")
    return rows[: limit + 1]


def _up_to(limit: int, found: int) -> Count:
    return Count.exactly(found) if found <= limit else Count.at_least(limit)


def latest(queryset: QuerySet[Any], number: int) -> QuerySet[Any]:
    """
    Return those rows of *queryset* that are among the last *number* rows of its table
    by primary key; *queryset* itself if the table has no more. One query. Switches to
    the event loop.
    """
    table: Any = queryset.model._base_manager.using(queryset.db)
    keys = table.order_by("-pk").values_list("pk", flat=True)
    # A condition on the key, unlike a list of keys, reads a part of its index.
    first = [*keys[number - 1 : number + 1]]
    return queryset.filter(pk__gte=first[0]) if len(first) > 1 else queryset


def estimate(queryset: QuerySet[Any]) -> Count | None:
    """
    Return PostgreSQL's estimate of the rows of *queryset*, if these are all rows of a
    table; otherwise None, and for other databases and tables that were never analyzed.
    At most one query, of the catalog. Switches to the event loop.
    """
    connection = connections[queryset.db]
    if connection.vendor != "postgresql" or not _is_whole_table(queryset):
        return None
    table = connection.ops.quote_name(queryset.model._meta.db_table)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(%s)",
            [table],
        )
        row = cursor.fetchone()
    # -1 stands for unknown.
    return Count.about(row[0]) if row and row[0] > 0 else None


def _is_whole_table(queryset: QuerySet[Any]) -> bool:
    query = queryset.query
    return not (
        query.where
        or query.combinator
        or query.is_sliced
        or query.distinct
        or query.group_by
        or query.extra_tables
        or len(query.alias_map) > 1
    )


def same_rows(queryset: QuerySet[Any], other: QuerySet[Any]) -> bool:
    """
    Whether both have the same conditions, so that one count serves both. Never
    switches.
    """
    one, two = queryset.query, other.query
    return (
        one.where == two.where
        and one.distinct == two.distinct
        and one.group_by == two.group_by
        and one.annotations.keys() == two.annotations.keys()
        and one.alias_map.keys() == two.alias_map.keys()
        and one.extra_tables == two.extra_tables
    )


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # not generic at runtime
    """
    A paginator that counts up to a limit. Above it the number of the last page is not
    known: pages link to their neighbours, and a page beyond the limit may be asked for.
    """

    # The highest count; None for no limit.
    limit: int | None = 10_000

    @cached_property
    def count(self) -> Count:
        rows = self.object_list
        if isinstance(rows, QuerySet):
            return count(rows, self.limit)
        return Count.exactly(len(rows))

    def validate_number(self, number: Any) -> int:
        """
        Return *number* as an int. Switches to the event loop.

        Raises:
            PageNotAnInteger: It is not a whole number.
            EmptyPage: It is below 1, or there are not that many pages.
        """
        try:
            return super().validate_number(number)
        except EmptyPage:
            number = int(number)
            last = MAX_OFFSET // self.per_page
            if self.count.is_exact or number < 1 or number > last:
                raise
            return number

    def get_elided_page_range(
        self, number: Any = 1, *, on_each_side: int = 3, on_ends: int = 2
    ) -> Iterator[Any]:
        """
        Yield the pages around *number*, the first ones, and `ELLIPSIS` for those left
        out. The last ones are yielded only if they are known.
        """
        if self.count.is_exact:
            yield from super().get_elided_page_range(
                number, on_each_side=on_each_side, on_ends=on_ends
            )
            return
        number = self.validate_number(number)
        known = math.ceil(self.count / self.per_page)
        first = max(number - on_each_side, 1)
        if first > on_ends + 1:
            yield from range(1, on_ends + 1)
            yield self.ELLIPSIS
        else:
            first = 1
        yield from range(first, max(min(number + on_each_side, known), number) + 1)
        yield self.ELLIPSIS
