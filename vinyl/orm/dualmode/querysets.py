"""
Awaiting querysets.

`await qs` fills the queryset's cache and returns a list. On the event loop, anything
that needs the rows of a queryset that has not been awaited raises `NotAwaitedError`.
The functions here patch Django's QuerySet and RawQuerySet; vinyl.orm.dualmode.table
lists which method gets which.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Generator, Sequence
from typing import Any, NoReturn

from django.db import models
from django.db.models.query import QuerySet, RawQuerySet
from django.db.models.sql.query import RawQuery
from django.utils.functional import cached_property

from vinyl import bridge
from vinyl.bridge.async_methods import AsyncMethod
from vinyl.bridge.flows import use_driver
from vinyl.bridge.greenlets import in_bridge, run, suspend
from vinyl.bridge.mode import dual, runs_sync
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import dualmode, plans
from vinyl.orm.observe import recorder
from vinyl.orm.observe.lazy_loads import observe_rows
from vinyl.orm.plans.terminals import RESULTS

__all__ = ["evaluate", "prefetch_related_objects"]

# What a task fetches: the rows of a queryset, or what is related to instances.
ROWS, RELATED = "rows", "related"


def is_loaded(queryset: Any) -> bool:
    """Whether iterating over *queryset* needs no query."""
    return queryset._result_cache is not None and (
        not queryset._prefetch_related_lookups or queryset._prefetch_done
    )


def describe(queryset: Any) -> str:
    return f"{type(queryset).__name__} of {queryset.model.__name__}"


def refuse(queryset: Any) -> NoReturn:
    user = bridge.dropped.sync_user_of(inspect.currentframe(), models.query.__file__)
    if user is not None:
        raise NotAwaitedError(
            f"This {describe(queryset)} has not been awaited, so its rows have not "
            f"been fetched, but {user[0]}, sync code, uses them on the event loop. Run "
            f"the sync code in the bridge: `await vinyl.orm.run({user[1]}, ...)`. If "
            f"the queryset is yours, you can write `await queryset` first instead."
        )
    raise NotAwaitedError(
        f"This {describe(queryset)} has not been awaited, so its rows have not been "
        f"fetched and it cannot be iterated, counted, tested, indexed, pickled or "
        f"turned into text on the event loop. Write `results = await queryset` first, "
        f"or iterate with `async for`. To show the queryset itself, use `repr()` (`!r` "
        f"or `%r` in a format string)."
    )


async def evaluate(queryset: Any) -> list[Any]:
    """Fill the cache of *queryset* and return a list. Switches to the event loop."""
    if not is_loaded(queryset):
        if dualmode.singleflight.is_in_flight([queryset], ROWS):
            await dualmode.singleflight.wait_for_flight([queryset], ROWS)
        with dualmode.singleflight.in_flight([queryset], ROWS):
            if queryset._prefetch_related_lookups:
                objects = await plans.prefetches_on_loop.fetch_rows(queryset)
            else:
                objects = await plans.on_loop.fetch(queryset, "rows")
        if objects is None:
            await run(queryset._fetch_all)
        elif not is_loaded(queryset):
            queryset._result_cache = objects
            queryset._prefetch_done = bool(queryset._prefetch_related_lookups)
    return list(queryset._result_cache)


def patch_terminal(method: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch a method that runs a query, such as `get()`, to be dual-mode. In async mode a
    plan runs without the bridge, if it can.
    """
    terminal = method.__name__
    result = RESULTS.get(terminal)
    if method.__module__ != QuerySet.__module__:
        return dual(method)
    if terminal == "aggregate":
        return dual(method, in_async=functools.partial(_aggregate, method))
    if terminal in _WRITES:
        return _patch_write(method)
    if result is None:
        return dual(method)

    async def in_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        found = await plans.on_loop.fetch(self, terminal, args, kwargs)
        if found is None:
            return await run(method, self, *args, **kwargs)
        return result(self.model, found)

    return dual(method, in_async=in_async)


async def _aggregate(
    method: Callable[..., Any], queryset: Any, *args: Any, **kwargs: Any
) -> dict[str, Any]:
    found = await plans.on_loop.aggregate(queryset, args, kwargs)
    return await run(method, queryset, *args, **kwargs) if found is None else found


# The methods that write, which functions of these names run without the bridge.
_WRITES = frozenset({"create", "delete", "update"})


def _patch_write(method: Callable[..., Any]) -> Callable[..., Any]:
    terminal = method.__name__

    async def in_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        write = getattr(plans.writes_on_loop, terminal)
        found = None if args else await write(self, kwargs)
        return await run(method, self, *args, **kwargs) if found is None else found

    return dual(method, in_async=in_async)


def patch_await(_: None) -> AsyncMethod:
    """Give querysets `__await__`, which returns a list of the results."""

    def __await__(self: Any) -> Generator[Any, Any, list[Any]]:
        return evaluate(self).__await__()

    return AsyncMethod(__await__)


def patch_aiter(_: Any) -> Callable[..., Any]:
    """Patch `__aiter__` to fetch all results at once, natively."""

    async def __aiter__(self: Any) -> AsyncIterator[Any]:
        for result in await evaluate(self):
            yield result

    return __aiter__


