"""
Changes of models after which all shapes are forgotten: of their options, and of what
their classes have, such as a field or a method. Plans of related models depend on them,
too.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from vinyl.orm.plans.shapes import forget

__all__ = ["patch_change_class", "patch_set_option"]

# Options of a model on which its queries and writes depend.
_OPTIONS = frozenset(
    {
        "base_manager_name",
        "db_table",
        "default_manager_name",
        "get_latest_by",
        "order_with_respect_to",
        "ordering",
        "select_on_save",
    }
)


class _Names(list[Any]):
    """The names in an option of a model, which code may change in place."""

    def __reduce__(self) -> Any:
        # Copies are not options.
        return list, (list(self),)


def _forgetting(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def change(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        finally:
            # After the change: a thread could make a plan before it.
            forget()

    return change


for _name in (
    "__delitem__ __iadd__ __imul__ __setitem__ append clear extend insert pop remove "
    "reverse sort"
).split():
    setattr(_Names, _name, _forgetting(getattr(list, _name)))


def _is_in_use(meta: Any) -> bool:
    """Whether *meta* is that of a model that is complete."""
    model = vars(meta).get("model")
    if model is None:
        return False
    models = meta.apps.all_models.get(meta.app_label, {})
    return models.get(meta.model_name) is model


def patch_set_option(set_attribute: Callable[..., None]) -> Callable[..., None]:
    """
    Patch `__setattr__()` of `Model._meta`, so that all shapes are forgotten when an
    option changes that queries depend on.
    """

    @functools.wraps(set_attribute)
    def __setattr__(self: Any, name: str, value: Any) -> None:
        if name not in _OPTIONS:
            set_attribute(self, name, value)
            return
        set_attribute(self, name, _Names(value) if type(value) is list else value)
        if _is_in_use(self):
            forget()

    return __setattr__


def patch_change_class(method: Callable[..., None]) -> Callable[..., None]:
    """
    Patch `__setattr__()` or `__delattr__()` of the metaclass of models, so that all
    shapes are forgotten when a model gets or loses a field, a method or a property.
    """

    @functools.wraps(method)
    def change(cls: Any, name: str, *value: Any) -> None:
        before = vars(cls).get(name)
        method(cls, name, *value)
        # Other values, such as those that code caches in a class, make no difference.
        if any(hasattr(type(one), "__get__") for one in (before, *value)):
            meta = vars(cls).get("_meta")
            if meta is None or meta.abstract or _is_in_use(meta):
                forget()

    return change
