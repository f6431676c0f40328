"""
Lazy loads: relations and deferred fields that are fetched where code touches them.

They are observed during full recordings (vinyl.orm.recording), and if
`VINYL["LAZY_IN_TEMPLATES"]` warns of those in templates or refuses them; otherwise
nothing here runs but a truth test.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, NamedTuple

from vinyl.conf import vinyl_settings
from vinyl.exceptions import LazyInTemplateError
from vinyl.orm.observe import recorder
from vinyl.orm.observe.callsite import Callsite, Frame, find_callsite
from vinyl.orm.observe.events import QueryEvent, observe
from vinyl.orm.observe.lookup_paths import LookupPath, cure_of, path_of, set_paths

__all__ = [
    "LazyLoad",
    "RecordedLoad",
    "observe_load",
    "observe_rows",
    "patch_create_related_manager",
    "patch_prefetch_one_level",
    "read_settings",
]

logger = logging.getLogger("vinyl.queries")

# What has been warned of outside of recordings.
_warned: set[tuple[Any, ...]] = set()
# Whether the running code sets the paths of the rows that are fetched inside it.
_sets_paths: ContextVar[bool] = ContextVar("vinyl_sets_paths", default=False)


@dataclass(slots=True, eq=False)
class LazyLoad:
    """
    A lazy load, which observes its own queries.

    Args:
        instance: Whose attribute it is.
        attribute: The name of the relation or field.
        kind: "one" or "many" for relations, "generic" for generic foreign keys,
            "field" for a deferred field, "part" for some rows of a relation to many.
        callsite: The line that touched it. None to find it with the first query.
    """

    instance: Any
    attribute: str
    kind: str
    callsite: Callsite | None = None
    # Queries that it took, and their time in seconds. No query if it was loaded.
    count: int = 0
    seconds: float = 0.0

    def begin(self, query: QueryEvent) -> None:
        if self.count == 0:
            if self.callsite is None:
                self.callsite = find_callsite()
            frame = self.callsite.template
            if frame is not None and vinyl_settings.LAZY_IN_TEMPLATES != "allow":
                _warn_or_refuse(self, frame)

    def end(self, query: QueryEvent) -> None:
        self.count += 1
        self.seconds += query.seconds

    @property
    def path(self) -> LookupPath:
        """How its value is reached."""
        return path_of(self.instance).follow(self.attribute, joins=self.kind == "one")


class RecordedLoad(NamedTuple):
    """
    What a full recording keeps of a lazy load that took a query.

    Args:
        name: What was loaded, such as "Album.artist".
        path: How its value was reached.
        kind: As of `LazyLoad`.
        callsite: The line that touched it.
        seconds: How long its queries took.
    """

    name: str
    path: LookupPath
    kind: str
    callsite: Callsite
    seconds: float


def read_settings() -> None:
    """Put `VINYL["LAZY_IN_TEMPLATES"]` into effect. Never switches."""
    _warned.clear()
    recorder.observe_loads(vinyl_settings.LAZY_IN_TEMPLATES != "allow")


def observe_load(load: LazyLoad, read: Callable[[], Any]) -> Any:
    """
    Return what *read* returns. If that takes a query, it is recorded as *load*.

    Raises:
        LazyInTemplateError: A template touches it, and the settings forbid that.

    Switches to the event loop inside the bridge.
    """
    value: Any = ()
    token = _sets_paths.set(True)
    try:
        with observe(load):
            value = read()
    finally:
        _sets_paths.reset(token)
        # Also if there is no such row: it took a query to find that out.
        if load.count:
            if load.kind != "field":
                rows = value if load.kind in ("many", "part") else [value]
                set_paths(rows, load.path)
            _record(load)
    return value


def _record(load: LazyLoad) -> None:
    record = recorder.current_recording()
    if record is None or not record.full:
        return
    loads = record.notes.setdefault("loads", [])
    if len(loads) < record.MOST_QUERIES:
        name = f"{type(load.instance).__name__}.{load.attribute}"
        callsite = load.callsite or Callsite()
        loads.append(RecordedLoad(name, load.path, load.kind, callsite, load.seconds))


def _warn_or_refuse(load: LazyLoad, frame: Frame) -> None:
    """Refuse a load in a template, or warn of it once for each line."""
    _, cure = cure_of(load.path, load.kind)
    owner = type(load.instance).__name__
    if vinyl_settings.LAZY_IN_TEMPLATES == "raise":
        raise LazyInTemplateError(owner, load.attribute, frame.file, frame.line, cure)
    record = recorder.current_recording()
    warned = _warned if record is None else record.notes.setdefault("warned", set())
    key = (owner, load.attribute, load.callsite)
    if key not in warned:
        warned.add(key)
        logger.warning(
            "%s.%s is not loaded where %s touches it. %s",
            owner,
            load.attribute,
            load.callsite,
            cure,
        )


# ----- Querysets


class _Origin(NamedTuple):
    """
    The relation to many that a queryset is, or is a part of.

    Args:
        instance: Whose relation it is.
        name: The relation's name.
        shape: That of the query as the manager makes it; None if it is prefetched, so
            that only another query takes a fetch.
    """

    instance: Any
    name: str
    shape: tuple[Any, ...] | None


def observe_rows(queryset: Any, fetch_all: Callable[[Any], None]) -> None:
    """
    Fetch the rows of *queryset*. If it comes from a relation to many of an instance,
    that is a lazy load. Switches to the event loop inside the bridge.
    """
    if _sets_paths.get():
        fetch_all(queryset)
        return

    def rows() -> Any:
        fetch_all(queryset)
        return queryset._result_cache

    # Clones of a query keep its attributes.
    origin = getattr(queryset.query, "related_origin", None)
    if origin is None:
        set_paths(rows(), LookupPath(queryset.model.__name__))
    else:
        kind = "many" if _shape_of(queryset.query) == origin.shape else "part"
        observe_load(LazyLoad(origin.instance, origin.name, kind), rows)


def patch_create_related_manager(create: Callable[..., Any]) -> Callable[..., Any]:
    """
    The functions that make the managers of relations to many: the querysets of these
    managers keep their origin while lazy loads are observed.
    """

    @functools.wraps(create)
    def create_manager(
        superclass: type, rel: Any, reverse: bool | None = None
    ) -> type[Any]:
        cls: type[Any]
        if reverse is None:
            cls = create(superclass, rel)
            # Of a foreign key; the field of a generic relation is on this side.
            reverse = bool(rel.field.many_to_one)
        else:
            cls = create(superclass, rel, reverse)
        name = rel.get_accessor_name() if reverse else rel.field.name
        apply_rel_filters = cls._apply_rel_filters

        def _apply_rel_filters(self: Any, queryset: Any) -> Any:
            found = apply_rel_filters(self, queryset)
            if recorder.observes_loads:
                if _sets_paths.get():
                    # Not `query`, which applies the filter that Django puts off here.
                    found._query.related_origin = _Origin(self.instance, name, None)
                else:
                    query = found.query
                    shape = _shape_of(query)
                    query.related_origin = _Origin(self.instance, name, shape)
            return found

        cls._apply_rel_filters = _apply_rel_filters
        return cls

    return create_manager


def patch_prefetch_one_level(
    prefetch_one_level: Callable[..., Any],
) -> Callable[..., Any]:
    """`prefetch_one_level()`, whose rows are reached from those that they are for."""

    @functools.wraps(prefetch_one_level)
    def prefetch(*args: Any, **kwargs: Any) -> Any:
        if not recorder.observes_loads:
            return prefetch_one_level(*args, **kwargs)
        token = _sets_paths.set(True)
        try:
            return prefetch_one_level(*args, **kwargs)
        finally:
            _sets_paths.reset(token)

    return prefetch


def _shape_of(query: Any) -> tuple[Any, ...]:
    """What differs if anything has been added to *query*."""
    return (
        len(query.where),
        query.low_mark,
        query.high_mark,
        query.order_by,
        query.extra_order_by,
        query.standard_ordering,
        query.distinct,
        query.distinct_fields,
        query.select_related,
        query.select_for_update,
        query.deferred_loading,
        query.values_select,
        query.combinator,
        tuple(query.annotations),
        tuple(query.extra),
    )
