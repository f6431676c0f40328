"""
Lazy loads: relations and deferred fields that are fetched where code touches them.

They are observed during full recordings (vinyl.orm.recording), and if
`VINYL["LAZY_IN_TEMPLATES"]` asks for warnings or errors. Otherwise each read only costs
a truth test.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from vinyl.conf import vinyl_settings
from vinyl.exceptions import LazyInTemplateError
from vinyl.orm import observe as later
from vinyl.orm.observe import recorder
from vinyl.orm.observe.events import QueryEvent, observe
from vinyl.records import NamedTuple

if TYPE_CHECKING:
    from vinyl.orm.observe.callsite import Callsite, Frame
    from vinyl.orm.observe.lookup_paths import LookupPath

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

# The loads that have been logged outside recordings.
_warned: set[tuple[Any, ...]] = set()
# Whether the running code sets the lookup paths of the rows that it fetches.
_sets_paths: ContextVar[bool] = ContextVar("vinyl_sets_paths", default=False)


class LazyLoad:
    """
    A lazy load, which observes its own queries.

    Args:
        instance: The object whose attribute is loaded.
        attribute: The name of the relation or field.
        kind: "one" or "many" for relations, "generic" for generic foreign keys,
            "field" for a deferred field, "part" for some rows of a relation to many.
        callsite: The line that reads the attribute; None to find it at the first query.
    """

    __slots__ = ("attribute", "callsite", "count", "instance", "kind", "seconds")

    def __init__(
        self,
        instance: Any,
        attribute: str,
        kind: str,
        callsite: Callsite | None = None,
    ) -> None:
        self.instance = instance
        self.attribute = attribute
        self.kind = kind
        self.callsite = callsite
        # The number of its queries and their time in seconds; 0 if the value was there.
        self.count = 0
        self.seconds = 0.0

    def begin(self, query: QueryEvent) -> None:
        if self.count == 0:
            if self.callsite is None:
                self.callsite = later.callsite.find_callsite()
            frame = self.callsite.template
            if frame is not None and vinyl_settings.LAZY_IN_TEMPLATES != "allow":
                _warn_or_refuse(self, frame)

    def end(self, query: QueryEvent) -> None:
        self.count += 1
        self.seconds += query.seconds

    @property
    def path(self) -> LookupPath:
        """The lookup path from the root queryset to the loaded value."""
        path = later.lookup_paths.path_of(self.instance)
        return path.follow(self.attribute, joins=self.kind == "one")


class RecordedLoad(NamedTuple):
    """
    A lazy load that took a query, as a full recording keeps it.

    Args:
        name: What was loaded, such as "Album.artist".
        path: The lookup path to its value.
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
        LazyInTemplateError: A template reads the attribute, and the settings forbid it.

    Switches to the event loop inside the bridge.
    """
    value: Any = ()
    token = _sets_paths.set(True)
    try:
        with observe(load):
            value = read()
    finally:
        _sets_paths.reset(token)
        # Even if there is no such row: it took a query to find out.
        if load.count:
            if load.kind != "field":
                rows = value if load.kind in ("many", "part") else [value]
                later.lookup_paths.set_paths(rows, load.path)
            _record(load)
    return value


def _record(load: LazyLoad) -> None:
    record = recorder.current_recording()
    if record is None or not record.full:
        return
    loads = record.notes.setdefault("loads", [])
    if len(loads) < record.MOST_QUERIES:
        name = f"{type(load.instance).__name__}.{load.attribute}"
        callsite = load.callsite or later.callsite.Callsite()
        loads.append(RecordedLoad(name, load.path, load.kind, callsite, load.seconds))


def _warn_or_refuse(load: LazyLoad, frame: Frame) -> None:
    """Raise an error for a load in a template, or log it once for each line."""
    _, cure = later.lookup_paths.cure_of(load.path, load.kind)
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
    The to-many relation whose rows a queryset returns.

    Args:
        instance: The object that has the relation.
        name: The relation's name.
        shape: The shape of the query as the manager creates it; None if the rows are
            prefetched, so that only a changed query has to fetch.
    """

    instance: Any
    name: str
    shape: tuple[Any, ...] | None


def observe_rows(queryset: Any, fetch_all: Callable[[Any], None]) -> None:
    """
    Fetch the rows of *queryset*, as a lazy load if it comes from a to-many relation of
    an instance. Switches to the event loop inside the bridge.
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
        path = later.lookup_paths.LookupPath(queryset.model.__name__)
        later.lookup_paths.set_paths(rows(), path)
    else:
        kind = "many" if _shape_of(queryset.query) == origin.shape else "part"
        observe_load(LazyLoad(origin.instance, origin.name, kind), rows)


def patch_create_related_manager(create: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch a function that creates the manager class of a to-many relation: while lazy
    loads are observed, querysets of the manager remember their origin.
    """

    @functools.wraps(create)
    def create_manager(
        superclass: type, rel: Any, reverse: bool | None = None
    ) -> type[Any]:
        cls: type[Any]
        if reverse is None:
            cls = create(superclass, rel)
            # True for a foreign key. The field of a generic relation is on this side.
            reverse = bool(rel.field.many_to_one)
        else:
            cls = create(superclass, rel, reverse)
        name = rel.get_accessor_name() if reverse else rel.field.name
        apply_rel_filters = cls._apply_rel_filters

        def _apply_rel_filters(self: Any, queryset: Any) -> Any:
            found = apply_rel_filters(self, queryset)
            if recorder.observes_loads:
                if _sets_paths.get():
                    # Not `query`, which would apply the filter that Django defers here.
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
    """
    Patch `prefetch_one_level()`: the lookup paths of its rows start at the instances
    that they are fetched for.
    """

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
    """The parts of *query* that change if anything is added to it."""
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
