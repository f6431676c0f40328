"""
The rows of a list as peers: a foreign key or one-to-one relation that a column reads
for one row is fetched for all of them, in one query, on every version of Django.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model, prefetch_related_objects

__all__ = ["fetch_together"]


def fetch_together(rows: Iterable[Any]) -> None:
    """
    Let *rows* fetch their relations together, and the related objects theirs. Never
    switches.

    Relations to many objects are not fetched: `album.tracks.count()` and
    `album.tracks.filter()` would load all tracks, however many there are.
    """
    models = [row for row in rows if isinstance(row, Model)]
    if len(models) > 1:
        # Weak ones: in a long export, rows must not wait for the garbage collector.
        peers = [weakref.ref(row) for row in models]
        for row, own in zip(models, peers, strict=True):
            state: Any = row._state
            if not isinstance(state.fields_cache, _Cache):
                state.fields_cache = _Cache(state.fields_cache, own, peers)


class _Cache(dict[str, Any]):
    """The related objects of one row, by the names that Django gives them."""

    def __init__(
        self,
        known: dict[str, Any],
        row: weakref.ref[Any],
        peers: list[weakref.ref[Any]],
    ) -> None:
        super().__init__(known)
        self.row = row
        self.peers = peers

    def __missing__(self, name: str) -> Any:
        rows = filter(None, [peer() for peer in self.peers])
        peers = [row for row in rows if name not in row._state.fields_cache]
        if len(peers) > 1 and self._is_to_one(name):
            # Django looks here, too, while it fetches.
            others, self.peers = self.peers, []
            try:
                prefetch_related_objects(peers, name)
            finally:
                self.peers = others
            if name in self:
                values = (row._state.fields_cache.get(name) for row in peers)
                related = {id(value): value for value in values if value is not None}
                fetch_together(related.values())
                return self[name]
        raise KeyError(name)

    def _is_to_one(self, name: str) -> bool:
        row: Any = self.row()
        try:
            field = row._meta.get_field(name)
        except FieldDoesNotExist:
            return False
        if field.concrete and getattr(row, field.attname) is None:
            # Nothing to fetch for this one.
            return False
        return bool(field.many_to_one or field.one_to_one)
