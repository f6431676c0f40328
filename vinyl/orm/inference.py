"""
What an expression in source code gives, as far as it is the ORM's.

Nothing is imported or run to tell: a name stands for what the modules that are loaded
have under it, as those with models are. What is not recognisably the ORM is None.
"""

from __future__ import annotations

import ast
import inspect
import sys
from functools import partialmethod
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from django.apps import apps
from django.db.models import Model, QuerySet
from django.db.models.manager import BaseManager
from django.db.transaction import atomic

from vinyl.orm.dualmode import TABLE
from vinyl.orm.mode import dual, is_dual

__all__ = ["Scope", "Thing", "names_in"]

# What runs a query when it is called on a queryset or a manager.
_QUERYING = {
    f"{prefix}{name}"
    for row in TABLE
    if row.change is dual and row.owner.endswith(("QuerySet", "Manager"))
    for name in row.names.split()
    for prefix in ("", "a")
}
_OF_CONTAINERS = {name for cls in (dict, list, set, str) for name in dir(cls)}
# The kind of Thing that awaiting a call gives, by the name of what is called.
_GIVES = {
    **dict.fromkeys("create earliest first get last latest".split(), "object"),
    **dict.fromkeys(["get_or_create", "update_or_create"], "pair"),
    **{"get_object_or_404": "object", "get_list_or_404": "rows"},
}
# The same for what is no call. An object is a relation that had not been fetched.
_AWAITED = {"queryset": "rows", "manager": "rows", "object": "object"}


class Thing(NamedTuple):
    """
    What an expression gives.

    Args:
        kind: "model", "object", "rows" (a list of objects), "pair" (of get_or_create);
            "queryset", whose rows are not here, or "manager" for anything else with
            its methods; "call", "atomic"; "none" for None.
        model: Whose; None if that is not known.
        sure: Whether it can be nothing else.
        gives: The kind of what awaiting a call gives.
    """

    kind: str
    model: Any = None
    sure: bool = True
    gives: str = ""

    @classmethod
    def made_by(cls, maker: Any) -> Thing | None:
        """An instance of the class *maker*, which may be anything."""
        # By type(), because isinstance() makes a lazy object load.
        if issubclass(type(maker), type):
            if issubclass(maker, Model):
                return cls("object", None if maker is Model else maker)
            if issubclass(maker, QuerySet | BaseManager):
                return cls("manager")
        return None

    def awaited(self) -> Thing | None:
        """What awaiting it gives."""
        kind = self.gives or _AWAITED.get(self.kind)
        return Thing(kind, self.model) if kind else None

    def attribute(self, name: str) -> Thing | None:
        """What reading the attribute *name* gives."""
        if self.kind == "model" and name in self.model._meta.managers_map:
            return Thing("queryset", self.model)
        if self.kind == "object" and self.model:
            for field in self.model._meta.get_fields():
                reverse = field.auto_created and not field.concrete
                accessor = field.get_accessor_name() if reverse else field.name
                if name == accessor and field.is_relation:
                    related = Thing.made_by(field.related_model) or Thing("object")
                    many = field.one_to_many or field.many_to_many
                    return related._replace(kind="manager") if many else related
        return None

    def method(self, name: str, args: list[ast.expr]) -> Thing | None:
        """What calling the method *name* with *args* gives."""
        # Files and images have a save(), too, but theirs is told where to.
        if self.kind == "object" and all(isinstance(arg, ast.Starred) for arg in args):
            for spelling in (name, name.removeprefix("a")):
                found = inspect.getattr_static(self.model or Model, spelling, None)
                if _is_dual(found):
                    return Thing("call")
        if self.kind in ("queryset", "manager"):
            sure = self.sure or name not in _OF_CONTAINERS
            if name in _QUERYING:
                gives = _GIVES.get(name.removeprefix("a"), "")
                return Thing("call", self.model, sure, gives)
            # The rows of `album.tracks.all()` may have been prefetched, and a method
            # of the project's own may give anything.
            kind = self.kind if name == "all" else "queryset"
            return Thing(kind, self.model, sure and hasattr(QuerySet, name))
        return None


def names_in(nodes: list[ast.AST], module: str, package: str) -> dict[str, Any]:
    """
    What global and imported names stand for in *module*, which is in *package* and has
    *nodes*, as far as it is loaded.
    """
    names = _contents(sys.modules.get(module)).copy()
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: 1 - node.level or None] if node.level else []
            origin = ".".join([*parents, node.module] if node.module else parents)
            there = _contents(sys.modules.get(origin))
            for alias in node.names:
                submodule = sys.modules.get(f"{origin}.{alias.name}")
                names[alias.asname or alias.name] = there.get(alias.name, submodule)
    return names


