"""
`Model.__init__()` without positional arguments, written out for the fields of a model.

Django's method asks each field again what to do, for each instance.
"""

from __future__ import annotations

import functools
import inspect
import keyword
from collections.abc import Callable
from typing import Any, cast

from django.db.models import DEFERRED, ForeignObjectRel, Model
from django.db.models.base import ModelState
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import pre_init

from vinyl.orm.plans import shapes
from vinyl.orm.plans.plain_models import MISSING, has_init_receivers
from vinyl.records import NamedTuple

__all__ = ["patch_init"]

_model: Any = Model


class _Init(NamedTuple):
    """
    What `__init__()` of a model does, as long as these are its fields.

    Args:
        fields: The fields of the model.
        generation: That of the shapes in which this is valid.
        names: The keyword arguments that *set_all* accepts.
        set_all: Sets the attributes of an instance to the values in a dictionary of
            keyword arguments and to defaults. Returns False, and does nothing, if
            Django has to.
    """

    fields: Any
    generation: int
    names: frozenset[str]
    set_all: Callable[[Any, dict[str, Any]], bool]


def patch_init(init: Callable[..., None]) -> Callable[..., None]:
    """Patch `Model.__init__()` to set all fields without a loop over them."""

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        if not args:
            meta = self._meta
            known = vars(meta).get("vinyl_init")
            if (
                known is None
                or known.generation != shapes.generation
                or known.fields is not meta.fields
            ):
                known = meta.vinyl_init = _init_of(type(self))
            if known.names.issuperset(kwargs) and not has_init_receivers(type(self)):
                # There are no receivers, but vinyl refuses some values here.
                pre_init.send(sender=type(self), args=(), kwargs=kwargs)
                if known.set_all(self, kwargs):
                    return
        init(self, *args, **kwargs)

    return __init__


def _leave_to_django(obj: Any, kwargs: dict[str, Any]) -> bool:
    return False


def _init_of(cls: Any) -> _Init:
    meta, generation = cls._meta, shapes.generation
    fields = [
        field
        for field in meta.fields
        if field.column is not None and not field.generated
    ]
    relations = [
        field for field in fields if isinstance(field.remote_field, ForeignObjectRel)
    ]
    names = {field.attname for field in fields} | {field.name for field in relations}
    is_plain = (
        not meta.abstract
        and cls.__setattr__ is object.__setattr__
        # What Django's method calls with super().
        and super(_model, cls).__init__ is object.__init__
        and all(name.isidentifier() and not keyword.iskeyword(name) for name in names)
    )
    if not is_plain:
        return _Init(meta.fields, generation, frozenset(), _leave_to_django)
    set_all = _written_out(cls, fields, relations)
    return _Init(meta.fields, generation, frozenset(names), set_all)


def _written_out(
    cls: Any, fields: list[Any], relations: list[Any]
) -> Callable[[Any, dict[str, Any]], bool]:
    """The function that sets *fields*, of which *relations* also take an object."""
    lines = ["def set_all(obj, kwargs):"]
    for field in relations:
        if field.name != field.attname:
            lines += [
                f"    if {field.name!r} in kwargs and {field.attname!r} in kwargs:",
                "        return False",
            ]
    lines += [
        "    obj._state = ModelState()",
        "    values, get = obj.__dict__, kwargs.get",
    ]
    namespace: dict[str, Any] = {
        "DEFERRED": DEFERRED,
        "MISSING": MISSING,
        "ModelState": ModelState,
    }
    for number, field in enumerate(fields):
        namespace[f"field_{number}"] = field
        if field in relations:
            lines += [
                f"    related = get({field.name!r}, MISSING)",
                "    if related is not MISSING:",
                "        if related is not DEFERRED:",
                f"            obj.{field.name} = related",
                "    else:",
            ]
        indent = "        " if field in relations else "    "
        name = field.attname
        is_plain = type(inspect.getattr_static(cls, name, None)) is DeferredAttribute
        target = f"values[{name!r}]" if is_plain else f"obj.{name}"
        lines += [
            f"{indent}value = get({name!r}, MISSING)",
            f"{indent}if value is MISSING:",
            f"{indent}    value = field_{number}.get_default()",
            f"{indent}if value is not DEFERRED:",
            f"{indent}    {target} = value",
        ]
    lines.append("    return True")
    exec("\n".join(lines), namespace)
    return cast(Callable[[Any, dict[str, Any]], bool], namespace["set_all"])
