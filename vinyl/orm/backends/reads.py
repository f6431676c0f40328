"""
Which queries only read: running one of them a second time changes nothing.

A query is judged by its expressions, not by its text. Django's own are known to have no
side effects. SQL that somebody else has written may call any function.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db.models import sql
from django.db.models.expressions import RawSQL
from django.db.models.sql.where import ExtraWhere

__all__ = ["is_read"]

# The compilers of SELECT, by the name that a query gives.
_READING = ("SQLCompiler", "SQLAggregateCompiler")
# The arguments of Func, Case and Subquery that replace a part of their SQL.
_SQL_ARGUMENTS = frozenset({"arg_joiner", "case_joiner", "function", "template"})
# Where an expression has others, besides its source expressions.
_PARTS = ("children", "lhs", "rhs")


def is_read(query: Any) -> bool:
    """
    Whether *query* only reads: a SELECT without locks, made of expressions and lookups
    that come with Django, and without SQL that was written by hand.

    What it reads from is not looked at. A view may call a function of any kind.

    Args:
        query: The query of a compiler.

    Never switches.
    """
    return (
        isinstance(query, sql.Query)
        and _is_trusted(type(query))
        and query.compiler in _READING
        and not query.select_for_update
        and not (query.extra or query.extra_tables or query.extra_order_by)
        and all(map(_reads, _parts_of_query(query)))
        and all(map(_joins_as_django, query.alias_map.values()))
    )


def _joins_as_django(join: Any) -> bool:
    """Whether *join*, or the first table, has no condition that others have written."""
    field = getattr(join, "join_field", None)
    declared = getattr(field, "field", field)
    return _is_trusted(type(join)) and (
        declared is None or _is_trusted(declared.get_extra_restriction)
    )


def _parts_of_query(query: Any) -> Iterator[Any]:
    """The expressions and queries that *query* is made of."""
    yield query.where
    yield from query.annotations.values()
    yield from query.select
    yield from query.order_by
    yield from query.combined_queries
    yield getattr(query, "inner_query", None)
    if isinstance(query.group_by, tuple):
        yield from query.group_by
    if query.model is not None:
        yield from query.get_meta().ordering
    for join in query.alias_map.values():
        if (filtered := join.filtered_relation) is not None:
            yield filtered.resolved_condition
        if (field := getattr(join, "join_field", None)) is not None:
            yield from field.related_model._meta.ordering


def _reads(part: Any) -> bool:
    """Whether *part* of a query, an expression or a value, only reads."""
    if isinstance(part, sql.Query):
        return is_read(part)
    if isinstance(part, list | tuple | set | frozenset):
        return all(map(_reads, part))
    if not (hasattr(part, "as_sql") or hasattr(part, "resolve_expression")):
        # A value, which is sent as a parameter.
        return True
    if isinstance(part, RawSQL | ExtraWhere):
        return False
    # A bilateral transform applies to the value, too.
    classes = type(part), *getattr(part, "bilateral_transforms", ())
    return (
        all(map(_is_trusted, classes))
        and not _SQL_ARGUMENTS.intersection(getattr(part, "extra", ()))
        and all(map(_reads, _parts_of_expression(part)))
    )


def _parts_of_expression(expression: Any) -> Iterator[Any]:
    for name in _PARTS:
        yield getattr(expression, name, None)
    if hasattr(expression, "get_source_expressions"):
        yield from expression.get_source_expressions()


def _is_trusted(thing: Any) -> bool:
    """Whether *thing*, a class or a method, is Django's own or vinyl's."""
    return thing.__module__.partition(".")[0] in ("django", "vinyl")
