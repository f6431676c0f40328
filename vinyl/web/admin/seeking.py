"""
Pages by key: the rows after or before one row in the order of a queryset, found by an
index where OFFSET reads all rows that it leaves out.

A link contains the primary key of the row alone. The values that rows are sorted by are
read again, so that it shows nothing of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from django.core.exceptions import FieldDoesNotExist
from django.db import connections
from django.db.models import BinaryField, F, JSONField, Q, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.db.models.expressions import OrderBy

from vinyl.records import NamedTuple

__all__ = ["rows_after", "rows_before"]


class _Term(NamedTuple):
    """One of the fields that rows are sorted by."""

    lookup: str
    descending: bool
    is_nullable: bool
    nulls_last: bool
    is_unique: bool


def rows_after(
    queryset: QuerySet[Any], among: QuerySet[Any], key: str
) -> QuerySet[Any] | None:
    """
    Return the rows of *queryset* after that with the primary key *key*. One query for
    the row. Switches to the event loop.

    Args:
        queryset: Sorted rows.
        among: The rows that may be asked for by key, filtered or not.
        key: The primary key of a row.

    Returns:
        None if there is no such row any more, or the order has no key: it ends with no
        unique field, or goes through other rows than those of foreign keys.

    Raises:
        ValueError, ValidationError: *key* is not a key of the model.
    """
    return _rows_beyond(queryset, among, key, backwards=False)


def rows_before(
    queryset: QuerySet[Any], among: QuerySet[Any], key: str
) -> QuerySet[Any] | None:
    """
    Return the rows before a row, the closest ones first; otherwise as `rows_after()`.
    Switches to the event loop.
    """
    return _rows_beyond(queryset.reverse(), among, key, backwards=True)


def _rows_beyond(
    queryset: QuerySet[Any], among: QuerySet[Any], key: str, *, backwards: bool
) -> QuerySet[Any] | None:
    # With a wrong key the filter raises, whatever the order.
    row = among.filter(pk=key).order_by()
    terms = _terms(queryset)
    if terms is None:
        return None
    values = row.values_list(*(term.lookup for term in terms)).first()
    if values is None:
        return None
    if backwards:
        terms = [
            term._replace(
                descending=not term.descending, nulls_last=not term.nulls_last
            )
            for term in terms
        ]
    return queryset.filter(_beyond(zip(terms, values, strict=True)))


def _beyond(pairs: Iterable[tuple[_Term, Any]]) -> Q:
    pairs = [*pairs]
    result = Q(pk__in=[])
    for term, value in reversed(pairs):
        result = _later(term, value) | (_equal(term, value) & result)
    first, value = pairs[0]
    if len(pairs) > 1 and not first.is_nullable:
        # It follows from the rest, and lets the database use an index.
        comparison = "lte" if first.descending else "gte"
        result = Q((f"{first.lookup}__{comparison}", value)) & result
    return result


def _later(term: _Term, value: Any) -> Q:
    if value is None:
        return Q(pk__in=[]) if term.nulls_last else ~_equal(term, None)
    comparison = "lt" if term.descending else "gt"
    result = Q((f"{term.lookup}__{comparison}", value))
    if term.is_nullable and term.nulls_last:
        result |= _equal(term, None)
    return result


def _equal(term: _Term, value: Any) -> Q:
    if value is None:
        return Q((f"{term.lookup}__isnull", True))
    return Q((term.lookup, value))


def _terms(queryset: QuerySet[Any]) -> list[_Term] | None:
    """The terms up to the first unique one; None if the order has no key."""
    query = queryset.query
    if query.extra_order_by or query.combinator or query.distinct_fields:
        return None
    order: Any = query.order_by
    if not order and query.default_ordering:
        order = queryset.model._meta.ordering
    nulls_first = connections[queryset.db].features.order_by_nulls_first
    terms = []
    for item in order:
        term = _term(queryset, item, nulls_first)
        if term is None:
            return None
        terms.append(term)
        if term.is_unique:
            return terms
    return None


def _term(queryset: QuerySet[Any], item: Any, nulls_first: bool) -> _Term | None:
    nulls_last = None
    if isinstance(item, str):
        name, descending = item.removeprefix("-"), item.startswith("-")
    else:
        if isinstance(item, F):
            item = item.asc()
        if not isinstance(item, OrderBy) or not isinstance(item.expression, F):
            return None
        name = cast(Any, item.expression).name
        descending = bool(item.descending)
        if item.nulls_first or item.nulls_last:
            nulls_last = bool(item.nulls_last)
    fields = _fields(queryset, name)
    if not fields:
        return None
    *relations, field = fields
    if nulls_last is None:
        nulls_last = nulls_first if descending else not nulls_first
    is_nullable = any(field.null for field in fields)
    return _Term(
        LOOKUP_SEP.join([*(one.name for one in relations), field.attname]),
        descending,
        is_nullable,
        nulls_last,
        not relations and field.unique and not is_nullable,
    )


def _fields(queryset: QuerySet[Any], name: str) -> list[Any]:
    """The foreign keys and the field that *name* stands for; empty for others."""
    parts = name.split(LOOKUP_SEP)
    if parts[0] in queryset.query.annotations:
        return []
    opts, fields = queryset.model._meta, []
    for i, part in enumerate(parts):
        try:
            field: Any = opts.pk if part == "pk" else opts.get_field(part)
        except FieldDoesNotExist:
            return []
        if not field.concrete or field.many_to_many:
            return []
        fields.append(field)
        if field.is_relation:
            if i == len(parts) - 1:
                # Sorted by what the other model is sorted by, or else by its key.
                ordering = field.remote_field.model._meta.ordering
                if ordering and part not in ("pk", field.attname):
                    return []
                return fields
            opts = field.remote_field.model._meta
        elif i < len(parts) - 1:
            return []
    return [] if isinstance(fields[-1], JSONField | BinaryField) else fields
