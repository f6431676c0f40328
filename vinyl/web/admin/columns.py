"""
Columns of a change list that the visitor hides.

`list_display` stays as it is, because the order in a query string counts its columns.
Hidden ones are left out of the table and of exports, and their values are not computed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from copy import copy
from typing import Any

from django.contrib.admin.templatetags import admin_list
from django.contrib.admin.utils import label_for_field

from vinyl.web.admin.preferences import LABEL

__all__ = ["columns", "hideable", "result_list", "shown"]

CHECKBOX = "action_checkbox"


def hideable(
    list_display: Iterable[Any], links: Collection[Any] | None, editable: Iterable[Any]
) -> dict[str, Any]:
    """
    Return the columns of *list_display* that can be hidden, by name: those that neither
    lead to the object nor have a field, whose value a form would miss. Never switches.

    Args:
        list_display: The columns; a function has the name of its definition.
        links: The columns that are links. The first column stays if there are none.
        editable: The columns that have fields.
    """
    others = [column for column in list_display if column != CHECKBOX]
    kept = [*(links or others[:1]), *editable]
    names = [(_name(column), column) for column in others if column not in kept]
    return {name: column for name, column in names if LABEL.fullmatch(name)}


def shown(
    list_display: Iterable[Any], hidden: Collection[str], may_hide: dict[str, Any]
) -> list[Any]:
    """
    Return *list_display* without the columns whose names are in *hidden*. Never
    switches.

    Args:
        may_hide: What `hideable()` returns; others stay.
    """
    absent = [may_hide[name] for name in hidden if name in may_hide]
    return [column for column in list_display if column not in absent]


def columns(changelist: Any) -> Iterator[dict[str, Any]]:
    """
    Yield the `name`, the `label` and whether it is `shown` of each column of
    *changelist* that can be hidden. Never switches.
    """
    if not hasattr(changelist, "hidden_columns"):
        # A project's own class.
        return
    for name, column in _hideable(changelist).items():
        label = label_for_field(column, changelist.model, changelist.model_admin)
        is_shown = name not in changelist.hidden_columns
        yield {"name": name, "label": label, "shown": is_shown}


def result_list(changelist: Any) -> dict[str, Any]:
    """
    Return Django's variables of the table of *changelist*, without the columns that the
    visitor hides. Switches to the event loop.
    """
    hidden = getattr(changelist, "hidden_columns", ())
    every = changelist.list_display
    kept = shown(every, hidden, _hideable(changelist)) if hidden else every
    if len(kept) == len(every):
        table: dict[str, Any] = admin_list.result_list(changelist)
        return table
    part = copy(changelist)
    part.list_display = kept
    table = admin_list.result_list(part)
    # Their links count all columns.
    headers = [*admin_list.result_headers(changelist)]
    table["num_sorted_fields"] = sum(bool(h.get("sorted")) for h in headers)
    table["result_headers"] = [
        header for header, name in zip(headers, every, strict=True) if name in kept
    ]
    return table


def _hideable(changelist: Any) -> dict[str, Any]:
    formset = changelist.formset
    fields = formset.form.base_fields if formset else changelist.list_editable
    return hideable(changelist.list_display, changelist.list_display_links, fields)


def _name(column: Any) -> str:
    return column if isinstance(column, str) else getattr(column, "__name__", "")
