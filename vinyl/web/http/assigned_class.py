"""
Assigning another class to a request.

django-pghistory gives a request a subclass of Django's request, to notice assignments
to its attributes. The request keeps vinyl's class as well.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

__all__ = ["AssignedClass"]


def class_of(self: Any) -> Any:
    return type(self)


def assign_class(self: Any, cls: Any) -> None:
    own: Any = type(self)
    if issubclass(own, cls):
        return
    if not issubclass(cls, own):
        cls = _combined(cls, own)
    object.__dict__["__class__"].__set__(self, cls)


@lru_cache(maxsize=100)
def _combined(cls: Any, own: Any) -> Any:
    return type(cls.__name__, (cls, own), {"__module__": cls.__module__})


class AssignedClass:
    """
    An object whose `__class__` can be any class: what it is assigned comes before the
    class that the object has.
    """

    __class__: Any = property(class_of, assign_class)
