"""
The types that rules.py knows, and those of their attributes and of their methods'
results. Only objects of the ORM, forms, views and requests have one: a `Thing`.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator
from functools import partialmethod
from types import FunctionType
from typing import Any

from django.db.models import Model, QuerySet
from django.db.models.manager import BaseManager
from django.forms import BaseForm, BaseFormSet
from django.http import HttpRequest
from django.views.generic import View

from vinyl.bridge import mode
from vinyl.bridge.mode import dual
from vinyl.orm.dualmode.table import TABLE
from vinyl.records import NamedTuple

__all__ = ["ANY", "GIVES", "SAVING", "Thing", "given_to", "is_dual"]

# Methods of querysets and managers that run a query.
_QUERYING = {
    f"{prefix}{name}"
    for patch in TABLE
    if patch.decorator is dual and patch.owner.endswith(("QuerySet", "Manager"))
    for name in patch.names.split()
    for prefix in ("", "a")
}
_OF_CONTAINERS = {name for cls in (dict, list, set, str) for name in dir(cls)}
# The kind of Thing that awaiting a call gives, by the name of what is called.
GIVES = {
    **dict.fromkeys("create earliest first get last latest".split(), "object"),
    **dict.fromkeys(["get_or_create", "update_or_create"], "pair"),
    **{"get_object_or_404": "object", "get_list_or_404": "rows"},
}
# The same for a Thing that is not a call. An object is a relation to be fetched.
_AWAITED = {"queryset": "rows", "manager": "rows", "object": "object"}
# Methods whose rows are not objects of the model.
_OTHER_ROWS = {"dates", "datetimes", "raw", "values", "values_list"}
_READING_BODY = {"body", "form", "json"}

# In place of attribute names: any of them may have been fetched.
ANY = frozenset("*")


class Thing(NamedTuple):
    """
    The type of an expression's value.

    Args:
        kind: "model", "object", "rows" (a list of objects), "pair" (of get_or_create);
            "queryset", which has not been awaited, or "manager" for anything else with
            its methods; "call", "atomic"; "none" for None; "value" for that of a
            field; "form" and "form class"; "view"; "request", "user", "session".
        model: Its model, or the class of a form; None if that is not known.
        sure: Whether the type is certain.
        gives: For a call, the kind of its awaited result.
        fetched: The lazy attributes that its objects were fetched with, as the paths
            that select_related() takes; or `ANY`.
        deferred: The fields that its objects were fetched without.
        given: Whether it is an argument of the function, so that the fetched attributes
            are unknown.
        lazy: "surely" for a lazy attribute that has not been fetched, "maybe" for a
            lazy attribute of an argument; otherwise empty.
        key: The attribute with the key of a lazy relation, if there is one.
    """

    kind: str
    model: Any = None
    sure: bool = True
    gives: str = ""
    fetched: frozenset[str] = frozenset()
    deferred: frozenset[str] = frozenset()
    given: bool = False
    lazy: str = ""
    key: str = ""

    @classmethod
    def made_by(cls, maker: Any) -> Thing | None:
        """An instance of the class *maker*, which may be anything."""
        # By type(), because isinstance() makes a lazy object load.
        if issubclass(type(maker), type):
            if issubclass(maker, Model):
                return cls("object", None if maker is Model else maker)
            if issubclass(maker, QuerySet | BaseManager):
                return cls("manager", fetched=ANY)
            if issubclass(maker, BaseForm | BaseFormSet):
                return cls("form", maker)
            if issubclass(maker, HttpRequest):
                return cls("request")
            if issubclass(maker, View):
                return cls("view")
        return None

    @classmethod
    def merged(cls, things: Iterable[Thing | None]) -> Thing | None:
        """The type of a value that has one of *things*; None if they differ."""
        known = [thing for thing in things if thing is not None]
        plain = {
            thing._replace(fetched=ANY, deferred=ANY, given=False, lazy="", key="")
            for thing in known
        }
        if len(plain) != 1 or None in things:
            return None
        first, *others = known
        for other in others:
            first = first._replace(
                fetched=first.fetched | other.fetched,
                deferred=first.deferred & other.deferred,
                given=first.given or other.given,
                lazy=min(first.lazy, other.lazy),
            )
        return first

    def awaited(self) -> Thing | None:
        """The type of its awaited result."""
        kind = self.gives or _AWAITED.get(self.kind)
        if not kind or self.lazy and self.kind == "value":
            return None
        fetched, deferred = self.fetched, self.deferred
        return Thing(kind, self.model, fetched=fetched, deferred=deferred)

    def attribute(self, name: str) -> Thing | None:
        """The type of its attribute *name*."""
        if self.kind == "model":
            if (manager := self.model._meta.managers_map.get(name)) is not None:
                return self.queryset(manager)
        if self.kind == "object" and self.model:
            return self._field(name)
        if self.kind == "view" and name == "request":
            return Thing("request", fetched=self.fetched)
        if self.kind == "request" and name in ("session", "user"):
            return Thing(name, lazy="" if self.fetched else "surely")
        return None

    def queryset(self, manager: Any = None) -> Thing:
        """The queryset of a model's *manager*, or of its default one."""
        fetched = brought_by(manager or self.model._default_manager)
        return Thing("queryset", self.model, fetched=fetched)

    def _field(self, name: str) -> Thing | None:
        lazy = "maybe" if self.given else "surely"
        there = not self.fetched.isdisjoint({name, *ANY})
        if name in self.deferred and not there:
            return Thing("value", lazy=lazy)
        for field in self.model._meta.get_fields():
            reverse = field.auto_created and not field.concrete
            accessor = field.get_accessor_name() if reverse else field.name
            if name == accessor and field.is_relation:
                related = Thing.made_by(field.related_model) or Thing("object")
                if field.one_to_many or field.many_to_many:
                    fetched = _brought_back(field, related.model)
                    return related._replace(kind="manager", fetched=fetched)
                return related._replace(
                    fetched=frozenset(self._along(field, name, related.model)),
                    given=self.given,
                    lazy="" if there else lazy,
                    key="" if reverse else getattr(field, "attname", ""),
                )
        return None

    def _along(self, field: Any, name: str, model: Any) -> Iterator[str]:
        """The attributes that the related object of *model* was fetched with."""
        if model:
            yield from brought_by(model._base_manager)
        if field.one_to_one:
            other = field.remote_field
            yield other.name if field.auto_created else other.get_accessor_name() or ""
        for path in self.fetched:
            if path in ANY:
                yield path
            elif path.startswith(f"{name}__"):
                yield path.removeprefix(f"{name}__")

    def method(self, name: str, call: ast.Call) -> Thing | None:
        """The type of the value of *call*, which calls the method *name*."""
        dual_mode = Thing("call")
        spellings = (name, name.removeprefix("a"))
        # Files and images have a save(), too, but theirs takes a name.
        starred = all(isinstance(arg, ast.Starred) for arg in call.args)
        match self.kind:
            case "object" if starred and _any_dual(self.model or Model, *spellings):
                return dual_mode
            case "form" if _any_dual(self.model or BaseForm, name):
                # For a form that has not been loaded, only this method is known to be
                # Django's.
                return dual_mode if self.model or name == "is_valid" else None
            case "request" if name in _READING_BODY:
                return dual_mode
            case "session" if name in SAVING:
                return dual_mode
            case "queryset" | "manager":
                return self._query(name, call)
        return None

    def _query(self, name: str, call: ast.Call) -> Thing:
        if name in _QUERYING:
            sure = self.sure or name not in _OF_CONTAINERS
            gives = GIVES.get(name.removeprefix("a"), "")
            made = self._replace(kind="call", sure=sure, gives=gives)
            if gives == "pair":
                return made._replace(fetched=ANY)
            if name.removeprefix("a") == "create":
                return made._replace(fetched=self.fetched | given_to(call))
            return made
        # The rows of `album.tracks.all()` may have been prefetched, and a method of the
        # project may return anything.
        kind = self.kind if name == "all" else "queryset"
        result = self._replace(kind=kind, sure=self.sure and hasattr(QuerySet, name))
        if name in _OTHER_ROWS or not result.sure:
            return result._replace(fetched=ANY)
        if name in ("select_related", "prefetch_related"):
            return result._replace(fetched=self.fetched | _paths(call))
        if name in ("defer", "only") and self.model:
            return result._replace(deferred=self._without(name, _paths(call)))
        return result

    def _without(self, method: str, paths: frozenset[str]) -> frozenset[str]:
        """The fields that querysets leave out after *method*, "defer" or "only"."""
        if paths >= ANY:
            return frozenset()
        named = {
            field.attname
            for field in self.model._meta.concrete_fields
            if {field.name, field.attname} & paths or field.primary_key
        }
        if method == "only":
            return frozenset(
                field.attname
                for field in self.model._meta.concrete_fields
                if field.attname not in named
            )
        return self.deferred | (named - {self.model._meta.pk.attname})


