"""
Functions that make instances of rows, written out for the columns of one query.

A loop over the names of attributes for each row would take as long as all the rest, and
so would a second pass over the rows for each relation that was selected with them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

from django.db.models.base import ModelState

__all__ = ["Builder", "Part", "RelatedPart", "builder_of"]

# Makes instances of rows on a database, in a fetch mode (None before Django 6.1).
Builder = Callable[[list[Any], str, Any], list[list[Any]]]


class Part(Protocol):
    """The columns of each row that become an instance of one model."""

    model: Any
    # The attributes and their columns, in the order in which Django sets them.
    columns: list[tuple[str, int]]
    # The columns of foreign keys.
    keys: list[int]

    @property
    def related(self) -> Sequence[RelatedPart]:
        """The relations that were selected with the model."""

    def is_settable(self, name: str) -> bool:
        """Whether setting the attribute *name* in code does nothing else."""


class RelatedPart(Part, Protocol):
    """The columns of a relation."""

    # The column of its primary key, which is NULL if there is no instance.
    key: int
    # The name under which the relation caches its instance; None if *set_local* has to
    # be called with both.
    local_name: str | None
    set_local: Callable[[Any, Any], object]
    # Called with both in the other order; None if that does nothing.
    set_remote: Callable[[Any, Any], object] | None


def builder_of(part: Part, *, keeps_all: bool) -> Builder:
    """
    Return a function that makes the instances of rows, and returns a list that begins
    with the list of those of *part*.

    Args:
        keeps_all: Whether a list for each relation follows.

    Never switches.
    """
    writer = _Writer(keeps_all)
    _, lines = writer.lines_of(part)
    lists = writer.names if keeps_all else writer.names[:1]
    source = [
        "def build(rows, db, mode):",
        *(f"    all_{name} = []" for name in lists),
        "    for row in rows:",
        *_indented(_indented(lines)),
        f"    return [{', '.join(f'all_{name}' for name in lists)}]",
    ]
    exec("\n".join(source), writer.namespace)
    return cast(Builder, writer.namespace["build"])


class _Writer:
    def __init__(self, keeps_all: bool) -> None:
        self.keeps_all = keeps_all
        # What the lines refer to.
        self.namespace: dict[str, Any] = {"state_class": ModelState}
        # The variables of the instances.
        self.names: list[str] = []
        self._numbers = itertools.count()

    def lines_of(self, part: Part) -> tuple[str, list[str]]:
        """
        Return the variable of the instance of *part*, and the lines that make it of
        `row`.
        """
        number = next(self._numbers)
        instance, state = f"instance_{number}", f"state_{number}"
        self.names.append(instance)
        self.namespace[f"model_{number}"] = part.model
        self.namespace[f"new_{number}"] = part.model.__new__
        before, cached, after = self._lines_of_related(part, instance)
        lines = [
            *before,
            f"{instance} = new_{number}(model_{number})",
            f"{instance}._state = {state} = state_class()",
        ]
        if cached:
            lines.append(f"cache = {{{', '.join(cached)}}}")
        if part.keys:
            # Setting a foreign key looks at the cache of relations, which makes it.
            has_key = " or ".join(f"row[{key}] is not None" for key in part.keys)
            cache = "cache" if cached else "{}"
            lines += [f"if {has_key}:", f"    {state}.fields_cache = {cache}"]
        lines += [
            f"{state}.adding = False",
            f"{state}.db = db",
            "if mode is not None:",
            f"    {state}.fetch_mode = mode",
            *_lines_of_columns(part, instance),
        ]
        if cached:
            lines.append(f"{state}.fields_cache = cache")
        lines += after
        if self.keeps_all or number == 0:
            lines.append(f"all_{instance}.append({instance})")
        return instance, lines

    def _lines_of_related(
        self, part: Part, instance: str
    ) -> tuple[list[str], list[str], list[str]]:
        """
        The lines that make what is related to *instance*, the items of its cache of
        relations, and the lines that set the relations that are not simply cached.
        """
        before, cached, after = [], [], []
        for related in part.related:
            other, lines = self.lines_of(related)
            before += [
                f"if row[{related.key}] is None:",
                f"    {other} = None",
                "else:",
                *_indented(lines),
            ]
            if related.local_name is not None:
                cached.append(f"{related.local_name!r}: {other}")
            else:
                self.namespace[f"set_{other}"] = related.set_local
                after.append(f"set_{other}({instance}, {other})")
            if related.set_remote is not None:
                self.namespace[f"set_on_{other}"] = related.set_remote
                after += [
                    f"if {other} is not None:",
                    f"    set_on_{other}({other}, {instance})",
                ]
        return before, cached, after


def _lines_of_columns(part: Part, instance: str) -> list[str]:
    """The lines that set the attributes of *instance* to the values of `row`."""
    is_settable = [part.is_settable(name) for name, _ in part.columns]
    # Setting an attribute makes no `__dict__`. Where a descriptor needs one, the
    # attributes from there on are set in it.
    simple = [*is_settable, False].index(False)
    lines = [f"{instance}.{name} = row[{it}]" for name, it in part.columns[:simple]]
    if others := part.columns[simple:]:
        lines.append(f"values = {instance}.__dict__")
        lines += [f"values[{name!r}] = row[{column}]" for name, column in others]
    return lines


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
