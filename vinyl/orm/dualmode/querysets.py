"""
Awaiting querysets.

`await qs` fills the queryset's cache and gives a list. On a queryset that has not been
awaited, everything that needs its rows raises `NotAwaitedError` on the event loop.
The functions here become methods of Django's QuerySet and RawQuerySet; see
vinyl.orm.dualmode.table for which.
"""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any, NoReturn

from django.db.models import query
from django.db.models.sql.query import RawQuery
from django.utils.functional import cached_property

from vinyl.bridge.flows import use_driver
from vinyl.bridge.greenlets import in_bridge, run, runs_sync, suspend
from vinyl.bridge.mode import begin
from vinyl.exceptions import NotAwaitedError
from vinyl.orm.dualmode.singleflight import is_under_way, others_done, under_way
from vinyl.orm.observe import recorder
from vinyl.orm.observe.lazy_loads import observe_rows

__all__ = ["prefetch_related_objects"]

# What tasks do to a queryset that they evaluate, and to instances.
ROWS, RELATED = "rows", "related"


def is_loaded(queryset: Any) -> bool:
    """Whether iterating over *queryset* needs no query."""
    return queryset._result_cache is not None and (
        not queryset._prefetch_related_lookups or queryset._prefetch_done
    )


def describe(queryset: Any) -> str:
    return f"{type(queryset).__name__} of {queryset.model.__name__}"


def refuse(queryset: Any) -> NoReturn:
    raise NotAwaitedError(
        f"This {describe(queryset)} has not been awaited, so its rows are not here: it "
        f"cannot be iterated, counted, tested, indexed, pickled or turned into text on "
        f"the event loop. Write `results = await queryset` first, or iterate with "
        f"`async for`. To see which queryset it is, use `repr()` (in a format, `!r` or "
        f"`%r`)."
    )


async def evaluate(queryset: Any) -> list[Any]:
    """Fill the cache of *queryset*; return its results. Switches to the event loop."""
    await run(queryset._fetch_all)
    return list(queryset._result_cache)


def patch_await(_: None) -> Callable[..., Any]:
    """The `__await__` of a queryset: a list of its results."""

    def __await__(self: Any) -> Generator[Any, Any, list[Any]]:
        return evaluate(self).__await__()

    return __await__


def patch_aiter(_: Any) -> Callable[..., Any]:
    """The `__aiter__` of a queryset: its results, fetched at once."""

    async def __aiter__(self: Any) -> AsyncIterator[Any]:
        for result in await evaluate(self):
            yield result

    return __aiter__


def patch_fetch_all(fetch_all: Callable[..., Any]) -> Callable[..., Any]:
    """`_fetch_all` for both modes: never fetches on the event loop unawaited."""

    @functools.wraps(fetch_all)
    def _fetch_all(self: Any) -> None:
        if is_loaded(self):
            return
        if not runs_sync():
            refuse(self)
        if not in_bridge():
            fetch_rows(self, fetch_all)
            return
        if is_under_way([self], ROWS):
            suspend(others_done([self], ROWS))
            if is_loaded(self):
                return
        with under_way([self], ROWS):
            fetch_at_once(self, fetch_all)

    return _fetch_all


def fetch_rows(queryset: Any, fetch_all: Callable[..., Any]) -> None:
    """Call *fetch_all* for *queryset*, and notice a lazy load if that is wanted."""
    if recorder.observes_loads:
        observe_rows(queryset, fetch_all)
    else:
        fetch_all(queryset)


def fetch_at_once(queryset: Any, fetch_all: Callable[..., Any]) -> None:
    """
    Fetch the rows of *queryset* so that other tasks see either none of them, or all
    with everything that was prefetched for them.

    Not every other task waits meanwhile: one in a nested block, or in a run that holds
    a connection, fetches as well. All use the rows that were complete first.

    Switches to the event loop.
    """
    # Applies a filter that is still put off, which the twin would not share.
    query = queryset.query
    twin = object.__new__(type(queryset))
    vars(twin).update(vars(queryset))
    if isinstance(query, RawQuery):
        # It keeps the cursor, and clones of a raw queryset share it.
        twin.query = query.chain(using=query.using)
    fetch_rows(twin, fetch_all)
    if not is_loaded(queryset):
        vars(queryset).update(vars(twin))


def patch_prefetch_related_objects(prefetch: Callable[..., Any]) -> Callable[..., Any]:
    """
    `prefetch_related_objects()` for the bridge: a second task that is given the same
    instances waits, and finds what the first has fetched.
    """

    @functools.wraps(prefetch)
    def prefetch_related_objects(model_instances: Any, *lookups: Any) -> None:
        if not in_bridge():
            prefetch(model_instances, *lookups)
            return
        if is_under_way(model_instances, RELATED):
            suspend(others_done(model_instances, RELATED))
        with under_way(model_instances, RELATED):
            prefetch(model_instances, *lookups)

    return prefetch_related_objects


prefetch_related_objects = use_driver(
    patch_prefetch_related_objects(query.prefetch_related_objects)
)


class AwaitedColumns(cached_property):  # type: ignore[type-arg]
    """`raw().columns`, which takes a query: on the event loop it is to be awaited."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None or runs_sync():
            return super().__get__(instance, cls)
        name = "RawQuerySet.columns"
        return begin(AwaitedColumns.__get__, name, run, columns_of, instance)


def columns_of(queryset: Any) -> list[str]:
    """The columns of a raw *queryset*. In the bridge; switches to the event loop."""
    # Django keeps the cursor in the query; this one is nobody else's, and closed.
    twin = queryset.using(queryset.query.using)
    try:
        columns = vars(queryset)["columns"] = twin.columns
    finally:
        if twin.query.cursor is not None:
            twin.query.cursor.close()
    return columns


def patch_columns(columns: Any) -> cached_property[Any]:
    """`RawQuerySet.columns` for both modes."""
    changed = AwaitedColumns(columns.func)
    changed.__set_name__(query.RawQuerySet, "columns")
    return changed


def patch_repr(represent: Callable[..., Any]) -> Callable[..., Any]:
    """`__repr__` for both modes: on the event loop it fetches nothing."""

    @functools.wraps(represent)
    def __repr__(self: Any) -> str:
        if not is_loaded(self) and not runs_sync():
            return f"<{describe(self)}, not awaited>"
        return represent(self)

    return __repr__


def patch_str(to_text: Callable[..., Any]) -> Callable[..., Any]:
    """
    `__str__` for both modes, and with it f-strings and `%s`: what would end up in a
    page or an answer is refused like any other use. `repr()` is for debugging.
    """

    @functools.wraps(to_text)
    def __str__(self: Any) -> str:
        if not is_loaded(self) and not runs_sync():
            refuse(self)
        return to_text(self)

    return __str__


def patch_getitem(getitem: Callable[..., Any]) -> Callable[..., Any]:
    """`__getitem__` for both modes: what needs a query is to be awaited."""

    @functools.wraps(getitem)
    def __getitem__(self: Any, k: Any) -> Any:
        lazy = isinstance(k, slice) and k.step is None
        if lazy or is_loaded(self) or runs_sync():
            return getitem(self, k)
        name = f"{type(self).__name__}.__getitem__"
        return begin(__getitem__, name, run, getitem, self, k)

    return __getitem__
