"""
Lazy attributes: what `album.artist` is before it has been fetched.

Django's descriptors fetch when they are read. In async mode reading cannot wait, so an
attribute whose value is not there yet reads as `NotFetched`, and `await` fetches it.
Inside the bridge and in sync mode the descriptors are Django's own.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterable
from typing import Any, NoReturn

from django.db import models

from vinyl.bridge.flows import use_driver
from vinyl.bridge.greenlets import run, runs_sync
from vinyl.bridge.refusals import asked_by, refusing
from vinyl.exceptions import NotFetchedError
from vinyl.orm.dualmode.singleflight import others_done, under_way
from vinyl.orm.observe import recorder
from vinyl.orm.observe.callsite import Callsite, find_callsite
from vinyl.orm.observe.lazy_loads import LazyLoad, observe_load

__all__ = ["NotFetched", "fetch", "patch_get"]

_ORM = "django.db.models", "django.contrib.contenttypes"
_TO_ORM = "passing it to the ORM as a value"


@refusing
class NotFetched:
    """
    Stands for the value of a lazy attribute that has not been fetched.

    `await` fetches the value, stores it on the instance and returns it; several tasks
    that await at the same time share one fetch. Any use as a value raises
    `NotFetchedError`.

    Args:
        instance: The model instance whose attribute was read.
        attribute: The attribute's name.
        read: Reads the attribute as sync code does.
    """

    __slots__ = ("_attribute", "_instance", "_read")

    def __init__(
        self, instance: models.Model, attribute: str, read: Callable[[], Any]
    ) -> None:
        self._instance = instance
        self._attribute = attribute
        self._read = read

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._fetch().__await__()

    async def _fetch(self) -> Any:
        await others_done([self._instance], self._attribute)
        with under_way(self._served(), self._attribute):
            return await run(self._read)

    def _served(self) -> list[models.Model]:
        """The instances that one fetch serves: this one, or all its peers."""
        state: Any = self._instance._state
        # Django 6.1 has fetch modes; FETCH_PEERS fetches for all of a queryset.
        mode = getattr(state, "fetch_mode", None)
        tracks = getattr(mode, "track_peers", False)
        if not getattr(mode, "awaits_peers", tracks):
            return [self._instance]
        return [peer for reference in state.peers if (peer := reference()) is not None]

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
        # isinstance() asks for it. Debuggers, error pages and asyncio have to be able
        # to look at anything; Django's ORM only looks at what it was given as a value.
        if asked_by(*_ORM):
            self._refuse("looking at its class")
        return NotFetched

    def _refuse(self, use: str) -> NoReturn:
        if asked_by(*_ORM, depth=3):
            use = _TO_ORM
        raise NotFetchedError(type(self._instance).__name__, self._attribute, use)

    def __repr__(self) -> str:
        return f"<NotFetched {type(self._instance).__name__}.{self._attribute}>"


def patch_get(
    is_fetched: Callable[[Any, models.Model], bool],
    name: Callable[[Any], str],
    kind: str = "one",
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """
    Return the change that makes a descriptor's `__get__` lazy.

    Args:
        is_fetched: Tells from descriptor and instance whether reading needs no query.
        name: Gives the attribute's name from the descriptor.
        kind: What kind of lazy load it makes; see `LazyLoad`.
    """

    def change(get: Callable[..., Any]) -> Callable[..., Any]:
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
            if runs_sync():
                if recorder.observes_loads:
                    return noticed(self, instance, cls)
                return get(self, instance, cls)
            if is_fetched(self, instance):
                return get(self, instance, cls)
            read = functools.partial(get, self, instance, cls)
            if recorder.observes_loads:
                # Here, since a task that awaits it need not show the user's line.
                callsite = find_callsite()
                read = functools.partial(noticed, self, instance, cls, callsite)
            return NotFetched(instance, name(self), read)

        return __get__

    return change


def patch_pre_init(send: Callable[..., Any]) -> Callable[..., Any]:
    """
    The change for `pre_init.send`, which every new instance calls with what it is
    given: a `NotFetched` is refused. Wrapping `Model.__init__` would slow down each
    row; this costs no more than what it replaces.
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
    Fetch whatever is missing of *attributes*, and accept what is there.

    For one object each missing attribute takes a query; for several objects one query
    per attribute serves them all. Dual-mode.

    Args:
        objects: A model instance, or an iterable of them (a queryset is evaluated).
        attributes: Names of relations or deferred fields. At least one.

    Returns: For one object the value of the attribute, or a tuple of values where
        several are named. For an iterable None.

    Raises:
        TypeError: No attribute was named.
        AttributeError: An object has no such attribute.
        ObjectDoesNotExist: A deferred field of an object whose row is gone.

    Switches to the event loop in async mode.
    """
    if not attributes:
        raise TypeError(
            "fetch() was given no attribute to fetch. Name at least one, as in "
            "fetch(album, 'artist')."
        )
    if not isinstance(objects, models.Model):
        instances = yield _listed, (objects,)
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
def _listed(objects: Iterable[models.Model]) -> list[models.Model]:
    return list(objects)


@use_driver
def _fetch_for_all(instances: Iterable[models.Model], attribute: str) -> None:
    """Fetch *attribute* of those *instances* that miss it, in one query per model."""
    by_model: dict[type[models.Model], list[models.Model]] = {}
    for instance in instances:
        by_model.setdefault(type(instance), []).append(instance)
    for model, group in by_model.items():
        if all(attribute != field.attname for field in model._meta.concrete_fields):
            models.prefetch_related_objects(group, attribute)
        elif missing := [i for i in group if attribute not in i.__dict__]:
            # The routers are asked, as where one object's field is read.
            manager = model._base_manager.db_manager(hints={"instance": missing[0]})
            rows = manager.only(attribute)
            found = rows.in_bulk([i.pk for i in missing])
            for instance in missing:
                if instance.pk not in found:
                    raise model.DoesNotExist(
                        f"{model.__name__} {instance.pk!r} has no row any more, so its "
                        f"{attribute} cannot be fetched."
                    )
                setattr(instance, attribute, getattr(found[instance.pk], attribute))
