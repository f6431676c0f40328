"""Tabs of a change form: fieldsets and inlines that have the class "tab"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib.admin.utils import flatten
from django.utils.text import capfirst
from django.utils.translation import gettext

__all__ = ["Tab", "Tabs", "tabs"]

CLASS = "tab"


@dataclass
class Tab:
    """
    A tab of the form.

    Args:
        id: The id of its panel in the page.
        title: What stands on it.
        errors: How many errors are in it.
        is_current: Whether it is the one that is shown first: that with errors.
    """

    id: str
    title: Any
    errors: int
    is_current: bool = False


@dataclass
class Tabs:
    """
    The tabs of a form.

    Args:
        fieldsets: The tab of each fieldset, or None for one without.
        inlines: The tab of each inline, or None.
    """

    fieldsets: list[Tab | None]
    inlines: list[Tab | None]

    def __iter__(self) -> Iterator[Tab]:
        return (tab for tab in (*self.fieldsets, *self.inlines) if tab is not None)


def tabs(fieldsets: Iterable[Any], inlines: Iterable[Any]) -> Tabs:
    """
    Return the tabs of a form. Never switches.

    Args:
        fieldsets: Those of the form.
        inlines: Its `inline_admin_formsets`.
    """
    found = Tabs([_of_fieldset(*n) for n in enumerate(fieldsets)], [])
    found.inlines = [_of_inline(*n) for n in enumerate(inlines)]
    if first := next(iter(found), None):
        next((tab for tab in found if tab.errors), first).is_current = True
    return found


def _of_fieldset(number: int, fieldset: Any) -> Tab | None:
    if CLASS not in fieldset.classes.split():
        return None
    wrong = [n for n in flatten(fieldset.fields) if n in fieldset.form.errors]
    title = fieldset.name or gettext("General")
    return Tab(f"fieldset-{number}", title, len(wrong))


def _of_inline(number: int, inline: Any) -> Tab | None:
    if CLASS not in inline.classes.split():
        return None
    title = capfirst(inline.opts.verbose_name_plural)
    return Tab(f"inline-{number}", title, inline.formset.total_error_count())