# Methods of a session that use its storage.
SAVING = {"create", "cycle_key", "delete", "exists", "flush", "save"}


def brought_by(manager: Any) -> frozenset[str]:
    """
    The attributes that *manager* fetches with its objects: any, if the project has
    overridden the manager.
    """
    made = inspect.unwrap(type(manager).get_queryset)
    return frozenset() if made.__module__.startswith("django.") else ANY


def _brought_back(field: Any, model: Any) -> frozenset[str]:
    """The attributes that objects fetched through *field*, to many, have."""
    generic = field.one_to_many and not field.auto_created
    if generic or not model:
        return ANY
    # The objects of a reverse foreign key have the instance they were read from.
    back = {field.field.name} if field.one_to_many else set()
    return brought_by(model._default_manager) | back


def given_to(call: ast.Call) -> frozenset[str]:
    """The attributes that *call*, of a model or of create(), sets."""
    if call.args or any(keyword.arg is None for keyword in call.keywords):
        return ANY
    return frozenset(keyword.arg or "" for keyword in call.keywords)


def _paths(call: ast.Call) -> frozenset[str]:
    """The lookups that *call* is given, with all their prefixes."""
    found: set[str] = set()
    for arg in call.args:
        if not (isinstance(arg, ast.Constant) and isinstance(arg.value, str)):
            return ANY
        parts = arg.value.split("__")
        found.update("__".join(parts[: n + 1]) for n in range(len(parts)))
    return frozenset(found) if found else ANY


def is_dual(value: Any) -> bool:
    """Whether *value* is dual-mode, by the table or by `use_driver`. Never switches."""
    value = value.func if type(value) is partialmethod else value
    return type(value) is FunctionType and mode.is_dual(value)


def _any_dual(cls: type, *names: str) -> bool:
    return any(is_dual(inspect.getattr_static(cls, name, None)) for name in names)
