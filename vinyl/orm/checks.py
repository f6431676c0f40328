"""
A system check that reads the project's own source for ORM calls that nobody awaits.

It imports and runs nothing: what a name stands for is looked up in the modules that are
loaded, as those with models are. `Thing` is what an expression gives, `_uses` tells
which expressions code uses as values, and `_Reader` joins the two for one `async def`.

What is not recognisably the ORM is left alone. A miss still raises or warns when it
runs; a false alarm makes people turn the check off.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import partialmethod
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.db.models import Model, QuerySet
from django.db.models.manager import BaseManager, ManagerDescriptor
from django.db.transaction import atomic

from vinyl.orm import bridge
from vinyl.orm.calls import Call
from vinyl.orm.dualmode import TABLE, dual

__all__ = ["check_awaits", "find"]


def _dual_names(*, of_models: bool) -> set[str]:
    """The methods that the table makes dual-mode, and Django's `a*` twins of them."""
    names = set()
    for row in TABLE:
        owner = row.owner.partition(":")[2]
        if row.change is dual and owner and (owner == "Model") is of_models:
            names.update(row.names.split())
    return names | {f"a{name}" for name in names}


_OF_MODELS = _dual_names(of_models=True)
_OF_QUERYSETS = _dual_names(of_models=False)
_OF_CONTAINERS = {name for cls in (dict, list, set, str) for name in dir(cls)}
# The kinds of Thing that awaiting a call gives.
_GIVES = {
    **dict.fromkeys("create earliest first get last latest".split(), "object"),
    **dict.fromkeys(["get_or_create", "update_or_create"], "pair"),
    **{"get_object_or_404": "object", "get_list_or_404": "rows"},
}
# Builtins that go through their argument at once, and what to write for a queryset.
_CONSUMERS = {
    **dict.fromkeys(
        "dict enumerate max min set sorted sum tuple".split(), "`await {}`"
    ),
    "bool": "`await {}.exists()`",
    "len": "`await {}.count()`, or `len(await {})`",
    "list": "`await {}`, which is a list",
}
# What runs later and perhaps elsewhere, such as in the bridge.
_LATER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.GeneratorExp)
# All functions that use_driver() makes share their code.
_DRIVEN = bridge.use_driver(dir).__code__
# Tests run, so Python tells of what they forget; and some do it on purpose.
_TESTS = re.compile(r"\btests?\.|\b(tests?(_\w+)?|conftest)$")
_NOQA = re.compile(r"# *noqa(?: *: *([^#]*))?", re.IGNORECASE)