def _contents(module: Any) -> dict[str, Any]:
    """What *module* holds; of another type it may load when it is looked at."""
    return vars(module) if type(module) is ModuleType else {}


def _is_dual(value: Any) -> bool:
    """Whether *value* is a dual-mode function, by the table or by `use_driver`."""
    value = value.func if type(value) is partialmethod else value
    return type(value) is FunctionType and is_dual(value)


class Scope:
    """
    What the expressions in one `async def` give.

    Args:
        names: What global and imported names stand for.
        owner: The class whose method it is; None if it is none, or not known.
        passed_on: Where a variable is first awaited, or given to other code, as line
            and column. From there on its queryset may hold rows.
    """

    def __init__(
        self, names: dict[str, Any], owner: Any, passed_on: dict[str, tuple[int, int]]
    ) -> None:
        self.names = names
        self.owner = Thing.made_by(owner)
        self.passed_on = passed_on
        # All that a variable is given, and what each target of an assignment is.
        self.locals: dict[str, set[Thing | None]] = {}
        self.targets: dict[int, Thing | None] = {}

    def enter(self, node: ast.AST) -> None:
        """Note what variables are given by *node*, after those that come before it."""
        match node:
            case ast.arg(arg=name):
                self.locals[name] = {self.argument(node)}
            case ast.Name(id=name, ctx=ast.Store()):
                self.locals.setdefault(name, set()).add(self.targets.get(id(node)))
            case (
                ast.Assign(targets=[target], value=value)
                | ast.AnnAssign(target=target, value=ast.expr() as value)
                | ast.NamedExpr(target=target, value=value)
            ):
                thing = self.thing(value)
                match target, thing:
                    case ast.Tuple(elts=[target, _]), Thing("pair", model):
                        thing = Thing("object", model)
                self.targets[id(target)] = thing
            case ast.For() | ast.AsyncFor() | ast.comprehension():
                match self.thing(node.iter):
                    case Thing("rows" | "queryset" | "manager", model, sure=True):
                        self.targets[id(node.target)] = Thing("object", model)

    def argument(self, arg: ast.arg) -> Thing | None:
        """What the function is given as *arg*, by its annotation or its name."""
        if arg.annotation:
            return Thing.made_by(self.resolve(arg.annotation))
        if arg.arg == "self":
            return self.owner
        name = arg.arg.replace("_", "")
        models = [m for m in apps.get_models() if m._meta.model_name == name]
        return Thing("object", models[0]) if len(models) == 1 else None

    def resolve(self, node: ast.expr) -> Any:
        """The object behind a dotted name, if it is loaded."""
        match node:
            case ast.Name(id=name) if name not in self.locals:
                return self.names.get(name)
            case ast.Attribute(value=value, attr=name):
                return _contents(self.resolve(value)).get(name)
            case ast.Subscript(value=generic):
                return self.resolve(generic)
        return None

    def thing(self, node: ast.expr) -> Thing | None:
        """What the expression *node* gives."""
        match node:
            case ast.Constant(value=None):
                return Thing("none")
            case ast.Name(id=name) if name in self.locals:
                return self.variable(node)
            case ast.NamedExpr(value=value) | ast.Subscript(value, ast.Slice()):
                return self.thing(value)
            case ast.Await(value=value):
                return (thing := self.thing(value)) and thing.awaited()
            case ast.Attribute(value=value, attr=name):
                if thing := self.thing(value):
                    return thing.attribute(name)
                if name == "objects" and self.resolve(value) is None:
                    called = getattr(value, "attr", getattr(value, "id", ""))
                    if called[:1].isupper() or called in ("cls", "model"):
                        return Thing("queryset")
            case ast.Call(func=ast.Name(id="super")):
                return self.owner
            case ast.Call():
                return self.called(node)
        made = Thing.made_by(self.resolve(node))
        return Thing("model", made.model) if made and made.model else None

    def variable(self, node: ast.Name) -> Thing | None:
        """What the variable *node* holds there, if all that it is given agrees."""
        things = self.locals[node.id] - {Thing("none")}
        thing = things.pop() if len(things) == 1 else None
        place = self.passed_on.get(node.id)
        loaded = place is not None and place <= (node.lineno, node.col_offset)
        if loaded and thing and thing.kind == "queryset":
            return thing._replace(kind="manager")
        return thing

    def called(self, node: ast.Call) -> Thing | None:
        """What the call *node* gives."""
        function = self.resolve(node.func)
        if function is atomic:
            return Thing("atomic")
        if _is_dual(function):
            first = self.thing(node.args[0]) if node.args else None
            gives = _GIVES.get(function.__name__, "")
            return Thing("call", first and first.model, gives=gives)
        if isinstance(node.func, ast.Attribute) and function is None:
            thing = self.thing(node.func.value)
            return thing and thing.method(node.func.attr, node.args)
        return Thing.made_by(function)
