"""
Lazy loads: relations and deferred fields that are fetched where code touches them.

One is nothing bad. The same one again for each row of a list is an N+1: a query per row
where the list's own queryset could have brought them all. Loads are noticed while a
full recording runs (vinyl.orm.recording), and in templates if
`VINYL["LAZY_IN_TEMPLATES"]` says so; otherwise nothing here is called.

For the cure, instances are marked with the way that led to them: from the model of
their queryset, over which relations.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.core.exceptions import EmptyResultSet
from django.db import models

from vinyl.conf import vinyl_settings
from vinyl.exceptions import LazyInTemplateError
from vinyl.orm.observe import recorder
from vinyl.orm.observe.callsite import Callsite, find_callsite
from vinyl.orm.observe.events import QueryEvent, current_observers, observe

__all__ = ["Load", "Repeated", "Way", "noticing", "repeated", "report"]

logger = logging.getLogger("vinyl.queries")

# VINYL["LAZY_IN_TEMPLATES"].
in_templates = "allow"

# What has been logged of loads in templates outside requests.
_told: set[tuple[Any, ...]] = set()


class Way(NamedTuple):
    """
    How an instance was reached.

    Args:
        root: The name of the model whose queryset it began with.
        names: The relations that were followed from there.
        joins: Whether a join can follow them, which none to many can.
    """

    root: str
    names: tuple[str, ...] = ()
    joins: bool = True

    def followed(self, name: str, joins: bool) -> Way:
        return Way(self.root, (*self.names, name), self.joins and joins)


@dataclass(slots=True, eq=False)
class Load:
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
    # Queries that it took, and their time in seconds. None for what was there already.
    count: int = 0
    seconds: float = 0.0

    def begin(self, query: QueryEvent) -> None:
        if self.count == 0:
            if self.callsite is None:
                self.callsite = find_callsite()
            if in_templates != "allow" and self.callsite.template is not None:
                _tell_of_template(self)

    def end(self, query: QueryEvent) -> None:
        self.count += 1
        self.seconds += query.seconds

    @property
    def way(self) -> Way:
        """How its value is reached."""
        return _way_of(self.instance).followed(self.attribute, self.kind == "one")

    def noted(self) -> Noted:
        name = f"{type(self.instance).__name__}.{self.attribute}"
        return Noted(
            name, self.way, self.kind, self.callsite or Callsite(), self.seconds
        )


class Noted(NamedTuple):
    """What is kept of a load that has ended."""

    name: str
    way: Way
    kind: str
    callsite: Callsite
    seconds: float


class Repeated(NamedTuple):
    """
    The same lazy load several times from the same line.

    Args:
        name: What was loaded, such as "Album.artist".
        callsite: The line.
        loads: How many times.
        seconds: How long their queries took together.
        cure: What to do instead, in words; `call` is the call alone.
    """

    name: str
    callsite: Callsite
    loads: int
    seconds: float
    cure: str
    call: str

    def __str__(self) -> str:
        return (
            f"N+1: {self.callsite} loaded {self.name} {self.loads} times, one by one, "
            f"in {self.seconds * 1000:.1f} ms. {self.cure}"
        )


def read_settings() -> None:
    """Put `VINYL["LAZY_IN_TEMPLATES"]` into effect. Never switches."""
    global in_templates
    in_templates = vinyl_settings.LAZY_IN_TEMPLATES
    _told.clear()
    recorder.notice_loads(in_templates != "allow")


def noticing(load: Load, read: Callable[[], Any]) -> Any:
    """
    What *read* gives. If it takes a query, that is noted as *load*.

    Raises:
        LazyInTemplateError: A template asks, and the settings forbid it.

    Switches to the event loop inside the bridge.
    """
    value: Any = ()
    try:
        with observe(load):
            value = read()
    finally:
        # Noted also if there is no such row, for it took a query to know.
        if load.count:
            if load.kind != "field":
                mark(value if load.kind in ("many", "part") else [value], load.way)
            record = recorder.current_recording()
            if record is not None and record.full:
                loads = record.notes.setdefault("loads", [])
                if len(loads) < record.MOST_QUERIES:
                    loads.append(load.noted())
    return value


def noticing_rows(queryset: Any, fetch_all: Callable[[Any], None]) -> None:
    """
    Fetch the rows of *queryset*, and mark them. If it is a relation to many of some
    instance, that is a lazy load. Switches to the event loop inside the bridge.
    """
    inside = current_observers()[:1]
    if isinstance(inside and inside[0], Load) or _is_prefetching():
        # They are marked by the load, or with the rows that they are prefetched for.
        fetch_all(queryset)
        return

    def rows() -> Any:
        fetch_all(queryset)
        return queryset._result_cache

    instance = queryset._hints.get("instance")
    found = None if instance is None else _relation_of(queryset, instance)
    if found is not None:
        noticing(Load(instance, *found), rows)
    else:
        mark(rows(), Way(queryset.model.__name__))


def mark(rows: Iterable[Any], way: Way) -> None:
    """Note that *rows* were reached by *way*, and what came with them further on."""
    todo = [(row, way) for row in rows]
    while todo:
        instance, way = todo.pop()
        if not isinstance(instance, models.Model):
            continue
        state: Any = instance._state
        if "way" in state.__dict__:
            # It was there before.
            continue
        state.__dict__["way"] = way
        generic = [field.name for field in instance._meta.private_fields]
        for name, related in state.fields_cache.items():
            todo.append((related, way.followed(name, name not in generic)))
        for name, found in getattr(instance, "_prefetched_objects_cache", {}).items():
            further = way.followed(name, False)
            todo += [(row, further) for row in found._result_cache or ()]


def _way_of(instance: models.Model) -> Way:
    own = Way(type(instance).__name__)
    return instance._state.__dict__.get("way", own)


def cure_of(way: Way, kind: str) -> tuple[str, str]:
    """The call that makes a load needless, and the words around it."""
    lookup = "__".join(way.names)
    queryset = f"the queryset of {way.root}"
    if kind == "field":
        call = f'only(..., "{lookup}")'
        return call, f"Load it with {queryset}: leave it out of defer(), or {call}."
    if kind == "part":
        call = f'prefetch_related(Prefetch("{lookup}", queryset=..., to_attr=...))'
        return call, f"Load those rows with {queryset}: {call}."
    call = f'{"select" if way.joins else "prefetch"}_related("{lookup}")'
    return call, f"Load it with {queryset}: {call}."


def repeated(record: recorder.Recording) -> list[Repeated]:
    """The lazy loads of *record* that a line repeated, the most frequent first."""
    groups: dict[tuple[Any, ...], list[Noted]] = {}
    for load in record.notes.get("loads", ()):
        key = (load.name, load.way, load.kind, load.callsite)
        groups.setdefault(key, []).append(load)
    found = []
    for (name, way, kind, callsite), loads in groups.items():
        if len(loads) > 1:
            call, cure = cure_of(way, kind)
            seconds = sum(load.seconds for load in loads)
            found.append(Repeated(name, callsite, len(loads), seconds, cure, call))
    return sorted(found, key=lambda one: -one.loads)


def report(record: recorder.Recording) -> None:
    """Log a warning for each line of *record* that repeats a load. Never switches."""
    for one in repeated(record):
        facts = {"duration": one.seconds, "loads": one.loads, "cure": one.call}
        logger.warning("%s", one, extra=facts)


def _tell_of_template(load: Load) -> None:
    """Refuse a load that a template asks for, or log it once for each line."""
    _, cure = cure_of(load.way, load.kind)
    owner = type(load.instance).__name__
    frame = load.callsite and load.callsite.template
    if frame is None:
        return
    if in_templates == "raise":
        raise LazyInTemplateError(owner, load.attribute, frame.file, frame.line, cure)
    record = recorder.current_recording()
    told = _told if record is None else record.notes.setdefault("told", set())
    key = (owner, load.attribute, load.callsite)
    if key in told:
        return
    told.add(key)
    logger.warning(
        "%s.%s is not loaded where %s touches it. %s",
        owner,
        load.attribute,
        load.callsite,
        cure,
    )


def _is_prefetching() -> bool:
    """Whether these rows are fetched by prefetch_related()."""
    frame = sys._getframe(2)
    for _ in range(8):
        if frame.f_code.co_name == "prefetch_one":
            return True
        if frame.f_back is None:
            return False
        frame = frame.f_back
    return False


def _relation_of(queryset: Any, instance: models.Model) -> tuple[str, str] | None:
    """
    Name and kind of the relation to many of *instance* that *queryset* is, or of which
    it is a part; None if it is neither.
    """
    fields: Any = instance._meta.get_fields()
    try:
        text = _text_of(queryset)
        for field in fields:
            if not (field.one_to_many or field.many_to_many):
                continue
            name = getattr(field, "get_accessor_name", lambda: field.name)()  # noqa: B023
            descriptor = getattr(type(instance), name or "", None)
            if descriptor is None or not issubclass(
                queryset.model, field.related_model
            ):
                continue
            if _text_of(getattr(instance, name).all()) == text:
                return name, "many"
            if _is_part(queryset, instance, field, descriptor):
                return name, "part"
    except EmptyResultSet:
        # It takes no query.
        pass
    return None


def _text_of(queryset: Any) -> tuple[Any, ...]:
    return queryset.query.chain().get_compiler(queryset.db).as_sql()


def _is_part(queryset: Any, instance: Any, field: Any, descriptor: Any) -> bool:
    """Whether *queryset* was made from that relation of *instance* and filtered."""
    if field in instance._meta.private_fields:
        # A generic one leaves no trace. Only Django's own look for the instance itself.
        return not isinstance(instance, queryset.model)
    if (through := getattr(descriptor, "through", None)) is not None:
        joined = queryset.query.alias_map.values()
        return through._meta.db_table in [join.table_name for join in joined]
    known = queryset._known_related_objects.get(getattr(descriptor, "field", None), {})
    return any(one is instance for one in known.values())
