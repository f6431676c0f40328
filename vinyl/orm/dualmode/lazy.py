"""
Lazy attributes: relations and deferred fields that have not been fetched yet.

Django's descriptors run a query when they are read. In async mode reading an attribute
cannot wait, so one that has not been fetched gives a `NotFetched`, and `await` fetches
it. In sync mode and inside the bridge the descriptors work as in Django.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Generator, Iterable
from typing import TYPE_CHECKING, Any, NoReturn

from django.db import models

from vinyl.bridge.flows import use_driver
from vinyl.bridge.greenlets import in_steps, run
from vinyl.bridge.mode import runs_sync
from vinyl.bridge.refusals import asked_by, refusing
from vinyl.exceptions import NotFetchedError
from vinyl.orm import dualmode, observe
from vinyl.orm.observe import recorder
from vinyl.orm.observe.lazy_loads import LazyLoad, observe_load

if TYPE_CHECKING:
    from vinyl.orm.dualmode.assignments import Places
    from vinyl.orm.observe.callsite import Callsite

__all__ = ["NotFetched", "fetch", "patch_get"]

_ORM = "django.db.models", "django.contrib.contenttypes"
_TO_ORM = "passing it to the ORM as a value"


@refusing
class NotFetched:
    """
    A placeholder for the value of a lazy attribute that has not been fetched.

    `await` fetches the value, stores it on the instance and returns it; tasks that
    await it at the same time share one fetch. A value that another task has assigned
    meanwhile stays.

    Args:
        instance: The model instance whose attribute was read.
        attribute: The attribute's name.
        fetch: Makes the coroutine that fetches and stores the value.

    Raises:
        NotFetchedError: It is used as a value: an attribute is read from it, it is
            compared, tested, iterated, formatted, or passed to the ORM.

    Switches to the event loop when awaited.
    """

    __slots__ = ("_attribute", "_instance", "_work")

    def __init__(
        self,
        instance: models.Model,
        attribute: str,
        fetch: Callable[[], Coroutine[Any, Any, Any]],
    ) -> None:
        self._instance = instance
        self._attribute = attribute
        self._work = fetch

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._fetch().__await__()

    async def _fetch(self) -> Any:
        if dualmode.singleflight.is_in_flight([self._instance], self._attribute):
            await dualmode.singleflight.wait_for_flight(
                [self._instance], self._attribute
            )
        with dualmode.singleflight.in_flight(
            _peers_of(self._instance), self._attribute
        ):
            return await self._work()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        self._refuse(f"reading .{name} from it")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in NotFetched.__slots__:
            object.__setattr__(self, name, value)
        else:
            self._refuse(f"setting .{name} on it")

    def __delattr__(self, name: str) -> None:
        self._refuse(f"deleting .{name} from it")

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        # isinstance() reads it. Debuggers, error pages and asyncio must be able to
        # look at any object; Django's ORM looks only at what it was given as a value.
        if asked_by(*_ORM):
            self._refuse("checking its class")
        return NotFetched

    def _refuse(self, use: str) -> NoReturn:
        if asked_by(*_ORM, depth=3):
            use = _TO_ORM
        raise NotFetchedError(type(self._instance).__name__, self._attribute, use)

    def __repr__(self) -> str:
        return f"<NotFetched {type(self._instance).__name__}.{self._attribute}>"


def _peers_of(instance: models.Model) -> list[models.Model]:
    """The instances that one fetch fetches for: *instance*, or all its peers."""
    state: Any = instance._state
    # Fetch modes are new in Django 6.1; FETCH_PEERS fetches for a whole queryset.
    mode = getattr(state, "fetch_mode", None)
    tracks = getattr(mode, "track_peers", False)
    if not getattr(mode, "awaits_peers", tracks):
        return [instance]
    return [peer for reference in state.peers if (peer := reference()) is not None]


async def _read_in_bridge(
    instance: models.Model, read: Callable[[], Any], places: Callable[[], Places]
) -> Any:
    """Return what *read* returns, and keep what other tasks assign meanwhile."""
    keep = dualmode.assignments.Assignments(_peers_of(instance), places())
    return await in_steps(run(read), keep)


def patch_get(
    is_fetched: Callable[[Any, models.Model], bool],
    name: Callable[[Any], str],
    places: Callable[[Any], Places],
    kind: str = "one",
    fetch: Callable[..., Coroutine[Any, Any, Any]] | None = None,
    cached: Callable[[Any, models.Model], Any] | None = None,
    name_in_cache: Callable[[Any], str | None] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """
    Return a patch that makes a descriptor's `__get__` lazy.

    Args:
        is_fetched: Whether the descriptor can be read from the instance without a
            query.
        name: Returns the attribute's name from the descriptor.
        places: Returns from the descriptor where its attribute is stored.
        kind: The kind of lazy load that reading is; see `LazyLoad`.
        fetch: Fetches the value on the event loop, as `fetch_related()` does. None to
            read the descriptor in the bridge.
        cached: Returns the value as the descriptor would, if it is fetched; or None, if
            the descriptor has to be asked. None to ask it always.
        name_in_cache: Returns the name under which the instance's cache of relations
            has the value that the descriptor would return; or None, if it has to be
            asked.

    Never switches.
    """

    def patch(get: Callable[..., Any]) -> Callable[..., Any]:
        def noticed(
            self: Any, instance: Any, cls: Any, callsite: Callsite | None = None
        ) -> Any:
            if is_fetched(self, instance):
                return get(self, instance, cls)
            load = LazyLoad(instance, name(self), kind, callsite)
            return observe_load(load, functools.partial(get, self, instance, cls))

        @functools.wraps(get)
        def __get__(self: Any, instance: Any, cls: type | None = None) -> Any:
            if instance is None:
                return get(self, instance, cls)
            # Most reads, in either mode.
            if cached is not None and (value := cached(self, instance)) is not None:
                return value
            if runs_sync():
                if recorder.observes_loads:
                    return noticed(self, instance, cls)
                return get(self, instance, cls)
            if is_fetched(self, instance):
                return get(self, instance, cls)
            read = functools.partial(get, self, instance, cls)
            callsite = None
            if recorder.observes_loads:
                # Found here, since the task that awaits may not show the user's line.
                callsite = observe.callsite.find_callsite()
                read = functools.partial(noticed, self, instance, cls, callsite)
            work = functools.partial(
                _read_in_bridge, instance, read, functools.partial(places, self)
            )
            if fetch is not None:
                work = functools.partial(fetch, self, instance, read, work, callsite)
            return NotFetched(instance, name(self), work)

        if name_in_cache is None:
            return __get__

        @functools.wraps(get)
        def get_from_cache(self: Any, instance: Any, cls: type | None = None) -> Any:
            # Most reads, in either mode, with the fewest steps.
            try:
                value = instance._state.fields_cache.get(self.vinyl_name_in_cache)
            except AttributeError:
                # The first read of this relation, or one of the class.
                self.vinyl_name_in_cache = name_in_cache(self)
                value = None
            return __get__(self, instance, cls) if value is None else value

        return get_from_cache

    return patch


def patch_pre_init(send: Callable[..., Any]) -> Callable[..., Any]:
    """
    Patch `pre_init.send`, which `Model.__init__()` calls with its arguments, to refuse
    a `NotFetched`.
    """
    signal = send.__self__  # type: ignore[attr-defined]

    @functools.wraps(send)
    def refuse_not_fetched(sender: Any, **named: Any) -> list[Any]:
        if named["kwargs"]:
            for value in named["kwargs"].values():
                if type(value) is NotFetched:
                    value._refuse(_TO_ORM)
        return send(sender, **named) if signal.receivers else []

    return refuse_not_fetched


@use_driver
def fetch(objects: Any, *attributes: str) -> Generator[Any, Any, Any]:
    """
    Fetch those of *attributes* that have not been fetched yet, and return the values.

    For one object each missing attribute takes a query; for several objects each
    attribute takes one query for all of them. Dual-mode.

    Args:
        objects: A model instance, or an iterable of them (a queryset is evaluated).
        attributes: Names of relations or deferred fields. At least one.

    Returns:
        For one object the value of the attribute, or a tuple of values if several are
        named. For an iterable None.

    Raises:
        TypeError: No attribute was named.
        AttributeError: An object does not have such an attribute.
        ObjectDoesNotExist: The row of an object with a deferred field has been deleted.

    Switches to the event loop in async mode.
    """
    if not attributes:
        raise TypeError(
            "fetch() was called without an attribute, so there is nothing to fetch. "
            "Name at least one, as in fetch(album, 'artist')."
        )
    if not isinstance(objects, models.Model):
        instances = yield _to_list, (objects,)
        for attribute in attributes:
            yield _fetch_for_all, (instances, attribute)
        return None
    values = []
    for attribute in attributes:
        value = yield getattr, (objects, attribute)
        if isinstance(value, models.Manager):
            yield _fetch_for_all, ([objects], attribute)
        values.append(value)
    return values[0] if len(values) == 1 else tuple(values)


@use_driver
def _to_list(objects: Iterable[models.Model]) -> list[models.Model]:
    return list(objects)


@use_driver
def _fetch_for_all(instances: Iterable[models.Model], attribute: str) -> None:
    """Fetch *attribute* for the *instances* that lack it, with one query per model."""
    by_model: dict[type[models.Model], list[models.Model]] = {}
    for instance in instances:
        by_model.setdefault(type(instance), []).append(instance)
    for model, group in by_model.items():
        if all(attribute != field.attname for field in model._meta.concrete_fields):
            models.prefetch_related_objects(group, attribute)
        elif missing := [i for i in group if attribute not in i.__dict__]:
            # Gives the routers the same hint as reading one object's field.
            manager = model._base_manager.db_manager(hints={"instance": missing[0]})
            rows = manager.only(attribute)
            found = rows.in_bulk([i.pk for i in missing])
            for instance in missing:
                if instance.pk not in found:
                    raise model.DoesNotExist(
                        f"{model.__name__} {instance.pk!r} no longer exists in the "
                        f"database, so its {attribute!r} cannot be fetched."
                    )
                setattr(instance, attribute, getattr(found[instance.pk], attribute))
