"""
How instances were reached: from the model of which queryset, over which relations.

Instances are marked while lazy loads are observed, so that the report of a load can
name the call that would have brought its value along.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import models

from vinyl.records import NamedTuple

__all__ = ["LookupPath", "cure_of", "path_of", "set_paths"]


class LookupPath(NamedTuple):
    """
    The path by which an instance was fetched.

    Args:
        root: The name of the model of the first queryset.
        names: The relations that were followed from it.
        joins: Whether `select_related()` can follow them, as it can if none is to-many.
    """

    root: str
    names: tuple[str, ...] = ()
    joins: bool = True

    def follow(self, name: str, *, joins: bool) -> LookupPath:
        """Return the path that goes on over the relation *name*. Never switches."""
        return LookupPath(self.root, (*self.names, name), self.joins and joins)


def path_of(instance: models.Model) -> LookupPath:
    """Return how *instance* was reached, as far as that is known. Never switches."""
    own = LookupPath(type(instance).__name__)
    return vars(instance._state).get("lookup_path", own)


def set_paths(rows: Iterable[Any], path: LookupPath) -> None:
    """
    Mark those of *rows* that are instances as reached by *path*, and what was fetched
    with them as reached from there. Never switches.
    """
    todo = [(row, path) for row in rows]
    while todo:
        instance, path = todo.pop()
        if not isinstance(instance, models.Model):
            continue
        state = vars(instance._state)
        if "lookup_path" in state:
            # It was fetched before and has a path.
            continue
        state["lookup_path"] = path
        generic = [field.name for field in instance._meta.private_fields]
        for name, related in state.get("fields_cache", {}).items():
            todo.append((related, path.follow(name, joins=name not in generic)))
        for name, found in getattr(instance, "_prefetched_objects_cache", {}).items():
            further = path.follow(name, joins=False)
            todo += [(row, further) for row in found._result_cache or ()]


def cure_of(path: LookupPath, kind: str) -> tuple[str, str]:
    """
    Return the call that avoids a lazy load, and a sentence that recommends it.

    Args:
        path: The lookup path to the value of the load.
        kind: The kind of the load; see `LazyLoad`.

    Never switches.
    """
    lookup = "__".join(path.names)
    queryset = f"the queryset of {path.root}"
    if kind == "field":
        call = f'only(..., "{lookup}")'
        return call, f"Load it with {queryset}: leave it out of defer(), or {call}."
    if kind == "part":
        call = f'prefetch_related(Prefetch("{lookup}", queryset=..., to_attr=...))'
        return call, f"Load those rows with {queryset}: {call}."
    call = f'{"select" if path.joins else "prefetch"}_related("{lookup}")'
    return call, f"Load it with {queryset}: {call}."
