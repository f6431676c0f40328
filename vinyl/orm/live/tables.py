"""The tables that a queryset reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import models
from django.db.models import QuerySet
from django.db.models.sql import Query

__all__ = [
    "name_in_catalog",
    "tables_of_model",
    "tables_of_models",
    "tables_read_by",
]


def tables_read_by(queryset: QuerySet[Any], alias: str) -> set[str]:
    """
    Return the names of the tables that *queryset* reads: its own, those that it joins,
    those of subqueries and combined queries, and those that it prefetches. It cannot
    know the tables in raw SQL, behind a view, and of generic foreign keys.

    Args:
        alias: The alias of the database that the query is compiled for.

    Never switches.
    """
    found = set(_tables_of_query(queryset.query, alias))
    for lookup in queryset._prefetch_related_lookups:  # type: ignore[attr-defined]
        found |= _tables_of_prefetch(queryset.model, lookup, alias)
    return found


def tables_of_model(model: type[models.Model]) -> list[str]:
    """
    Return the names of the table of *model* and of those that its many-to-many fields
    have created. Never switches.
    """
    fields: Any = model._meta.local_many_to_many
    through = [field.remote_field.through for field in fields]
    created = [each for each in through if each._meta.auto_created]
    return [each._meta.db_table for each in (model, *created)]


def tables_of_models(classes: Iterable[type[models.Model]]) -> set[str]:
    """
    Return the names of the tables of *classes* and of the models that they inherit
    from, as `tables_of_model()` does. Never switches.
    """
    return {
        table
        for model in classes
        for each in (model, *model._meta.get_parent_list())
        for table in tables_of_model(each)
    }


def name_in_catalog(table: str) -> str:
    """
    Return the name of *table*, a `db_table`, without the schema that some projects
    put before it (`'schema"."table'`). Never switches.
    """
    return table.rpartition('"."')[2].strip('"')


def _tables_of_query(query: Query, alias: str) -> Iterator[str]:
    compiled = query.clone()
    try:
        # select_related() and the order join tables only when it is compiled.
        compiled.get_compiler(alias).as_sql()
    except EmptyResultSet:
        pass
    for join in compiled.alias_map.values():
        yield join.table_name
    for part in (compiled.where, *compiled.annotations.values(), *compiled.order_by):
        yield from _tables_of_expression(part, alias)
    for combined in compiled.combined_queries:
        yield from _tables_of_query(combined, alias)


def _tables_of_expression(expression: Any, alias: str) -> Iterator[str]:
    if isinstance(expression, Query):
        yield from _tables_of_query(expression, alias)
    elif hasattr(expression, "get_source_expressions"):
        for part in expression.get_source_expressions():
            yield from _tables_of_expression(part, alias)


def _tables_of_prefetch(model: type[models.Model], lookup: Any, alias: str) -> set[str]:
    """The tables that *lookup*, a string or a `Prefetch`, reads."""
    found: set[str] = set()
    if isinstance(lookup, models.Prefetch):
        if lookup.queryset is not None:
            found |= tables_read_by(lookup.queryset, alias)
        lookup = lookup.prefetch_through
    for name in lookup.split("__"):
        relation = _relation(model, name)
        if relation is None or relation.related_model is None:
            break
        for side in (relation, getattr(relation, "remote_field", None)):
            if (through := getattr(side, "through", None)) is not None:
                found.add(through._meta.db_table)
        model = relation.related_model
        found.add(model._meta.db_table)
        found.update(parent._meta.db_table for parent in model._meta.get_parent_list())
    return found


def _relation(model: type[models.Model], name: str) -> Any:
    """The relation that the attribute *name* of *model* stands for, or None."""
    for field in model._meta.get_fields():
        accessor = getattr(field, "get_accessor_name", None)
        if name == (field.name if accessor is None else accessor()):
            return field
    return None