@checks.register("vinyl")
def check_awaits(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """
    vinyl.W001: a call that touches the database is not awaited in `async def`.
    vinyl.W002: rows of a queryset that has not been awaited are used there.
    vinyl.W003: `with transaction.atomic()` is used there.
    """
    messages: list[checks.CheckMessage] = []
    if bridge.forced_mode is False:
        return messages
    for path, (module, package) in sorted(_own_modules(app_configs).items()):
        try:
            source = path.read_bytes()
            if b"async def" in source:
                text = importlib.util.decode_source(source)
                messages += find(text, module, package, place=str(path))
        except (OSError, RecursionError, SyntaxError, ValueError):
            # Not to be read, or no Python: not for this check to tell.
            continue
    return messages


def _own_modules(app_configs: Any) -> dict[Path, tuple[str, str]]:
    """The files of the project, without its tests, with module and package of each."""
    configs = app_configs or apps.get_app_configs()
    folders = [(Path(config.path), config.name) for config in configs]
    for name in (settings.SETTINGS_MODULE, getattr(settings, "ROOT_URLCONF", None)):
        if app_configs is None and isinstance(name, str) and "." in name:
            package = name.rpartition(".")[0]
            top, *rest = package.split(".")
            with suppress(ValueError):
                # Of a top-level package this imports nothing; of one inside, it would.
                spec = importlib.util.find_spec(top)
                places = (spec and spec.submodule_search_locations) or ()
                folders += [(Path(place, *rest), package) for place in places]
    modules = {}
    for folder, name in folders:
        installed = {"site-packages", "dist-packages"} & set(folder.parts)
        if installed or name.startswith(("django.", "vinyl.")):
            continue
        for path in folder.rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            package = ".".join([name, *parts[:-1]])
            module = package if parts[-1] == "__init__" else f"{package}.{parts[-1]}"
            # Folders of other things, such as a virtual environment, have other names.
            if all(map(str.isidentifier, parts)) and not _TESTS.search(module):
                modules[path] = module, package
    return modules


def find(source: str, module: str, package: str, *, place: str) -> list[checks.Warning]:
    """
    Return what *source* forgets to await.

    Args:
        source: The text of *module*, which is in *package*.
        place: What to call it in the warnings, before the number of the line.

    Raises:
        SyntaxError: It cannot be parsed.
    """
    with warnings.catch_warnings(action="ignore"):
        # Python gives its warnings when it imports the module.
        nodes = list(ast.walk(ast.parse(source)))
    names = _names(nodes, module, package)
    owners = {
        id(function): names.get(cls.name)
        for cls in nodes
        if isinstance(cls, ast.ClassDef)
        for function in cls.body
    }
    lines = source.split("\n")
    found = []
    for node in nodes:
        if isinstance(node, ast.AsyncFunctionDef):
            reader = _Reader(node, names, owners.get(id(node)))
            for expr, id_, message, hint in reader.findings():
                own_lines = lines[expr.lineno - 1 : expr.end_lineno]
                # A "noqa" without ids, or with this one, silences its line.
                said = [match[1] for match in map(_NOQA.search, own_lines) if match]
                if not any(ids is None or id_ in ids for ids in said):
                    obj = f"{place}:{expr.lineno}"
                    warning = checks.Warning(message, hint=hint, obj=obj, id=id_)
                    found.append((expr.lineno, expr.col_offset, warning))
    return [warning for *_, warning in sorted(found, key=lambda entry: entry[:2])]


def _names(nodes: list[ast.AST], module: str, package: str) -> dict[str, Any]:
    """What global and imported names stand for, as far as it is loaded."""

    def loaded(module: str) -> dict[str, Any]:
        # Past a __getattr__ of the module's own, which may import.
        return getattr(sys.modules.get(module), "__dict__", {})

    names = dict(loaded(module))
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            origin = node.module or ""
            if node.level:
                parents = package.split(".")[: 1 - node.level or None]
                origin = ".".join([*parents, origin] if origin else parents)
            for alias in node.names:
                submodule = sys.modules.get(f"{origin}.{alias.name}")
                found = loaded(origin).get(alias.name, submodule)
                names[alias.asname or alias.name] = found
    return names


class Thing(NamedTuple):
    """
    What an expression gives, where that is the ORM's.

    Args:
        kind: "model", "object", "rows" (a list of objects), "pair" (of get_or_create);
            "queryset", whose rows are not here, or "manager" for anything else with
            its methods; "stream", "call", "atomic"; "nothing" for None.
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
                return cls("object", maker)
            if issubclass(maker, QuerySet | BaseManager):
                return cls("manager")
        return None

    @classmethod
    def named(cls, name: str) -> Thing | None:
        """An object of the model after which a variable is named, if there is one."""
        name = name.replace("_", "")
        models = [m for m in apps.get_models() if m._meta.model_name == name]
        return cls("object", models[0], sure=False) if len(models) == 1 else None

    def or_else(self, other: Thing) -> Thing | None:
        """What is this or *other*, as far as it is known."""
        if "nothing" in (self.kind, other.kind):
            return other if self.kind == "nothing" else self
        if (self.kind, self.model) == (other.kind, other.model):
            return self if other.sure else other
        return None

    def awaited(self) -> Thing | None:
        """What awaiting it gives."""
        match self:
            case Thing("queryset" | "manager", model, sure=True):
                return Thing("rows", model)
            case Thing("call", model, gives=kind) if kind:
                return Thing(kind, model)
            case Thing("object"):
                # A relation that had not been fetched.
                return self
        return None

    def attribute(self, name: str) -> Thing | None:
        """What reading the attribute *name* gives."""
        if self.kind == "model":
            found = inspect.getattr_static(self.model, name, None)
            if type(found) is ManagerDescriptor or name == "_default_manager":
                return Thing("queryset", self.model)
        if self.kind == "object" and self.model:
            for field in self.model._meta.get_fields():
                reverse = field.auto_created and not field.concrete
                if name == (field.get_accessor_name() if reverse else field.name):
                    related = Thing.made_by(field.related_model)
                    many = field.one_to_many or field.many_to_many
                    return (
                        related._replace(kind="manager")
                        if many and related
                        else related
                    )
        return None

    def method(self, name: str, *, positional: bool) -> Thing | None:
        """What calling the method *name* gives; *positional*, with such arguments."""
        if self.kind == "object":
            own = inspect.getattr_static(self.model, name, None)
            # Files and images have a save(), too, but theirs is told where to.
            if self.sure or not positional:
                return Thing("call") if name in _OF_MODELS or _is_dual(own) else None
        elif self.kind in ("queryset", "manager"):
            sure = self.sure or name not in _OF_CONTAINERS
            if name in _OF_QUERYSETS:
                kind = _GIVES.get(name) or _GIVES.get(name[1:], "")
                return Thing("call", self.model, sure, kind)
            if name in ("iterator", "aiterator"):
                return Thing("stream", self.model, sure)
            # A method of the project's own may give anything.
            known = hasattr(QuerySet, name) or hasattr(BaseManager, name)
            # The rows of `album.tracks.all()` may have been prefetched.
            kind = self.kind if name == "all" else "queryset"
            return Thing(kind, self.model, sure and known)
        return None


def _is_dual(value: Any) -> bool:
    """Whether *value* is a dual-mode function, by the table or by `use_driver`."""
    if type(value) is partialmethod:
        value = value.func
    return type(value) is FunctionType and (
        hasattr(value, "is_dual") or value.__code__ is _DRIVEN
    )


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """*node* and what runs with it, in the order of the source."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _LATER):
            yield from _walk(child)


def _uses(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """
    The expressions that *node* itself uses as values, each with what to write for a
    queryset: nothing, if one that is not awaited will do.
    """
    truth, iteration = "`await {}.exists()`", "`async for`, or `in await {}`"
    match node:
        case ast.If() | ast.While() | ast.IfExp() | ast.Assert():
            yield node.test, truth
        case ast.UnaryOp(op=ast.Not()):
            yield node.operand, truth
        case ast.BoolOp(values=[*tested, _]):
            # The last one is what it gives.
            yield from ((value, truth) for value in tested)
        case ast.For():
            yield node.iter, iteration
        case ast.comprehension():
            yield from ((test, truth) for test in node.ifs)
            if not node.is_async:
                yield node.iter, iteration
        case ast.Starred(ctx=ast.Load()) | ast.Assign(targets=[ast.Tuple()]):
            yield node.value, "`await {}`"
        case ast.Compare(left=ast.Name(), ops=[ast.Is() | ast.IsNot()]):
            # A call that is made in some cases only may be asked for like this.
            return
        case ast.Compare():
            yield node.left, ""
            for op, value in zip(node.ops, node.comparators, strict=True):
                inside = isinstance(op, ast.In | ast.NotIn)
                yield value, "`in await {}`" if inside else ""
        case ast.BinOp():
            yield from ((node.left, ""), (node.right, ""))
        case ast.Expr() | ast.AugAssign() | ast.FormattedValue() | ast.Subscript():
            yield node.value, ""
        case ast.Attribute() if not hasattr(Call, node.attr):
            yield node.value, ""
        case ast.With():
            yield from ((item.context_expr, "`async with {}`") for item in node.items)
        case ast.Call(func=ast.Name(id=name), args=[rows, *_]) if name in _CONSUMERS:
            yield rows, _CONSUMERS[name]


class _Reader:
    """
    What one `async def` forgets to await.

    Args:
        function: Its source.
        names: What global and imported names stand for.
        owner: The class whose method it is; None if it is none, or not known.
    """

    def __init__(
        self, function: ast.AsyncFunctionDef, names: dict[str, Any], owner: Any
    ) -> None:
        self.function = function
        self.names = names
        self.owner = Thing.made_by(owner)
        nodes = list(_walk(function))
        self.uses: dict[int, tuple[ast.expr, str]] = {}
        for node in nodes:
            for expr, remedy in _uses(node):
                while isinstance(expr, ast.BoolOp | ast.NamedExpr):
                    last = expr.values if isinstance(expr, ast.BoolOp) else [expr.value]
                    expr = last[-1]
                self.uses[id(expr)] = expr, remedy
        # Where a variable is first awaited, or given to other code. From there on its
        # queryset may hold rows. Its call is not forgotten, wherever that is.
        self.passed_on: dict[str, tuple[int, int]] = {}
        for node in ast.walk(function):
            match node:
                case ast.Name(id=name, ctx=ast.Load()) if id(node) not in self.uses:
                    place = node.lineno, node.col_offset
                    self.passed_on[name] = min(place, self.passed_on.get(name, place))
                case ast.Global(names=shared) | ast.Nonlocal(names=shared):
                    self.passed_on.update(dict.fromkeys(shared, (0, 0)))
        # What a variable holds, where all that is assigned to it agrees; and the same
        # of each target of an assignment.
        self.locals: dict[str, Thing | None] = {}
        self.targets: dict[int, Thing | None] = {}
        # Calls that are assigned to a variable.
        self.kept: list[tuple[str, ast.expr]] = []
        for arg in ast.walk(function.args):
            if isinstance(arg, ast.arg):
                self.locals[arg.arg] = self.argument(arg)
        for node in nodes:
            self.assign(node)
        used = {use.id for use, _ in self.uses.values() if isinstance(use, ast.Name)}
        for name, call in self.kept:
            held = self.locals[name]
            misused = name in used and held is not None and held.kind == "call"
            if misused or name not in self.passed_on:
                self.uses[id(call)] = call, ""

    def findings(self) -> Iterator[tuple[ast.expr, str, str, str]]:
        """What is wrong: the expression that it is about, id, message and hint."""
        for expr, remedy in self.uses.values():
            match self.thing(expr):
                # One that waits in a variable is reported where it was made.
                case Thing("call", sure=True) if not isinstance(expr, ast.Name):
                    id_, problem = "vinyl.W001", "not awaited, so it never runs"
                    remedy = "`await {}`"
                case Thing("queryset" | "stream" as kind, sure=True) if remedy:
                    id_, problem = "vinyl.W002", "not awaited, so its rows are not here"
                    remedy = "`async for`" if kind == "stream" else remedy
                case Thing("atomic") if remedy:
                    id_, problem = "vinyl.W003", "entered by a blocking `with`"
                case _:
                    continue
            code = ast.unparse(expr)
            code = code if len(code) <= 60 else f"{code[:57]}..."
            message = f"`{code}` in `async def {self.function.name}()` is {problem}."
            yield expr, id_, message, f"Write {remedy.replace('{}', code)}."

    def argument(self, arg: ast.arg) -> Thing | None:
        """What the function is given as *arg*, by its annotation or its name."""
        match arg.annotation:
            case None:
                return self.owner if arg.arg == "self" else Thing.named(arg.arg)
            case ast.Subscript(value=generic):
                return Thing.made_by(self.resolve(generic))
            case annotation:
                return Thing.made_by(self.resolve(annotation))

    def assign(self, node: ast.AST) -> None:
        """Note what variables hold, if *node* is an assignment or a target of one."""
        match node:
            case (
                ast.Assign(targets=[target], value=value)
                | ast.AnnAssign(target=target, value=ast.expr() as value)
                | ast.NamedExpr(target=target, value=value)
            ):
                thing = self.thing(value)
                match target, thing:
                    case ast.Tuple(elts=[target, _]), Thing("pair", model):
                        thing = Thing("object", model)
                    case ast.Name(id=name), Thing("call"):
                        self.kept.append((name, value))
                self.targets[id(target)] = thing
            case ast.For() | ast.AsyncFor() | ast.comprehension():
                match self.thing(node.iter):
                    case Thing("rows" | "queryset" | "manager" | "stream", model, True):
                        self.targets[id(node.target)] = Thing("object", model)
            case ast.Name(id=name, ctx=ast.Store()):
                new = self.targets.get(id(node))
                old = self.locals.get(name, new)
                self.locals[name] = new and old and old.or_else(new)

    def resolve(self, node: ast.expr) -> Any:
        """The object behind a dotted name, if it is loaded."""
        match node:
            case ast.Name(id=name) if name not in self.locals:
                return self.names.get(name)
            case ast.Attribute(value=value, attr=name):
                module = self.resolve(value)
                return vars(module).get(name) if type(module) is ModuleType else None
        return None

    def thing(self, node: ast.expr) -> Thing | None:
        """What the expression *node* gives."""
        match node:
            case ast.Constant(value=None):
                return Thing("nothing")
            case ast.Name(id=name) if name in self.locals:
                thing, place = self.locals[name], self.passed_on.get(name)
                if place and place <= (node.lineno, node.col_offset):
                    if thing and thing.kind == "queryset":
                        return thing._replace(kind="manager")
                return thing
            case ast.NamedExpr(value=value):
                return self.thing(value)
            case ast.Await(value=value):
                return (thing := self.thing(value)) and thing.awaited()
            case ast.Subscript(value=value, slice=ast.Slice(step=None)):
                return self.thing(value)
            case ast.Attribute(value=value, attr=name):
                if thing := self.thing(value):
                    return thing.attribute(name)
                if self.resolve(value) is None:
                    return self.guess(value, name)
            case ast.Call(func=ast.Name(id="super")):
                return self.owner
            case ast.Call():
                return self.called(node)
        made = Thing.made_by(self.resolve(node))
        return Thing("model", made.model) if made and made.model else None

    def called(self, node: ast.Call) -> Thing | None:
        """What the call *node* gives."""
        function = self.resolve(node.func)
        if function is atomic:
            return Thing("atomic")
        if _is_dual(function):
            first = self.thing(node.args[0]) if node.args else None
            kind = _GIVES.get(function.__name__, "") if first else ""
            return Thing("call", first and first.model, gives=kind)
        if isinstance(node.func, ast.Attribute) and function is None:
            name = node.func.attr
            if thing := self.thing(node.func.value):
                return thing.method(name, positional=bool(node.args))
            # Others with a filter() take expressions, or arguments in CamelCase.
            words = [keyword.arg or "" for keyword in node.keywords] or [""]
            if name in ("select_related", "prefetch_related") or (
                name in ("filter", "exclude") and all(map(str.islower, words))
            ):
                return Thing("queryset")
        return Thing.made_by(function)

    def guess(self, value: ast.expr, name: str) -> Thing | None:
        """What the attribute *name* of the unknown *value* gives, by their names."""
        called = getattr(value, "attr", getattr(value, "id", ""))
        if name == "objects":
            likely = called[:1].isupper() or called in ("cls", "model")
            return Thing("queryset") if likely else None
        if isinstance(value, ast.Name) and called in self.locals:
            return None
        # `self.album.tracks`, where an Album has tracks.
        thing = Thing.named(called)
        return thing and thing.attribute(name)
