"""Cards: what a project shows on the first page of the admin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Card", "ListCard", "TemplateCard"]


@dataclass(frozen=True)
class Card:
    """
    One value, such as the number of today's orders.

    Args:
        title: The heading.
        value: What the card is about, in large type; numbers and dates in the
            visitor's format.
        url: Where the heading leads; empty for nowhere.
        note: A line of text below the value.
        template_name: The template that renders it, with the variable `card`.
    """

    title: str
    value: Any = ""
    url: str = ""
    note: str = ""
    template_name: str = field(default="admin/cards/value.html", kw_only=True)


@dataclass(frozen=True)
class ListCard(Card):
    """
    A list of texts or links below the value, such as the latest orders.

    Args:
        title: The heading.
        value: As for `Card`.
        url: As for `Card`.
        note: As for `Card`.
        items: Pairs of a text and a URL, which may be empty. A queryset of objects
            works where they have `get_absolute_url()`.
        template_name: As for `Card`.
    """

    items: Iterable[Any] = ()
    template_name: str = field(default="admin/cards/list.html", kw_only=True)

    def pairs(self) -> list[tuple[Any, str]]:
        """Return texts and URLs. Switches to the event loop."""
        return [
            (item[0], item[1])
            if isinstance(item, tuple)
            else (item, getattr(item, "get_absolute_url", str)() or "")
            for item in self.items
        ]


@dataclass(frozen=True)
class TemplateCard(Card):
    """
    A card with a template of the project, such as a chart.

    Args:
        title: The heading.
        value: As for `Card`.
        url: As for `Card`.
        note: As for `Card`.
        context: Further variables of the template, as `card.context`.
        template_name: The template below the heading; its variables are those of the
            index, and `card`.
    """

    context: Mapping[str, Any] = field(default_factory=dict)
    template_name: str = field(default="", kw_only=True)
