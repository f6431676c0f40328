"""
What other tasks assign to an instance while a lazy attribute of it is fetched.

    album.artist = other       # while another task waits in `await album.artist`

Django's descriptors look at the instance before their query and write to it after the
query, without a look at what has been assigned in between. Here it is put back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.db.models import Model

from vinyl.records import NamedTuple

__all__ = ["Assignments", "Places"]

_ABSENT: Any = object()


class Places(NamedTuple):
    """
    Where an instance keeps the value of a lazy attribute, and the key of a relation.

    Args:
        names: Names in its `__dict__`.
        cache_names: Names in its `_state.fields_cache`.
    """

    names: list[str]
    cache_names: list[str]


class Assignments:
    """
    Keeps what other tasks assign while one fetches: `in_steps()` calls this object with
    each step of the fetch.

    Args:
        instances: The instances that the attribute is fetched for.
        places: Where each of them keeps it.
    """

    __slots__ = ("_watched",)

    def __init__(self, instances: Iterable[Model], places: Places) -> None:
        self._watched = [_Watched(one, places) for one in instances]

    def __call__(self, step: Callable[[], Any]) -> Any:
        for one in self._watched:
            one.before_step()
        try:
            return step()
        finally:
            for one in self._watched:
                one.after_step()


class _Watched:
    """One instance; see `Assignments`."""

    __slots__ = ("_is_overtaken", "_places", "_values")

    def __init__(self, instance: Model, places: Places) -> None:
        state: Any = instance._state
        attributes, cache = vars(instance), state.fields_cache
        self._places = [(attributes, name) for name in places.names]
        self._places += [(cache, name) for name in places.cache_names]
        # What the last step has left, or what others have assigned since.
        self._values = self._look()
        # Whether another task has assigned something.
        self._is_overtaken = False

    def _look(self) -> list[Any]:
        return [place.get(name, _ABSENT) for place, name in self._places]

    def before_step(self) -> None:
        values = self._look()
        # By identity: objects of one row are equal, and each is someone's own.
        if any(a is not b for a, b in zip(values, self._values, strict=True)):
            self._values, self._is_overtaken = values, True

    def after_step(self) -> None:
        if not self._is_overtaken:
            self._values = self._look()
            return
        for (place, name), value in zip(self._places, self._values, strict=True):
            if value is _ABSENT:
                place.pop(name, None)
            else:
                place[name] = value
