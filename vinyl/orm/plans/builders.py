"""
Functions that make instances of rows, written out for the columns of one query.

A loop over the names of attributes for each row would take as long as all the rest, and
so would a second pass over the rows for each relation that was selected with them.
"""

from __future__ import annotations

import itertools
import keyword
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, cast

import django
from django.db.models.base import ModelState

__all__ = ["Builder", "Part", "RelatedPart", "builder_of"]

# Makes instances of rows on a database, in a fetch mode (None before Django 6.1).
Builder = Callable[[list[Any], str, Any], list[list[Any]]]

# Whether an object that gets another class keeps the memory of its attributes: later
# versions of Python have them in the object, and copy them.
_KEEPS_VALUES = sys.version_info < (3, 13)
# By model.
_bare_classes: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


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
        """Whether setting the attribute *name* does nothing else."""


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


def builder_of(part: Part, width: int, *, keeps_all: bool) -> Builder:
    """
    Return a function that makes the instances of rows, and returns a list that begins
    with the list of those of *part*.

    Args:
        width: The number of columns of a row.
        keeps_all: Whether a list for each relation follows.

    Never switches.
    """
    writer = _Writer(keeps_all)
    _, lines = writer.lines_of(part)
    lists = writer.names if keeps_all else writer.names[:1]
    row = "".join(f"{_value(column)}, " for column in range(width))
    source = [
        "def build(rows, db, mode):",
        *(f"    all_{name} = []" for name in lists),
        f"    for {row}in rows:",
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
        Return the variable of the instance of *part*, and the lines that make it of the
        values of a row.
        """
        number = next(self._numbers)
        instance, state = f"instance_{number}", f"state_{number}"
        self.names.append(instance)
        before, cached, after = self._lines_of_related(part, instance)
        begin, end = self._lines_of_columns(part, instance, state, number)
        lines = [*before, *begin]
        if cached:
            lines.append(f"cache = {{{', '.join(cached)}}}")
        if part.keys:
            # Setting a foreign key looks at the cache of relations, which makes it.
            has_key = " or ".join(f"{_value(key)} is not None" for key in part.keys)
            cache = "cache" if cached else "{}"
            lines += [f"if {has_key}:", f"    {state}.fields_cache = {cache}"]
        lines += [f"{state}.adding = False", f"{state}.db = db"]
        if django.VERSION >= (6, 1):
            lines.append(f"{state}.fetch_mode = mode")
        if cached:
            is_late = f"if not ({has_key}): " if part.keys else ""
            lines.append(f"{is_late}{state}.fields_cache = cache")
        lines += [*end, *after]
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
                f"if {_value(related.key)} is None:",
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

    def _lines_of_columns(
        self, part: Part, instance: str, state: str, number: int
    ) -> tuple[list[str], list[str]]:
        """
        The lines that make *instance* with its *state*, and those that set its
        attributes to the values of a row.
        """
        names = [name for name, _ in part.columns]
        are_names = all(name.isidentifier() for name in names) and not any(
            map(keyword.iskeyword, names)
        )
        is_plain = are_names and all(map(part.is_settable, names))
        self.namespace[f"model_{number}"] = part.model
        bare = None if is_plain or not are_names else _bare_class(part.model)
        if bare is not None:
            self.namespace[f"bare_{number}"] = bare
            begin = [f"{instance} = bare_{number}()"]
        else:
            self.namespace[f"new_{number}"] = _new(part.model)
            begin = [f"{instance} = next(new_{number})"]
        begin.append(f"{instance}._state = {state} = state_class()")
        if is_plain or bare is not None:
            end = [f"{instance}.{name} = {_value(it)}" for name, it in part.columns]
            if bare is not None:
                end.append(f"{instance}.__class__ = model_{number}")
            return begin, end
        # Setting an attribute makes no `__dict__`, but a descriptor needs one.
        end = [f"values = {instance}.__dict__"]
        end += [f"values[{name!r}] = {_value(it)}" for name, it in part.columns]
        return begin, end


def _new(model: Any) -> Iterator[Any]:
    """New instances of *model* without end, which takes less time than calls."""
    return itertools.starmap(model.__new__, itertools.repeat((model,)))


def _bare_class(model: Any) -> Any:
    """
    Return a class whose instances can become instances of *model*; None if there is
    none, or their memory would have to be copied.

    Python sets an attribute several times as fast where the class has no descriptor of
    that name.
    """
    if not _KEEPS_VALUES:
        return None
    if model not in _bare_classes:
        bare: Any = type(f"Bare{model.__name__}", (), {})
        made: Any = bare()
        try:
            made.__class__ = model
            # Or a `__del__` of the model would see an instance without attributes.
            made.__class__ = bare
        except TypeError:
            # A class with slots.
            bare = None
        _bare_classes[model] = bare
    return _bare_classes[model]


def _value(column: int) -> str:
    """The variable of the value of *column*."""
    return f"value_{column}"


def _indented(lines: list[str]) -> list[str]:
    return [f"    {line}" for line in lines]