def patch_fetch_all(fetch_all: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch `_fetch_all`: outside the bridge it refuses to block the event loop, and
    inside, tasks that need the same rows share one query.
    """

    @functools.wraps(fetch_all)
    def _fetch_all(self: Any) -> None:
        if is_loaded(self):
            return
        if not runs_sync():
            refuse(self)
        if not in_bridge():
            fetch_rows(self, fetch_all)
            return
        if dualmode.singleflight.is_in_flight([self], ROWS):
            suspend(dualmode.singleflight.wait_for_flight([self], ROWS))
            if is_loaded(self):
                return
        with dualmode.singleflight.in_flight([self], ROWS):
            fetch_atomically(self, fetch_all)

    return _fetch_all


def fetch_rows(queryset: Any, fetch_all: Callable[..., Any]) -> None:
    """Call *fetch_all* for *queryset*, and observe a lazy load if that is wanted."""
    if recorder.observes_loads:
        observe_rows(queryset, fetch_all)
    else:
        fetch_all(queryset)


def fetch_atomically(queryset: Any, fetch_all: Callable[..., Any]) -> None:
    """
    Fetch the rows of *queryset* so that other tasks see either no rows, or all of them
    with everything that was prefetched. As in Django, it keeps its rows if a prefetch
    fails.

    Some other tasks do not wait and fetch as well: those in a nested block, and runs
    that hold a connection. All use the rows that were complete first.

    Switches to the event loop.
    """
    # Reading `query` applies a deferred filter, which the copy would not share. The
    # steps of a plan are shared.
    query = None if vars(queryset).get("_trail") else queryset.query
    copy = object.__new__(type(queryset))
    vars(copy).update(vars(queryset))
    if isinstance(query, RawQuery):
        # It keeps the cursor, and clones of a raw queryset share it.
        copy.query = query.chain(using=query.using)
    try:
        fetch_rows(copy, fetch_all)
    except Exception:
        if queryset._result_cache is None:
            queryset._result_cache = copy._result_cache
        raise
    if not is_loaded(queryset):
        vars(queryset).update(vars(copy))


def patch_prefetch_related_objects(prefetch: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch `prefetch_related_objects()` for the bridge: a second task that prefetches for
    the same instances waits, and finds what the first one has fetched.
    """

    @functools.wraps(prefetch)
    def prefetch_related_objects(model_instances: Any, *lookups: Any) -> None:
        if not in_bridge():
            prefetch(model_instances, *lookups)
            return
        if dualmode.singleflight.is_in_flight(model_instances, RELATED):
            suspend(dualmode.singleflight.wait_for_flight(model_instances, RELATED))
        with dualmode.singleflight.in_flight(model_instances, RELATED):
            prefetch(model_instances, *lookups)

    return prefetch_related_objects


_prefetch = patch_prefetch_related_objects(models.prefetch_related_objects)


@use_driver
def prefetch_related_objects(
    model_instances: Sequence[Any], *related_lookups: str | models.Prefetch[Any]
) -> None:
    """
    Fetch what *related_lookups* name for all of *model_instances*, with one query for
    each relation. Dual-mode.

    Args:
        model_instances: Instances of one model.
        related_lookups: As in `QuerySet.prefetch_related()`.

    Raises:
        AttributeError: The model does not have such a relation.
        ValueError: A lookup cannot be prefetched.

    Switches to the event loop in async mode.
    """
    _prefetch(model_instances, *related_lookups)


class DualColumns(cached_property):  # type: ignore[type-arg]
    """`raw().columns`, which takes a query, so on the event loop it is awaited."""

    __get__ = dual(
        cached_property.__get__,
        in_async=lambda columns, instance, cls=None: run(columns_of, instance),
        name="RawQuerySet.columns",
        is_sync=lambda columns, instance, cls=None: instance is None or runs_sync(),
    )


def columns_of(queryset: Any) -> list[str]:
    """The columns of a raw *queryset*. Switches to the event loop in the bridge."""
    # Django leaves the cursor open in the query, so use a copy and close it.
    copy = queryset.using(queryset.query.using)
    try:
        columns = vars(queryset)["columns"] = copy.columns
    finally:
        if copy.query.cursor is not None:
            copy.query.cursor.close()
    return columns


def patch_columns(columns: Any) -> cached_property[Any]:
    """Patch `RawQuerySet.columns` to be awaited on the event loop."""
    patched = DualColumns(columns.func)
    patched.__set_name__(RawQuerySet, "columns")
    return patched


def patch_repr(represent: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `__repr__` not to fetch anything on the event loop."""

    @functools.wraps(represent)
    def __repr__(self: Any) -> str:
        if not is_loaded(self) and not runs_sync():
            return f"<{describe(self)}, not awaited>"
        return represent(self)

    return __repr__


def patch_str(to_text: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch `__str__`, which f-strings and `%s` call: on the event loop it is refused, as
    any other use is, since the text would end up in a page. `repr()` is for debugging.
    """

    @functools.wraps(to_text)
    def __str__(self: Any) -> str:
        if not is_loaded(self) and not runs_sync():
            refuse(self)
        return to_text(self)

    return __str__


def patch_getitem(getitem: Callable[..., Any]) -> Callable[..., Any]:
    """Patch `__getitem__`: on the event loop an index that needs a query is awaited."""

    def is_sync(self: Any, k: Any) -> bool:
        is_lazy = isinstance(k, slice) and k.step is None
        return is_lazy or is_loaded(self) or runs_sync()

    return dual(getitem, is_sync=is_sync)
