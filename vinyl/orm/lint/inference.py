"""
The type of an expression in source code, if it is a `Thing`.

Nothing is imported or run to find out: names are looked up in the modules that are
already loaded, as those with models are.
"""

from __future__ import annotations

import ast
import re
import sys
from types import FunctionType, ModuleType
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db.transaction import atomic

from vinyl.orm.lint.sources import ANY, GIVES, Thing, given_to, is_dual

__all__ = ["Places", "Scope", "attribute_asked_for", "names_in", "place_of"]

# The line and column where something first happens to a variable or an attribute.
Places = dict[str, tuple[int, int]]

# Builtins that read an attribute by its name.
_READING = {"getattr", "hasattr"}
_FORM_CLASS = re.compile(r"[A-Z]\w*Form(Set)?")
# Functions that make form classes.
_FORM_FACTORY = re.compile(r"(inline|model)?form(set)?_factory")
# Other attributes that fetch these. Fetching the user also loads the session.
_FETCHED_BY = {"user": ["auser"], "session": ["auser", "user"]}
# Middleware of Django's own handler, whose requests are not vinyl's.
_DJANGOS = (
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
)


def names_in(nodes: list[ast.AST], module: str, package: str) -> dict[str, Any]:
    """
    The values of the global and imported names of *module*, if they are loaded.

    Args:
        nodes: The nodes of the module's source.
        module: The name of the module.
        package: The name of the package that it is in.
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
    """The contents of *module*. Not by getattr(), which may load a lazy object."""
    return vars(module) if type(module) is ModuleType else {}


def place_of(node: ast.expr) -> tuple[int, int]:
    """Return the line and the column where *node* starts."""
    return node.lineno, node.col_offset


def attribute_asked_for(call: ast.Call) -> ast.Attribute | None:
    """The attribute that *call*, of hasattr() or getattr(), reads; else None."""
    match call:
        case ast.Call(
            func=ast.Name(id=name), args=[value, ast.Constant(value=str(attr)), *_]
        ) if name in _READING:
            attribute = ast.Attribute(value, attr, ast.Load())
            return ast.copy_location(attribute, call)
    return None


class Scope:
    """
    The variables of one `async def`, and the types of its expressions.

    Args:
        names: The values of global and imported names.
        owner: The type of `self`; None if it is not a method, or that is not known.
        passed_on: Where a variable, or an attribute (with a dot before its name), is
            first awaited, assigned to, or passed to other code. After that its queryset
            may have rows, and its lazy attributes may have been fetched.
        guarded: Whether a decorator may have fetched the user of the request.
    """

    def __init__(
        self,
        names: dict[str, Any],
        owner: Thing | None,
        passed_on: Places,
        *,
        guarded: bool,
    ) -> None:
        self.names = names
        self.owner = owner
        self.passed_on = passed_on
        self.guarded = guarded
        # The types of all values of a variable, and that of each assignment's target.
        self.locals: dict[str, set[Thing | None]] = {}
        self.targets: dict[int, Thing | None] = {}

    def enter(self, node: ast.AST) -> None:
        """Note the variables that *node* assigns. Called in the order of the source."""
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
                rows = self.thing(node.iter)
                if rows and rows.sure and rows.kind in ("rows", "queryset", "manager"):
                    self.targets[id(node.target)] = self.one_of(rows, node.iter)

    def one_of(self, rows: Thing, node: ast.expr) -> Thing:
        """The type of an item of *rows*, the value of the expression *node*."""
        passed = self.passed_on.get(f"{getattr(node, 'id', '')}[]", place_of(node))
        if passed < place_of(node) or self.is_passed_on(node):
            rows = rows._replace(fetched=ANY)
        return rows._replace(kind="object")

    def argument(self, arg: ast.arg) -> Thing | None:
        """The type of the argument *arg*, by its annotation or its name."""
        if arg.arg == "self":
            return self.owner
        if arg.annotation:
            known = self.resolve(arg.annotation)
            thing = Thing.made_by(known)
            # The class has not been loaded, or the annotation is a string.
            named = ast.unparse(arg.annotation).strip("'").endswith("Request")
            if (thing and thing.kind == "request") or (known is None and named):
                return self.request()
            return thing and thing._replace(given=True)
        if arg.arg == "request":
            return self.request()
        name = arg.arg.replace("_", "")
        models = [m for m in apps.get_models() if m._meta.model_name == name]
        # It is only named after a model, so any attribute may have been fetched.
        return Thing("object", models[0], fetched=ANY) if len(models) == 1 else None

    def request(self) -> Thing | None:
        """The type of a view's request, if it is vinyl's."""
        middleware = set(getattr(settings, "MIDDLEWARE", ()))
        if not apps.is_installed("vinyl.web") or middleware.intersection(_DJANGOS):
            return None
        return Thing("request", fetched=ANY if self.guarded else frozenset())

    def is_passed_on(self, node: ast.expr) -> bool:
        """Whether a part of *node*, a dotted name, was passed on before."""
        place, part = place_of(node), node
        while isinstance(part, ast.Attribute | ast.Subscript):
            key = f".{part.attr}" if isinstance(part, ast.Attribute) else ""
            if self.passed_on.get(key, place) < place:
                return True
            part = part.value
        return isinstance(part, ast.Name) and self.passed_on.get(part.id, place) < place

    def resolve(self, node: ast.expr) -> Any:
        """The object behind a dotted name, if it is loaded."""
        match node:
            case ast.Name(id=name) if name not in self.locals:
                return self.names.get(name)
            case ast.Attribute(value=value, attr=name):
                return _contents(self.resolve(value)).get(name)
            case ast.Subscript(value=generic):
                return self.resolve(generic)
            case ast.BinOp(left=left, op=ast.BitOr(), right=ast.Constant(value=None)):
                return self.resolve(left)
        return None

    def thing(self, node: ast.expr) -> Thing | None:
        """The type of the expression *node*."""
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
                    return self.attribute(node, thing.attribute(name))
                if name == "objects" and self.resolve(value) is None:
                    called = getattr(value, "attr", getattr(value, "id", ""))
                    if called[:1].isupper() or called in ("cls", "model"):
                        return Thing("queryset", fetched=ANY)
            case ast.Subscript(value=value):
                if (rows := self.thing(value)) and rows.kind == "rows":
                    return self.one_of(rows, value)
            case ast.Call(func=ast.Name(id="super")):
                return self.owner
            case ast.Call():
                return self.called(node)
        made = Thing.made_by(self.resolve(node))
        if made and made.kind == "object" and made.model:
            return Thing("model", made.model)
        return None

    def attribute(self, node: ast.Attribute, thing: Thing | None) -> Thing | None:
        """*thing*, which *node* reads; not lazy if it may have been fetched by then."""
        if thing and thing.kind == "request":
            return self.request() and thing._replace(
                fetched=ANY if self.guarded else thing.fetched
            )
        if thing and thing.lazy:
            place = place_of(node)
            before = (f".{name}" for name in _FETCHED_BY.get(thing.kind, ()))
            fetched = any(self.passed_on.get(key, place) < place for key in before)
            if fetched or self.is_passed_on(node):
                return thing._replace(lazy="")
        return thing

    def variable(self, node: ast.Name) -> Thing | None:
        """The type of the variable *node*, if all its values have the same."""
        thing = Thing.merged(self.locals[node.id] - {Thing("none")})
        place = self.passed_on.get(node.id)
        loaded = place is not None and place <= (node.lineno, node.col_offset)
        if loaded and thing and thing.kind == "queryset":
            return thing._replace(kind="manager")
        return thing

    def called(self, node: ast.Call) -> Thing | None:
        """The type of the value of the call *node*."""
        function = self.resolve(node.func)
        if function is atomic:
            return Thing("atomic")
        attribute = attribute_asked_for(node)
        if attribute is not None and isinstance(node.func, ast.Name):
            return self.thing(attribute) if node.func.id == "getattr" else None
        if is_dual(function):
            first = self.thing(node.args[0]) if node.args else None
            if first and first.kind == "model":
                first = first.queryset()
            gives = GIVES.get(function.__name__, "")
            return (first or Thing(""))._replace(kind="call", sure=True, gives=gives)
        if function is not None:
            made = Thing.made_by(function)
            if made and made.kind == "object":
                return made._replace(fetched=given_to(node))
            if type(function) is FunctionType:
                made_of_forms = _FORM_FACTORY.fullmatch(function.__name__)
                return Thing("form class") if made_of_forms else None
            return made
        match node.func:
            case ast.Attribute(value=value, attr=name):
                if thing := self.thing(value):
                    return thing.method(name, node)
            case ast.Name(id=name):
                made = self.thing(node.func)
                if made and made.kind == "form class":
                    return Thing("form")
                if name not in self.locals and _FORM_CLASS.fullmatch(name):
                    return Thing("form")
        return None
