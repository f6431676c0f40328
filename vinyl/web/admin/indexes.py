"""Which fields an index begins with, so that the database need not read all rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core.exceptions import FieldDoesNotExist

__all__ = ["is_indexed"]


def is_indexed(model: Any, name: str) -> bool:
    """
    Return whether *name* is a field of *model* whose rows are found by an index: one
    that begins with it, or for a relation from another table that of its key. Never
    switches.
    """
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    if field.many_to_many or not field.concrete:
        return bool(field.is_relation)
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
